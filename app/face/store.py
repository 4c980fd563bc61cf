"""A store for plain callers: the services on a loop in a thread of its own, so that notebooks may call them too."""

import asyncio
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar, Union

from pydantic import BaseModel, ValidationError
from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.container import Services, open_services, open_store
from app.db import UNREACHABLE
from app.errors import ConfigurationError, DatabaseUnreachable, FieldError, HoldfastError, InvalidRequest
from app.local_jobs import JobFailed, WorkerBeside, finish
from app.refusals import refusal_words
from app.schemas.jobs import JobOut
from app.settings import DRIVER, Settings

T = TypeVar("T")
B = TypeVar("B", bound=BaseModel)
EngineLike: TypeAlias = Union[str, URL, Engine, AsyncEngine, "Store", None]


@dataclass(frozen=True)
class _Room:
    """What the thread keeps open until it is told to stop."""

    services: Services
    worker: WorkerBeside
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event


class Closing(ABC):
    """What is closed at the end of a `with` block."""

    @abstractmethod
    def close(self) -> None:
        """Give back what was opened."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Store(Closing):
    """A database with Holdfast's schema, open until it is closed.

    What takes an engine takes a store too: one that several share is opened once.

    Parameters
    ----------
    engine : str, URL, Engine, AsyncEngine, Store or None
        A database URL (`postgresql://...`), or a SQLAlchemy engine, of which the URL with its password is taken, and
        no connection. None: the store that the command `holdfast` uses here.

    Raises
    ------
    app.errors.HoldfastError
        Where the database is away, or is no PostgreSQL.

    Examples
    --------
    >>> with Store(url) as store:
    ...     [version.version for version in ModelRegistry(store).history()]
    []
    """

    def __init__(self, engine: EngineLike = None) -> None:
        ready: Future[_Room] = Future()
        settings = _settings(engine)
        self._thread = threading.Thread(target=_serve, args=(settings, ready), name="holdfast-store", daemon=True)
        self._thread.start()
        with _typed_errors():
            self._room = ready.result()
        self._end = weakref.finalize(self, _close, self._room, self._thread)  # also as the interpreter ends

    def run(self, action: Callable[[Services], Awaitable[T]]) -> T:
        """Carry out an action on the services, and wait for it; Ctrl-C cancels it.

        Raises
        ------
        app.errors.HoldfastError
            What a service refuses.
        """
        if not self._end.alive:
            raise RuntimeError("the store is closed")
        ended = threading.Event()

        async def act() -> T:
            try:
                return await action(self._room.services)
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(act(), self._room.loop)
        try:
            with _typed_errors():
                return future.result()
        except KeyboardInterrupt:
            future.cancel()
            ended.wait()
            raise

    def finish(self, submit: Callable[[Services], Awaitable[JobOut]]) -> dict[str, Any]:
        """Ask for a job, and wait for its result; where no worker is alive one beside this process does the work."""

        async def action(services: Services) -> dict[str, Any]:
            job = await submit(services)
            return await finish(services, job, show=_show_nothing, helper=self._room.worker.help)

        return self.run(action)

    def close(self) -> None:
        """Give connections, thread and worker back; again does nothing."""
        self._end()


class OnStore(Closing):
    """What works on a store: it opens one of its own, or shares one that it then leaves open."""

    def __init__(self, engine: EngineLike = None) -> None:
        self._shared = isinstance(engine, Store)
        self.store = engine if isinstance(engine, Store) else Store(engine)

    def close(self) -> None:
        """Give back what was opened."""
        if not self._shared:
            self.store.close()


@contextmanager
def opened(engine: EngineLike) -> Iterator[Store]:
    """The store that is shared, or one for the time of the block."""
    if isinstance(engine, Store):
        yield engine
        return
    with Store(engine) as store:
        yield store


def request(kind: type[B], **fields: Any) -> B:
    """A request body of the fields that were given, by the checks that there are over HTTP.

    Raises
    ------
    InvalidRequest
        naming the fields that it does not accept.
    """
    try:
        return kind.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        errors = [FieldError("/".join(["", *map(str, each["loc"])]), refusal_words(each)) for each in error.errors()]
        raise InvalidRequest(f"{errors[0].pointer or '/'}: {errors[0].detail}.", errors=errors) from error


def _settings(engine: EngineLike) -> Settings:
    """The settings of the environment, on the database that is named."""
    settings = Settings() if engine is None else Settings(database_url=_url(engine))
    if "log_level" not in settings.model_fields_set:
        settings = settings.model_copy(update={"log_level": "ERROR"})
    return settings


def _url(engine: Any) -> str:
    """The URL with our driver's name for it, the password included."""
    try:
        url = make_url(engine.url if isinstance(engine, Engine | AsyncEngine) else engine)
    except ArgumentError as error:
        raise ConfigurationError(
            f"{type(engine).__name__} is no database URL or SQLAlchemy engine.",
            hint="Give postgresql://user:password@host/database.",
        ) from error
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigurationError(f"Holdfast keeps its tables in PostgreSQL, not in {url.get_backend_name()}.")
    query = {("ssl" if key == "sslmode" else key): value for key, value in url.query.items()}
    return url.set(drivername=DRIVER, query=query).render_as_string(hide_password=False)


@contextmanager
def _typed_errors() -> Iterator[None]:
    """A database that is away, and the problem of a job, as what they are to callers."""
    try:
        yield
    except JobFailed as failure:
        raise _cause(failure) from None
    except HoldfastError:
        raise
    except UNREACHABLE as error:
        raise DatabaseUnreachable(f"The database can't be reached: {error}") from error


def _cause(failure: JobFailed) -> HoldfastError:
    """The failure that ended the job, of its own class."""
    kinds = {kind.code: kind for kind in _below(HoldfastError)}
    problem = dict(failure.problem)
    kind = kinds.get(problem.get("code", ""))
    if kind is None:
        return failure
    errors = [FieldError(**each) for each in problem.get("errors", ())]
    told = HoldfastError("").to_problem().keys()
    facts = {name: value for name, value in problem.items() if name not in told}
    return kind(problem["detail"], hint=problem.get("hint"), errors=errors, **facts | failure.facts)


def _below(kind: type[HoldfastError]) -> Iterator[type[HoldfastError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def _serve(settings: Settings, ready: "Future[_Room]") -> None:
    """The thread: an event loop with the services in it."""
    try:
        asyncio.run(_keep_open(settings, ready))
    except BaseException as error:
        if ready.done():
            raise
        ready.set_exception(error)


async def _keep_open(settings: Settings, ready: "Future[_Room]") -> None:
    stop = asyncio.Event()
    async with open_store(settings) as url, open_services(settings, url) as services:
        worker = WorkerBeside(settings, url)
        try:
            ready.set_result(_Room(services, worker, asyncio.get_running_loop(), stop))
            await stop.wait()
        finally:
            worker.stop()


def _close(room: _Room, thread: threading.Thread) -> None:
    room.loop.call_soon_threadsafe(room.stop.set)
    thread.join()


def _show_nothing(job: JobOut) -> None:
    """Nobody watches."""
