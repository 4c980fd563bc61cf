"""What the tests of jobs share: workers here and as processes, and waiting for what must come true."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import text

from app.container import Services, open_services
from app.schemas.jobs import JobOut
from app.settings import Settings
from app.worker import Worker, running_worker
from tests.job_handlers import handlers

ROOT = Path(__file__).parent.parent
TIMEOUT_SECONDS = 2.0  # of heartbeats: short, so that a lost worker is found soon
PROCESS = """
import asyncio
from app.settings import Settings
from app.worker import run_worker
from tests.job_handlers import handlers
asyncio.run(run_worker(Settings(), handlers=handlers, warm=("app.child",)))
"""


def make_settings(database_url: str, **values: Any) -> Settings:
    """Settings under which lost workers are found soon."""
    return Settings(database_url=database_url, **{"heartbeat_timeout_seconds": TIMEOUT_SECONDS, **values})


@asynccontextmanager
async def open_world(database_url: str, **values: Any) -> AsyncIterator[Services]:
    """Services, and a table for the effects of jobs."""
    async with open_services(make_settings(database_url, **values), database_url) as services:
        await execute(services, "CREATE TABLE effects (job bigint PRIMARY KEY, attempt integer NOT NULL)")
        yield services


async def execute(services: Services, statement: str) -> list[tuple[Any, ...]]:
    """Run one statement and commit; the rows it answers."""
    async with services.sessions.begin() as session:
        answer: Any = await session.execute(text(statement))
        return [tuple(row) for row in answer] if answer.returns_rows else []


def worker_here(services: Services) -> AbstractAsyncContextManager[Worker]:
    """A worker in the test's own process."""
    return running_worker(services.settings, services.database_url, handlers=handlers, warm=("app.child",))


@contextmanager
def worker_process(services: Services) -> Iterator[psutil.Process]:
    """A worker as a process of its own; with all it has begun it is gone at the end."""
    environment = os.environ | {
        "DATABASE_URL": services.database_url,
        "HOLDFAST_HEARTBEAT_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
        "HOLDFAST_LOG_LEVEL": "ERROR",
    }
    with subprocess.Popen([sys.executable, "-c", PROCESS], env=environment, cwd=ROOT) as process:
        worker = psutil.Process(process.pid)
        try:
            yield worker
        finally:
            for one in family(worker):
                with suppress(psutil.NoSuchProcess):
                    one.kill()


def family(process: psutil.Process) -> list[psutil.Process]:
    """The process and all that descends from it."""
    with suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended; one that waits for its parent to notice has."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


async def submit(services: Services, kind: str, **params: Any) -> int:
    """Ask for a job; its number."""
    return (await services.jobs.submit(kind, params, dataset_id=None, actor="tester")).id


async def end_of(services: Services, job_id: int, *, within_seconds: float = 40) -> JobOut:
    """The job once it has ended."""
    job = await services.jobs.get(job_id, wait_seconds=within_seconds)
    assert job.has_ended, job
    return job


async def until(condition: Callable[[], bool | Awaitable[bool]], *, within_seconds: float = 40) -> None:
    """Wait until something has come true."""
    deadline = time.monotonic() + within_seconds
    while True:
        met = condition()
        if met if isinstance(met, bool) else await met:
            return
        assert time.monotonic() < deadline, "has not come true"
        await asyncio.sleep(0.02)


async def child_of(pids: Path, attempt: int) -> psutil.Process:
    """The process that makes this attempt at a job with the parameter `pids`, once it is at work."""
    file = pids / str(attempt)
    await until(lambda: file.exists() and bool(file.read_text()))
    return psutil.Process(int(file.read_text()))
