"""Handlers for the tests of the worker; found by name, as they cross to another process."""

import asyncio
import math
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import text

from app.container import Services
from app.errors import InvalidRequest
from app.services.jobs import Handler, JobContext


def handlers(services: Services) -> Mapping[str, Handler]:
    """A table of handlers, as `Services.handlers` is one."""

    async def effect(job: JobContext) -> dict[str, Any]:
        """Write one row under guard; `stuck` attempts then never end, `late` ones first wait for a file."""
        mark(job)
        while job.attempt <= job.params.get("late", 0) and not Path(job.params["go"]).exists():
            await asyncio.sleep(0.02)
        async with services.sessions.begin() as session:
            await job.guard(session)
            values = {"job": job.id, "attempt": job.attempt}
            await session.execute(text("INSERT INTO effects VALUES (:job, :attempt) ON CONFLICT DO NOTHING"), values)
        await job.step("written", 0.5)
        if job.attempt <= job.params.get("stuck", 0):
            await asyncio.sleep(600)
        return {"attempt": job.attempt}

    table: list[Handler] = [echo, fail, break_down, unstorable, die, burn, tidy, outage, effect]
    return {handler.__name__: handler for handler in table}


def mark(job: JobContext) -> None:
    """Leave the number of this process where the test looks for it."""
    if "pids" in job.params:
        (Path(job.params["pids"]) / str(job.attempt)).write_text(str(os.getpid()))


async def echo(job: JobContext) -> dict[str, Any]:
    """Report progress from a thread."""
    await asyncio.to_thread(_count, job)
    return {"pid": os.getpid(), "params": job.params, "actor": job.actor}


def _count(job: JobContext) -> None:
    n = job.params.get("n", 0)
    for i in range(n):
        job.progress("counting", i / n)
        time.sleep(0.05)


async def fail(job: JobContext) -> dict[str, Any]:
    """Fail as expected."""
    await job.step("looking", 0.25)
    raise InvalidRequest("Too few rows.", hint="Upload more.", n_rows=3)


async def break_down(job: JobContext) -> dict[str, Any]:
    """Fail by a bug."""
    raise ZeroDivisionError("secret of an account")


async def unstorable(job: JobContext) -> dict[str, Any]:
    """Answer what can't be told as JSON."""
    return {"x": {"nan": math.nan, "surrogate": "\ud800", "object": object()}[job.params["x"]]}


async def die(job: JobContext) -> dict[str, Any]:
    """Be killed, the first `n` times."""
    mark(job)
    if job.attempt <= job.params["n"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"attempt": job.attempt}


async def outage(job: JobContext) -> dict[str, Any]:
    """Lose the database, once."""
    if job.attempt == 1:
        raise ConnectionResetError("the database restarts")
    return {"attempt": job.attempt}


async def burn(job: JobContext) -> dict[str, Any]:
    """Compute for ever, letting nobody else run."""
    mark(job)
    while True:
        math.sqrt(2.0)


async def tidy(job: JobContext) -> dict[str, Any]:
    """Compute in a thread for ever; when cancelled, leave a note."""
    mark(job)
    try:
        await asyncio.to_thread(time.sleep, 600)
    except asyncio.CancelledError:
        (Path(job.params["pids"]) / "tidied").touch()
        raise
    return {}
