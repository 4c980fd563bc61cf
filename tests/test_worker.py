"""A worker and its children: answers, failures, deaths, cancellation, stopping, outages."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from app.container import Services
from app.worker import work_until_done
from tests.job_handlers import handlers
from tests.working import child_of, end_of, execute, is_gone, open_world, submit, until, worker_here


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[Services]:
    async with open_world(database_url) as services:
        yield services


@pytest.fixture
async def worked(services: Services) -> AsyncIterator[Services]:
    """Services with a worker beside them."""
    async with worker_here(services):
        yield services


async def has_begun(services: Services, job_id: int) -> bool:
    return (await services.jobs.get(job_id)).status == "running"


async def is_written(services: Services) -> bool:
    return bool(await execute(services, "SELECT 1 FROM effects"))


async def test_a_job_runs_in_a_process_of_its_own(worked: Services) -> None:
    job = await end_of(worked, await submit(worked, "echo", a=[1, "x"]))
    assert job.status == "succeeded"
    assert job.result is not None
    assert job.result["params"] == {"a": [1, "x"]}
    assert job.result["actor"] == "tester"
    assert job.result["pid"] != os.getpid()
    assert (job.attempt, job.progress, job.problem) == (1, 1.0, None)
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.created_at <= job.started_at <= job.finished_at


async def test_progress_of_a_thread_is_seen_while_it_computes(worked: Services) -> None:
    seen = [job async for job in await worked.jobs.events(await submit(worked, "echo", n=30)) if job]
    shares = [job.progress for job in seen]
    assert shares == sorted(shares)
    assert any(job.step == "counting" and 0 < job.progress < 1 for job in seen)
    assert seen[-1].status == "succeeded"


async def test_an_expected_failure_is_the_jobs_problem_and_not_tried_again(worked: Services) -> None:
    job = await end_of(worked, await submit(worked, "fail"))
    assert (job.status, job.attempt, job.step, job.progress) == ("failed", 1, "looking", 0.25)
    assert job.problem is not None
    assert (job.problem["code"], job.problem["status"], job.problem["hint"]) == ("invalid_request", 422, "Upload more.")
    assert job.problem["n_rows"] == 3


@pytest.mark.parametrize("kind", ["break_down", "no_such_kind"])
async def test_a_bug_tells_nothing_of_itself(worked: Services, kind: str) -> None:
    job = await end_of(worked, await submit(worked, kind))
    assert (job.status, job.attempt) == ("failed", 1)
    assert job.problem is not None
    assert job.problem["code"] == "internal_error"
    assert "secret" not in str(job.problem)


@pytest.mark.parametrize("x", ["nan", "surrogate", "object"])
async def test_a_result_that_cannot_be_told_is_a_bug_too(worked: Services, x: str) -> None:
    job = await end_of(worked, await submit(worked, "unstorable", x=x))
    assert (job.status, job.problem and job.problem["code"]) == ("failed", "internal_error")


async def test_a_killed_child_is_tried_again(worked: Services) -> None:
    job = await end_of(worked, await submit(worked, "die", n=2))
    assert (job.status, job.result) == ("succeeded", {"attempt": 3})


async def test_after_three_lost_attempts_the_job_is_parked(worked: Services) -> None:
    job = await end_of(worked, await submit(worked, "die", n=3))
    assert (job.status, job.attempt) == ("failed", 3)
    assert job.problem is not None
    assert job.problem["code"] == "attempts_exhausted"
    assert await execute(worked, "SELECT count(*) FROM pgqueuer") == [(0,)]


async def test_an_outage_in_the_child_is_tried_again(worked: Services) -> None:
    job = await end_of(worked, await submit(worked, "outage"))
    assert (job.status, job.result) == ("succeeded", {"attempt": 2})


async def test_cancel_stops_a_loop_that_lets_nobody_run(worked: Services, tmp_path: Path) -> None:
    job_id = await submit(worked, "burn", pids=str(tmp_path))
    child = await child_of(tmp_path, 1)
    asked_at = time.monotonic()
    assert (await worked.jobs.cancel(job_id)).status == "running"
    await until(lambda: is_gone(child))
    assert time.monotonic() - asked_at < 2
    assert (await end_of(worked, job_id)).status == "cancelled"
    assert (await worked.jobs.cancel(job_id)).status == "cancelled", "asking twice is harmless"


async def test_a_cancelled_handler_may_tidy_up(worked: Services, tmp_path: Path) -> None:
    job_id = await submit(worked, "tidy", pids=str(tmp_path))
    await child_of(tmp_path, 1)
    await worked.jobs.cancel(job_id)
    assert (await end_of(worked, job_id)).status == "cancelled"
    assert (tmp_path / "tidied").exists()


async def test_a_stopping_worker_hands_back_what_it_holds(services: Services, tmp_path: Path) -> None:
    async with worker_here(services):
        job_id = await submit(services, "effect", pids=str(tmp_path), stuck=1)
        child = await child_of(tmp_path, 1)
        await until(lambda: is_written(services))
    assert is_gone(child)
    job = await services.jobs.get(job_id)
    assert (job.status, job.attempt, job.finished_at) == ("queued", 0, None)
    assert not await services.jobs.any_worker()
    async with worker_here(services):
        await until(lambda: has_begun(services, job_id))
    assert (await services.jobs.get(job_id)).attempt == 0, "handing back never counts"


async def test_two_workers_share_the_work(services: Services) -> None:
    numbers = [await submit(services, "effect") for _ in range(8)]
    async with worker_here(services), worker_here(services):
        jobs = [await end_of(services, number) for number in numbers]
    assert {(job.status, job.attempt) for job in jobs} == {("succeeded", 1)}


async def test_what_the_queue_has_lost_is_found(worked: Services) -> None:
    async with worked.sessions.begin() as session:
        job = await worked.jobs.add(session, "echo", {}, dataset_id=None, actor="tester")
        await session.execute(text("DELETE FROM pgqueuer"))
    assert (await end_of(worked, job.id)).status == "succeeded"


async def test_broken_connections_cost_nothing(worked: Services) -> None:
    job_id = await submit(worked, "echo", n=40)
    await until(lambda: has_begun(worked, job_id))
    await execute(
        worked,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    job = await end_of(worked, job_id)
    assert (job.status, job.attempt) == ("succeeded", 1)
    assert (await end_of(worked, await submit(worked, "echo"))).status == "succeeded"


async def test_without_a_worker_the_caller_works_until_its_job_is_done(services: Services) -> None:
    job_id = await submit(services, "echo", n=10)
    seen = [job.status async for job in work_until_done(services, job_id, handlers=handlers)]
    assert (seen[0], seen[-1]) == ("queued", "succeeded")
    assert not await services.jobs.any_worker()


async def test_beside_a_worker_the_caller_only_watches(worked: Services) -> None:
    await until(worked.jobs.any_worker)
    job_id = await submit(worked, "echo", n=10)
    seen = [job.status async for job in work_until_done(worked, job_id, handlers=handlers)]
    assert seen[-1] == "succeeded"
    assert await execute(worked, "SELECT count(*) FROM workers") == [(1,)]


async def test_a_cancelled_caller_cancels_its_job(services: Services, tmp_path: Path) -> None:
    job_id = await submit(services, "burn", pids=str(tmp_path))

    async def work() -> None:
        async for _ in work_until_done(services, job_id, handlers=handlers):
            pass

    caller = asyncio.create_task(work())
    child = await child_of(tmp_path, 1)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert (await services.jobs.get(job_id)).status == "cancelled"
    assert is_gone(child)
