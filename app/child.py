"""The child's side of a job: a process of its own that runs one handler and answers its worker through a pipe."""

import asyncio
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from operator import attrgetter
from typing import Any

from app.container import Services, open_services
from app.db import is_outage
from app.errors import HoldfastError, UnexpectedFailure
from app.services.jobs import Handler, JobContext, JobLost
from app.settings import Settings
from app.telemetry import configure_logging

REPORT_SECONDS = 0.1  # between two reports of the same step: a fit could send thousands
HandlerTable = Callable[[Services], Mapping[str, Handler]]
HANDLERS: HandlerTable = attrgetter("handlers")

_log = logging.getLogger("holdfast.child")


@dataclass(frozen=True)
class Order:
    """What a child is to do; it crosses to the child pickled."""

    settings: Settings
    database_url: str
    handlers: HandlerTable
    job: JobContext


@dataclass(frozen=True)
class Progress:
    """How far the child is."""

    step: str
    fraction: float


@dataclass(frozen=True)
class Succeeded:
    """The handler's result."""

    result: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """What the handler could not do."""

    problem: dict[str, Any]


@dataclass(frozen=True)
class Cancel:
    """From the worker: tidy up, you have a moment."""


Answer = Succeeded | Failed


def work(pipe: Connection, order: Order) -> None:
    """The child process. It sends its answer, or ends without one where the attempt must be made again.

    Signals meant for the worker (Ctrl-C, a service manager that signals all processes) reach the child too: it is the
    worker that decides.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    configure_logging(order.settings.log_level)
    asyncio.run(_work(_Reporter(pipe), order))


async def _work(reporter: "_Reporter", order: Order) -> None:
    task = asyncio.create_task(_answer(order, reporter.report))
    listener = threading.Thread(
        target=_listen, args=(reporter.pipe, asyncio.get_running_loop(), task.cancel), daemon=True
    )
    listener.start()
    with suppress(asyncio.CancelledError):
        answer = await task
        if answer:
            reporter.send(answer)
    os._exit(0)  # threads that still compute for a cancelled handler must not hold us up


def _listen(pipe: Connection, loop: asyncio.AbstractEventLoop, cancel: Callable[[], bool]) -> None:
    """Hear the worker; when it is gone, so are we."""
    with suppress(EOFError, OSError):
        while isinstance(pipe.recv(), Cancel):
            loop.call_soon_threadsafe(cancel)
    os._exit(1)


async def _answer(order: Order, report: Callable[[str, float], None]) -> Answer | None:
    """Run the handler; None where the attempt does not count any more, or fell to a passing outage."""
    try:
        async with open_services(order.settings, order.database_url) as services:
            handler = order.handlers(services)[order.job.kind]
            return Succeeded(_jsonable(await handler(replace(order.job, report=report))))
    except JobLost:
        return None
    except HoldfastError as error:
        problem = json.dumps(error.to_problem(), default=str, ensure_ascii=False)
        return Failed(json.loads(problem.encode(errors="replace")))
    except Exception as error:  # noqa: BLE001 - logged with its traceback; the caller learns that it was a bug
        _log.exception("job failed unexpectedly", extra={"job": order.job.id, "kind": order.job.kind})
        if is_outage(error):
            return None
        return Failed(UnexpectedFailure("Something went wrong in the job that should not have.").to_problem())


def _jsonable(result: dict[str, Any]) -> dict[str, Any]:
    """The result as it will be told; NaN, lone surrogates and what JSON does not know are a fault of the handler's."""
    plain: dict[str, Any] = json.loads(json.dumps(result, allow_nan=False, ensure_ascii=False).encode())
    return plain


class _Reporter:
    """Sends to the worker, from any thread."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self._lock = threading.Lock()
        self._step = ""
        self._sent_at = 0.0

    def report(self, step: str, fraction: float) -> None:
        """Tell of progress, unless the same step was told of a moment ago."""
        with self._lock:
            now = time.monotonic()
            if step == self._step and now - self._sent_at < REPORT_SECONDS:
                return
            self._step, self._sent_at = step, now
            share = float(fraction) if 0 <= fraction <= 1 else float(fraction > 1)  # NaN counts as nothing
            self._send(Progress(step, share))

    def send(self, answer: Answer) -> None:
        """Give the answer."""
        with self._lock:
            self._send(answer)

    def _send(self, message: Progress | Answer) -> None:
        with suppress(BrokenPipeError):  # the worker is gone; `_listen` ends us
            self.pipe.send(message)
