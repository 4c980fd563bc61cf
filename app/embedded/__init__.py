"""A private PostgreSQL below a folder, shared by every process that opens it; the last one to leave stops it."""

import os
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from app.embedded.locks import exclusive, hold_shared, try_exclusive
from app.embedded.place import PORT, Place, find_place
from app.embedded.postmaster import open_database, shut_down
from app.errors import ConfigurationError

__all__ = ["EmbeddedPostgres"]

DATABASE = "holdfast"


class EmbeddedPostgres:
    """A private PostgreSQL below the folder `home`, without TCP, open to this OS user alone.

    Each user holds a shared lock that the kernel lets go when its process ends, however it ends. So a count of users
    is never stale, and a server left over by `kill -9` is joined by the next one.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._place: Place | None = None
        self._user: int | None = None  # the descriptor of our shared lock

    @property
    def notice(self) -> str | None:
        """What the operator should know about where the data are; None until the start and where nothing is odd."""
        return self._place.notice if self._place else None

    def start(self) -> str:
        """Join the server, or start it; returns the URL of the database."""
        try:
            self._place = self._place or find_place(self._home)
            if self._user is None:
                self._user = _join(self._place)
        except OSError as error:
            raise ConfigurationError(
                f"PostgreSQL can't keep its data below {self._home}: {error}.",
                hint="Set HOLDFAST_HOME to a folder on a local disk that can be written, or DATABASE_URL.",
            ) from error
        return f"postgresql+asyncpg://{DATABASE}@/{DATABASE}?host={quote(str(self._place.sockets))}&port={PORT}"

    def stop(self) -> None:
        """Leave; the last one to leave stops the server. Does nothing when not started."""
        if self._place is None or self._user is None:
            return
        user, self._user = self._user, None
        _leave(self._place, user)

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _join(place: Place) -> int:
    """Be counted as a user, then see to it that the server runs; only one process at a time gets here."""
    with exclusive(place.start_lock):
        user = hold_shared(place.users_lock)
        try:
            open_database(place, DATABASE)
        except BaseException:
            os.close(user)
            raise
        return user


def _leave(place: Place, user: int) -> None:
    if not place.folder.exists():  # somebody removed it: the server notices within a minute and ends by itself
        os.close(user)
        return
    with exclusive(place.start_lock):
        os.close(user)
        last = try_exclusive(place.users_lock)
        if last is None:
            return
        try:
            shut_down(place)
        finally:
            os.close(last)
