"""Workers as processes of their own that are killed, frozen, told to stop, or lose the whole database."""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest

from app.container import Services
from app.db import migrate
from app.embedded import EmbeddedPostgres
from tests.working import (
    child_of,
    end_of,
    execute,
    family,
    is_gone,
    open_world,
    submit,
    until,
    worker_here,
    worker_process,
)

pytestmark = pytest.mark.slow


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[Services]:
    async with open_world(database_url) as services:
        yield services


async def is_written(services: Services) -> bool:
    return bool(await execute(services, "SELECT 1 FROM effects"))


async def test_another_worker_takes_over_from_a_killed_one(services: Services, tmp_path: Path) -> None:
    with worker_process(services) as worker:
        job_id = await submit(services, "effect", pids=str(tmp_path), stuck=1)
        child = await child_of(tmp_path, 1)
        await until(lambda: is_written(services))
        orphans = family(worker)[1:]
        assert child in orphans
        worker.kill()
        await until(lambda: all(map(is_gone, orphans)), within_seconds=5)
    async with worker_here(services):
        job = await end_of(services, job_id)
    assert (job.status, job.attempt, job.result) == ("succeeded", 2, {"attempt": 2})
    assert await execute(services, "SELECT job, attempt FROM effects") == [(job_id, 1)], "the row of attempt 1 stands"


async def test_a_job_that_takes_its_worker_with_it_each_time_is_parked(services: Services, tmp_path: Path) -> None:
    job_id = await submit(services, "effect", pids=str(tmp_path), stuck=3)
    for attempt in (1, 2, 3):
        with worker_process(services) as worker:
            await child_of(tmp_path, attempt)
            worker.kill()
    async with worker_here(services):
        job = await end_of(services, job_id)
    assert (job.status, job.attempt) == ("failed", 3)
    assert job.problem is not None
    assert job.problem["code"] == "attempts_exhausted"


async def test_what_wakes_up_after_it_was_replaced_writes_nothing(services: Services, tmp_path: Path) -> None:
    """As on a laptop that slept, or a host that was cut off: the first attempt is frozen before it writes."""
    go = tmp_path / "go"
    with worker_process(services) as worker:
        job_id = await submit(services, "effect", pids=str(tmp_path), late=1, go=str(go))
        child = await child_of(tmp_path, 1)
        worker.suspend()
        child.suspend()
        async with worker_here(services):
            job = await end_of(services, job_id)
            assert (job.status, job.result) == ("succeeded", {"attempt": 2})
            go.touch()
            child.resume()
            await until(lambda: is_gone(child))
        worker.resume()
        await submit(services, "echo")
        await until(services.jobs.any_worker)
    assert await execute(services, "SELECT job, attempt FROM effects") == [(job_id, 2)]
    assert await services.jobs.get(job_id) == job


@pytest.mark.parametrize("to_all", [False, True], ids=["to the worker", "to all its processes"])
async def test_a_signal_hands_back_and_ends_cleanly(services: Services, tmp_path: Path, to_all: bool) -> None:
    with worker_process(services) as worker:
        job_id = await submit(services, "effect", pids=str(tmp_path), stuck=1)
        await child_of(tmp_path, 1)
        everybody = family(worker)
        for process in reversed(everybody) if to_all else [worker]:
            process.send_signal(signal.SIGTERM)
        await until(lambda: all(map(is_gone, everybody)), within_seconds=10)
        assert worker.wait(1) in (0, None)
    job = await services.jobs.get(job_id)
    assert (job.status, job.attempt) == ("queued", 0)


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that the user whom PostgreSQL runs as can pass."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-tests-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


async def test_the_worker_outlives_a_restart_of_the_database(home: Path) -> None:
    """The postmaster is killed as by a crash, and another one is started on the same data."""
    with EmbeddedPostgres(home) as url:
        await asyncio.to_thread(migrate, url)
        async with open_world(url) as services, worker_here(services):
            job_id = await submit(services, "echo", n=100)
            await until(services.jobs.any_worker)
            postmaster = int((home / "postgres/data/postmaster.pid").read_text().split()[0])
            psutil.Process(postmaster).kill()
            await asyncio.sleep(1)
            with EmbeddedPostgres(home):
                assert (await end_of(services, job_id)).status == "succeeded"
                assert (await end_of(services, await submit(services, "echo"))).status == "succeeded"
