"""The queue's entries live and die with the transactions of their jobs."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import text

from app import queue
from app.container import Services
from app.queue import Ticket
from tests.working import execute, open_world

LONG_SECONDS = 60.0


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[Services]:
    async with open_world(database_url) as services:
        yield services


async def add(services: Services, n: int) -> list[int]:
    async with services.sessions.begin() as session:
        jobs = [await services.jobs.add(session, "echo", {}, dataset_id=None, actor="tester") for _ in range(n)]
        return [job.id for job in jobs]


async def claim(services: Services, limit: int, *, timeout_seconds: float = LONG_SECONDS) -> list[Ticket]:
    async with services.sessions.begin() as session:
        return await queue.claim(session, uuid4(), limit=limit, heartbeat_timeout_seconds=timeout_seconds)


async def n_entries(services: Services) -> int:
    [(n,)] = await execute(services, "SELECT count(*) FROM pgqueuer")
    return int(n)


async def test_a_rolled_back_transaction_leaves_neither_job_nor_entry(services: Services) -> None:
    async with services.sessions() as session:
        await services.jobs.add(session, "echo", {}, dataset_id=None, actor="tester")
        await session.rollback()
    assert await n_entries(services) == 0
    assert await execute(services, "SELECT count(*) FROM jobs") == [(0,)]


async def test_an_entry_written_first_is_rolled_back_too(services: Services) -> None:
    """Before a session's first statement asyncpg is in no transaction."""
    async with services.sessions() as session:
        await queue.enqueue(session, [1])
        await session.rollback()
    assert await n_entries(services) == 0


async def test_nobody_sees_an_entry_before_the_commit(services: Services) -> None:
    async with services.sessions.begin() as session:
        job = await services.jobs.add(session, "echo", {}, dataset_id=None, actor="tester")
        assert await claim(services, 10) == []
    assert [ticket.job_id for ticket in await claim(services, 10)] == [job.id]


async def test_a_job_is_in_the_queue_once(services: Services) -> None:
    [job_id] = await add(services, 1)
    async with services.sessions.begin() as session:
        await queue.enqueue(session, [job_id, job_id])
    assert await n_entries(services) == 1


async def test_the_oldest_come_first_up_to_the_limit(services: Services) -> None:
    numbers = await add(services, 5)
    assert [ticket.job_id for ticket in await claim(services, 2)] == numbers[:2]
    assert [ticket.job_id for ticket in await claim(services, 9)] == numbers[2:]


async def test_claims_at_the_same_time_never_meet(services: Services) -> None:
    numbers = await add(services, 20)
    claims = await asyncio.gather(*(claim(services, 5) for _ in range(8)))
    taken = [ticket.job_id for tickets in claims for ticket in tickets]
    assert len(taken) == len(set(taken))
    rest = [ticket.job_id for ticket in await claim(services, 20)]
    assert sorted(taken + rest) == numbers


async def test_a_holder_that_is_silent_loses_its_place(services: Services) -> None:
    await add(services, 2)
    silent, alive = await claim(services, 2)
    await asyncio.sleep(0.4)
    async with services.sessions.begin() as session:
        await queue.beat(session, alive)
    again = await claim(services, 2, timeout_seconds=0.3)
    assert [ticket.job_id for ticket in again] == [silent.job_id]


async def test_what_is_put_back_can_be_taken_after_the_delay(services: Services) -> None:
    await add(services, 1)
    [ticket] = await claim(services, 1)
    async with services.sessions.begin() as session:
        await queue.put_back(session, ticket, delay_seconds=0.3)
    assert await claim(services, 1) == []
    await asyncio.sleep(0.4)
    assert [again.job_id for again in await claim(services, 1)] == [ticket.job_id]


async def test_what_is_removed_is_gone(services: Services) -> None:
    await add(services, 1)
    [ticket] = await claim(services, 1)
    async with services.sessions.begin() as session:
        await queue.remove(session, ticket)
    assert await n_entries(services) == 0


async def test_lost_are_open_jobs_without_an_entry_and_without_a_heartbeat(services: Services) -> None:
    numbers = await add(services, 5)
    waiting, silent, alive, ended, _present = numbers
    await execute(services, f"DELETE FROM pgqueuer WHERE dedupe_key <> 'job-{numbers[-1]}'")
    silent_since = "now() - interval '1 minute'"
    await execute(services, f"UPDATE jobs SET status = 'running', heartbeat_at = {silent_since} WHERE id = {silent}")
    await execute(services, f"UPDATE jobs SET status = 'running', heartbeat_at = now() WHERE id = {alive}")
    await execute(services, f"UPDATE jobs SET status = 'failed' WHERE id = {ended}")
    async with services.sessions() as session:
        assert await queue.find_lost(session, heartbeat_timeout_seconds=10) == [waiting, silent]


async def test_old_notes_of_the_queue_are_forgotten(services: Services) -> None:
    await add(services, 2)
    await execute(services, "UPDATE pgqueuer_log SET created = now() - interval '8 days' WHERE job_id = 1")
    async with services.sessions.begin() as session:
        await queue.trim(session)
        ages = await session.scalars(text("SELECT job_id FROM pgqueuer_log"))
        assert ages.all() == [2]
