"""What the health endpoints answer."""

from app.schemas.common import BodyOut


class HealthOut(BodyOut):
    """The process is alive."""

    status: str = "ok"


class ReadyOut(BodyOut):
    """The service can work: the database answers and is migrated."""

    status: str = "ready"
    schema_revision: str
    n_workers: int
