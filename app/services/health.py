"""Whether the service can do its work."""

from sqlalchemy import text

from app.db import Sessions
from app.schemas.health import ReadyOut


class Health:
    """Looks at the database."""

    def __init__(self, sessions: Sessions, *, heartbeat_timeout_seconds: float) -> None:
        self._sessions = sessions
        self._timeout = heartbeat_timeout_seconds

    async def readiness(self) -> ReadyOut:
        """The schema's revision and the number of workers alive."""
        query = text(
            "SELECT (SELECT version_num FROM alembic_version),"
            " (SELECT count(*) FROM workers WHERE heartbeat_at > now() - make_interval(secs => :timeout))"
        )
        async with self._sessions() as session:
            revision, n_workers = (await session.execute(query, {"timeout": self._timeout})).one()
        return ReadyOut(schema_revision=str(revision), n_workers=int(n_workers))
