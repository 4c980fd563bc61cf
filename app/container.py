"""Services: everything built once; used by the web application, the worker, the CLI and the tests alike."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.db import Engine, make_engine, make_sessions, migrate
from app.services.health import Health
from app.services.jobs import Handler, Jobs
from app.settings import Settings


class Services:
    """The services on one database."""

    def __init__(self, settings: Settings, database_url: str, engine: Engine) -> None:
        self.settings = settings
        self.database_url = database_url
        self.engine = engine
        self.sessions = make_sessions(engine)
        self.health = Health(self.sessions, heartbeat_timeout_seconds=settings.heartbeat_timeout_seconds)
        self.jobs = Jobs(self.sessions, heartbeat_timeout_seconds=settings.heartbeat_timeout_seconds)

    @property
    def handlers(self) -> dict[str, Handler]:
        """What works on each kind of job."""
        return {}


@asynccontextmanager
async def open_services(settings: Settings, database_url: str) -> AsyncIterator[Services]:
    """Services on a database that is reachable and migrated; connections are closed at the end."""
    engine = make_engine(database_url, settings)
    try:
        yield Services(settings, database_url, engine)
    finally:
        await engine.dispose()


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[str]:
    """The URL of the store, migrated: the one of the settings, or a private PostgreSQL below the home folder."""
    if settings.database_url:
        await asyncio.to_thread(migrate, settings.database_url)
        yield settings.database_url
        return
    from app.embedded import EmbeddedPostgres  # its search for binaries is not wanted where a URL is given

    server = EmbeddedPostgres(settings.home)
    url = await asyncio.to_thread(server.start)
    try:
        await asyncio.to_thread(migrate, url)
        yield url
    finally:
        await asyncio.to_thread(server.stop)
