"""Attempts: who may write about a job, and what becomes of it when an attempt is over."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.container import Services
from app.errors import JobEnded
from app.services.attempts import Attempt, Attempts, Standing
from app.services.jobs import JobContext, JobLost
from tests.working import execute, open_world, submit

TIMEOUT_SECONDS = 1.0


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[Services]:
    async with open_world(database_url, heartbeat_timeout_seconds=TIMEOUT_SECONDS) as services:
        yield services


@pytest.fixture
def attempts(services: Services) -> Attempts:
    return make_attempts(services)


def make_attempts(services: Services) -> Attempts:
    return Attempts(services.sessions, uuid4(), heartbeat_timeout_seconds=TIMEOUT_SECONDS, max_attempts=3)


async def begin(services: Services, attempts: Attempts) -> Attempt:
    job_id = await submit(services, "effect", a=1)
    [attempt] = await attempts.claim(5)
    assert attempt.job == JobContext(job_id, 1, "effect", {"a": 1}, None, "tester")
    return attempt


async def fall_silent(services: Services) -> None:
    """Let all heartbeats be old, the job's and the queue's."""
    await execute(services, "UPDATE jobs SET heartbeat_at = now() - interval '1 hour'")
    await execute(services, "UPDATE pgqueuer SET heartbeat = now() - interval '1 hour'")


async def status(services: Services, attempt: Attempt) -> tuple[str, int]:
    job = await services.jobs.get(attempt.job.id)
    return job.status, job.attempt


async def test_a_job_that_is_well_is_not_taken_although_the_queue_thinks_it_lost(
    services: Services, attempts: Attempts
) -> None:
    attempt = await begin(services, attempts)
    await execute(services, "UPDATE pgqueuer SET heartbeat = now() - interval '1 hour'")
    assert await make_attempts(services).claim(5) == []
    assert await attempts.beat(attempt, step="folds", progress=0.5) is Standing.OURS
    await attempts.succeed(attempt, {"n": 1}, step="folds")
    assert await status(services, attempt) == ("succeeded", 1)
    assert await execute(services, "SELECT count(*) FROM pgqueuer") == [(0,)]


async def test_a_silent_job_is_taken_over_and_the_old_attempt_writes_nothing(
    services: Services, attempts: Attempts
) -> None:
    old = await begin(services, attempts)
    await fall_silent(services)
    [new] = await make_attempts(services).claim(5)
    assert (new.job.id, new.job.attempt) == (old.job.id, 2)
    assert await attempts.beat(old, step=None, progress=0) is Standing.LOST
    await attempts.succeed(old, {}, step=None)
    await attempts.fail(old, {}, step=None, progress=0)
    await attempts.cancel(old, step=None, progress=0)
    await attempts.release(old, counted=True)
    assert await status(services, old) == ("running", 2)
    assert await execute(services, "SELECT status::text FROM pgqueuer") == [("picked",)]


async def test_a_fourth_attempt_is_not_begun(services: Services, attempts: Attempts) -> None:
    attempt = await begin(services, attempts)
    for _ in range(2):
        await fall_silent(services)
        assert await attempts.claim(5)
    await fall_silent(services)
    assert await attempts.claim(5) == []
    job = await services.jobs.get(attempt.job.id)
    assert (job.status, job.attempt) == ("failed", 3)
    assert job.problem is not None
    assert job.problem["code"] == "attempts_exhausted"


@pytest.mark.parametrize(("counted", "left"), [(True, 1), (False, 0)])
async def test_a_released_job_waits_again(services: Services, attempts: Attempts, counted: bool, left: int) -> None:
    attempt = await begin(services, attempts)
    await attempts.release(attempt, counted=counted)
    assert await status(services, attempt) == ("queued", left)
    [again] = await attempts.claim(5)
    assert again.job.attempt == left + 1


async def test_a_wish_to_cancel_reaches_the_worker(services: Services, attempts: Attempts) -> None:
    attempt = await begin(services, attempts)
    assert (await services.jobs.cancel(attempt.job.id)).status == "running"
    assert await attempts.beat(attempt, step=None, progress=0) is Standing.CANCELLED
    await attempts.cancel(attempt, step="folds", progress=0.5)
    assert await status(services, attempt) == ("cancelled", 1)


async def test_a_job_that_is_to_be_cancelled_is_not_tried_again(services: Services, attempts: Attempts) -> None:
    attempt = await begin(services, attempts)
    await services.jobs.cancel(attempt.job.id)
    await attempts.release(attempt, counted=True)
    assert await status(services, attempt) == ("cancelled", 1)


async def test_a_silent_job_is_cancelled_at_once(services: Services, attempts: Attempts) -> None:
    attempt = await begin(services, attempts)
    await fall_silent(services)
    assert (await services.jobs.cancel(attempt.job.id)).status == "cancelled"
    assert await attempts.beat(attempt, step=None, progress=0) is Standing.LOST
    assert await attempts.claim(5) == []
    assert await execute(services, "SELECT count(*) FROM pgqueuer") == [(0,)], "its entry goes when it is next seen"


async def test_what_has_ended_is_not_cancelled(services: Services, attempts: Attempts) -> None:
    attempt = await begin(services, attempts)
    await attempts.succeed(attempt, {}, step=None)
    with pytest.raises(JobEnded):
        await services.jobs.cancel(attempt.job.id)


async def test_under_guard_heartbeats_pass_but_nobody_takes_over(services: Services, attempts: Attempts) -> None:
    attempt = await begin(services, attempts)
    other = make_attempts(services)
    async with services.sessions.begin() as session:
        await attempt.job.guard(session)
        assert await attempts.beat(attempt, step=None, progress=0) is Standing.OURS
        await fall_silent(services)
        assert await other.claim(5) == []
        assert (await services.jobs.cancel(attempt.job.id)).status == "running"
        await session.execute(text("INSERT INTO effects VALUES (:job, 1)"), {"job": attempt.job.id})
    assert await execute(services, "SELECT attempt FROM effects") == [(1,)]


@pytest.mark.parametrize("end", ["cancelled", "taken over", "succeeded"])
async def test_the_guard_refuses_what_is_not_the_newest(services: Services, attempts: Attempts, end: str) -> None:
    attempt = await begin(services, attempts)
    if end == "cancelled":
        await services.jobs.cancel(attempt.job.id)
    elif end == "taken over":
        await fall_silent(services)
        assert await attempts.claim(5)
    else:
        await attempts.succeed(attempt, {}, step=None)
    async with services.sessions.begin() as session:
        with pytest.raises(JobLost):
            await attempt.job.guard(session)


async def test_a_take_over_waits_for_no_transaction_and_is_seen_by_the_guard(
    services: Services, attempts: Attempts
) -> None:
    """The guard, asked while the row is being taken over, sees the outcome and not the past."""
    attempt = await begin(services, attempts)
    async with services.sessions.begin() as taking:
        await taking.execute(text("SELECT FROM jobs FOR UPDATE"))
        async with services.sessions.begin() as session:
            asked = asyncio.create_task(attempt.job.guard(session))
            await asyncio.sleep(0.2)
            assert not asked.done()
            await taking.execute(text("UPDATE jobs SET attempt = 2"))
            await taking.commit()
            with pytest.raises(JobLost):
                await asked


async def test_a_worker_is_alive_while_its_heartbeat_is_young(services: Services, attempts: Attempts) -> None:
    assert not await services.jobs.any_worker()
    await attempts.stay_alive()
    assert await services.jobs.any_worker()
    await asyncio.sleep(TIMEOUT_SECONDS + 0.2)
    assert not await services.jobs.any_worker()
    await attempts.stay_alive()
    assert await services.jobs.any_worker()
    await attempts.leave()
    assert not await services.jobs.any_worker()


async def test_the_sweep_puts_back_what_was_lost(services: Services, attempts: Attempts) -> None:
    await submit(services, "effect")
    await execute(services, "DELETE FROM pgqueuer")
    await execute(services, "INSERT INTO workers (id, heartbeat_at) VALUES ('old', now() - interval '1 day')")
    assert await attempts.claim(5) == []
    assert await attempts.sweep() == 1
    assert await attempts.sweep() == 0
    assert len(await attempts.claim(5)) == 1
    assert await execute(services, "SELECT count(*) FROM workers") == [(0,)]
