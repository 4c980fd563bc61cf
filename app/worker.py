"""The worker: takes jobs from the queue and runs each in a child process; its own work is only to watch."""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from enum import Enum, auto
from functools import partial
from typing import Any
from uuid import uuid4

from app.child import HANDLERS, Answer, Failed, HandlerTable, Order, Succeeded
from app.container import Services, open_store
from app.db import is_outage, make_engine, make_sessions
from app.process import HEAVY, ChildProcess, warm_up
from app.schemas.jobs import JobOut
from app.services.attempts import Attempt, Attempts, Standing
from app.services.jobs import Jobs
from app.services.rejudging import Rejudging
from app.settings import Settings
from app.telemetry import configure_logging

CLAIM_SECONDS = 0.25  # between two looks into the queue: nothing to listen to, so nothing that can fall silent
BEAT_SECONDS = 0.3  # between two heartbeats of a job, which also tell of a cancellation
GRACE_SECONDS = 0.6  # for a cancelled handler to tidy up
RETRY_SECONDS = 1.0  # after a failed step: the database may be restarting
PARTING_SECONDS = 5.0  # how long a stopping worker tries to hand back what it holds

_log = logging.getLogger("holdfast.worker")


class Ending(Enum):
    """How an attempt ends without an answer of its child."""

    DIED = auto()
    CANCELLED = auto()
    LOST = auto()  # another worker has taken the job over
    STOPPED = auto()  # the worker is to end


class Worker:
    """Runs up to `settings.worker_jobs` jobs at a time until told to stop; survives restarts of the database."""

    def __init__(
        self, settings: Settings, database_url: str, *, handlers: HandlerTable = HANDLERS, warm: Sequence[str] = HEAVY
    ) -> None:
        self._settings = settings
        self._database_url = database_url
        self._handlers = handlers
        self._warm = warm
        self._stop = asyncio.Event()
        self._running: set[asyncio.Task[bool]] = set()

    def stop(self) -> None:
        """End soon; what is running is handed back."""
        self._stop.set()

    async def run(self) -> None:
        """Work until stopped.

        The engine is the worker's own: a web application that has all its connections in use must not cost a job its
        heartbeat.
        """
        engine = make_engine(self._database_url, self._settings)
        self._sessions = make_sessions(engine)
        self._attempts = Attempts(
            self._sessions,
            uuid4(),
            heartbeat_timeout_seconds=self._settings.heartbeat_timeout_seconds,
            max_attempts=self._settings.max_attempts,
        )
        try:
            await asyncio.to_thread(warm_up, self._warm)
            await self._work()
        except Exception:
            _log.exception("the worker has ended")
            raise
        finally:
            await engine.dispose()

    async def _work(self) -> None:
        timeout = self._settings.heartbeat_timeout_seconds
        jobs = Jobs(self._sessions, heartbeat_timeout_seconds=timeout)
        rejudging = Rejudging(self._sessions, self._settings, jobs)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(self._attempts.stay_alive, timeout / 4))
            group.create_task(self._repeat(self._sweep, timeout / 2))
            group.create_task(self._repeat(rejudging.sweep, self._settings.rejudge_seconds))
            await self._repeat(lambda: self._claim(group), CLAIM_SECONDS)
        await self._try(self._attempts.leave, within_seconds=PARTING_SECONDS)

    async def _claim(self, group: asyncio.TaskGroup) -> None:
        free = self._settings.worker_jobs - len(self._running)
        for attempt in await self._attempts.claim(free) if free else []:
            task = group.create_task(self._try(partial(self._attend, attempt)))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _sweep(self) -> None:
        n_lost = await self._attempts.sweep()
        if n_lost:
            _log.warning("jobs enqueued again", extra={"n_jobs": n_lost})

    async def _attend(self, attempt: Attempt) -> None:
        """See one attempt through: the child runs, the row keeps its heartbeat, the ending is written."""
        fields = {"job": attempt.job.id, "kind": attempt.job.kind, "attempt": attempt.job.attempt}
        _log.info("attempt begins", extra=fields)
        async with ChildProcess(Order(self._settings, self._database_url, self._handlers, attempt.job)) as child:
            ending = await _first(self._answer(child), self._beat(attempt, child), self._stopped())
            if ending is Ending.CANCELLED:
                await child.cancel(GRACE_SECONDS)
        _log.info("attempt ends", extra=fields | {"ending": ending.name if isinstance(ending, Ending) else "answered"})
        await self._write(attempt, ending, child)

    async def _answer(self, child: ChildProcess) -> Answer | Ending:
        try:
            return await child.answer() or Ending.DIED
        except (OSError, EOFError):
            _log.exception("a child could not be started")
            return Ending.DIED

    async def _beat(self, attempt: Attempt, child: ChildProcess) -> Ending:
        standing = Standing.OURS

        async def beat() -> None:
            nonlocal standing
            standing = await self._attempts.beat(attempt, step=child.step, progress=child.progress)

        while standing is Standing.OURS:
            await self._try(beat, within_seconds=self._settings.heartbeat_timeout_seconds)
            await asyncio.sleep(BEAT_SECONDS)
        return Ending.CANCELLED if standing is Standing.CANCELLED else Ending.LOST

    async def _stopped(self) -> Ending:
        await self._stop.wait()
        return Ending.STOPPED

    async def _write(self, attempt: Attempt, ending: Answer | Ending, child: ChildProcess) -> None:
        """Write how it ended, through an outage of the database too; a stopping worker gives up after a while."""
        give_up_at: float | None = None
        while not await self._try(lambda: self._settle(attempt, ending, child)):
            now = time.monotonic()
            give_up_at = give_up_at or (now + PARTING_SECONDS if self._stop.is_set() else None)
            if give_up_at and now > give_up_at:
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _settle(self, attempt: Attempt, ending: Answer | Ending, child: ChildProcess) -> None:
        match ending:
            case Succeeded(result):
                await self._attempts.succeed(attempt, result, step=child.step)
            case Failed(problem):
                await self._attempts.fail(attempt, problem, step=child.step, progress=child.progress)
            case Ending.CANCELLED:
                await self._attempts.cancel(attempt, step=child.step, progress=child.progress)
            case Ending.STOPPED | Ending.DIED:
                await self._attempts.release(attempt, counted=ending is Ending.DIED)

    async def _repeat(self, step: Callable[[], Awaitable[object]], every_seconds: float) -> None:
        while not self._stop.is_set():
            await self._try(step, within_seconds=self._settings.heartbeat_timeout_seconds)
            await self._pause(every_seconds)

    async def _try(self, step: Callable[[], Awaitable[object]], *, within_seconds: float | None = None) -> bool:
        """Take a step; where it fails, tell so and let it be repeated: a worker outlives its database's restart."""
        try:
            async with asyncio.timeout(within_seconds):
                await step()
        except Exception as error:  # noqa: BLE001 - logged, with its traceback where it is a bug
            passing = is_outage(error) or isinstance(error, TimeoutError)
            fields = {"error": type(error).__name__}
            _log.error("a step of the worker failed", exc_info=None if passing else error, extra=fields)
            await self._pause(RETRY_SECONDS)
            return False
        return True

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)


async def _first(*ways: Coroutine[Any, Any, Answer | Ending]) -> Answer | Ending:
    """What comes first; of two at once the one named first. The others are cancelled."""
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task.result() for task in tasks if task in done)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@asynccontextmanager
async def running_worker(
    settings: Settings, database_url: str, *, handlers: HandlerTable = HANDLERS, warm: Sequence[str] = HEAVY
) -> AsyncIterator[Worker]:
    """A worker in this process; at the end it hands back what it holds."""
    worker = Worker(settings, database_url, handlers=handlers, warm=warm)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await task


async def run_worker(settings: Settings, *, handlers: HandlerTable = HANDLERS, warm: Sequence[str] = HEAVY) -> None:
    """A worker as a process of its own, until a signal says stop."""
    configure_logging(settings.log_level)
    async with open_store(settings) as url:
        worker = Worker(settings, url, handlers=handlers, warm=warm)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, worker.stop)
        await worker.run()


async def work_until_done(
    services: Services,
    job_id: int,
    *,
    handlers: HandlerTable = HANDLERS,
    warm: Sequence[str] = ("app.child",),
    helper: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIterator[JobOut]:
    """Each change of a job until it has ended; where no worker is alive, one of our own works on it meanwhile.

    Or else `helper` sees to one, asked again as long as none is alive. Cancelling the caller (Ctrl-C) cancels the job.
    """
    async with AsyncExitStack() as stack:
        helped = False

        async def work_here() -> None:
            nonlocal helped
            if not helped:
                helped = True
                worker = running_worker(services.settings, services.database_url, handlers=handlers, warm=warm)
                await stack.enter_async_context(worker)

        try:
            async for job in await services.jobs.events(job_id, quiet_seconds=1.0):
                if job:
                    yield job
                if not await services.jobs.any_worker():
                    await (helper or work_here)()
        except asyncio.CancelledError:
            await services.jobs.cancel(job_id)
            await services.jobs.get(job_id, wait_seconds=PARTING_SECONDS)
            raise
