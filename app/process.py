"""The worker's side of a job's child process: start it, hear it, end it."""

import asyncio
import logging
import multiprocessing
import multiprocessing.forkserver
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from app.child import Answer, Cancel, Order, Progress, work

# What a child would import: done once, in the server that children are forked from. Each was tried: none leaves a
# thread behind that a fork would break.
HEAVY = (
    "app.child",
    "numpy",
    "pandas",
    "pyarrow.csv",
    "scipy.optimize",
    "scipy.stats",
    "sklearn.linear_model",
    "xgboost",
    "lightgbm",
    "woodelf",
    "mlflow.store.tracking.sqlalchemy_store",
    "matplotlib.figure",
)
END_SECONDS = 10.0  # for the kernel to end a process that was killed

_context = multiprocessing.get_context("forkserver")
_log = logging.getLogger("holdfast.worker")


def warm_up(modules: Sequence[str] = HEAVY) -> None:
    """Start the server that children are forked from; it ends with this process, however that ends.

    There is one a process: only the first call decides on the modules.
    """
    # Threads of two fits that spin while they wait for each other have made one ten times as slow.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # else importing it starts a thread that phones home
    _context.set_forkserver_preload(list(modules))
    multiprocessing.forkserver.ensure_running()


class ChildProcess:
    """A child process within `async with`; it is gone when the block has been left."""

    def __init__(self, order: Order) -> None:
        self.step: str | None = None
        self.progress = 0.0
        self._pipe, self._child_end = _context.Pipe(duplex=True)
        self._process = _context.Process(target=work, args=(self._child_end, order), name=f"job-{order.job.id}")
        self._answer: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._gone = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._starting = asyncio.create_task(asyncio.to_thread(self._start))
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._hear)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.wait({self._starting})
        if self._starting.exception() is None and not self._gone.is_set():
            await self._kill()
        asyncio.get_running_loop().remove_reader(self._pipe.fileno())
        self._pipe.close()

    async def answer(self) -> Answer | None:
        """The child's answer; None when it has ended without one."""
        await asyncio.shield(self._starting)
        return await asyncio.shield(self._answer)

    async def cancel(self, grace_seconds: float) -> None:
        """Ask the child to tidy up, and wait for its end a while."""
        with suppress(OSError, TimeoutError):
            self._pipe.send(Cancel())
            await asyncio.wait_for(self._gone.wait(), grace_seconds)

    def _start(self) -> None:
        """In a thread: it blocks until the server has forked, and that imports its modules first."""
        try:
            self._process.start()
        finally:
            self._child_end.close()

    def _hear(self) -> None:
        try:
            while self._pipe.poll():
                self._take(self._pipe.recv())
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._gone.set()
            if not self._answer.done():
                self._answer.set_result(None)

    def _take(self, message: Progress | Answer) -> None:
        if isinstance(message, Progress):
            self.step, self.progress = message.step, message.fraction
        elif not self._answer.done():
            self._answer.set_result(message)

    async def _kill(self) -> None:
        """The pipe tells of the end, and not the server: that may itself be gone."""
        pid = self._process.pid
        if pid is None:
            return
        with suppress(ProcessLookupError, TimeoutError):
            os.kill(pid, signal.SIGKILL)
            await asyncio.wait_for(self._gone.wait(), END_SECONDS)
        if not self._gone.is_set():
            _log.error("child survives its kill", extra={"pid": pid})
