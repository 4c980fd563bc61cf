"""A process that is killed in the middle of an upload leaves nothing that anybody could see."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from app.container import Services, open_services
from app.schemas.datasets import SnapshotsIn
from app.settings import Settings

BODY = SnapshotsIn(name="d", id_column="id", label_column="left", positive_value="yes")
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def stream() -> AsyncIterator[bytes]:
    yield b"id,seats,left\n1,1,yes\n2,2,no\n"


def upload(database_url: str) -> None:
    async def run() -> None:
        async with open_services(Settings(database_url=database_url), database_url) as services:
            await services.uploads.replace("d", stream(), media_type="text/csv", actor="test")

    asyncio.run(run())


async def count(services: Services, query: str) -> int:
    async with services.sessions() as session:
        return int((await session.execute(text(query))).scalar_one())


@pytest.mark.slow
async def test_a_killed_upload_leaves_nothing_and_blocks_nobody(services: Services, database_url: str) -> None:
    """It is held up by a lock where the rows are in their table and the revision is being written."""
    await services.datasets.create(BODY, actor="test")
    child = multiprocessing.get_context("spawn").Process(target=upload, args=(database_url,))
    async with services.sessions.begin() as session:
        await session.execute(text("LOCK TABLE revision_parts IN ACCESS EXCLUSIVE MODE"))
        child.start()
        async with asyncio.timeout(60):
            while not await count(services, WAITING):
                await asyncio.sleep(0.1)
        assert child.pid
        os.kill(child.pid, signal.SIGKILL)
        await asyncio.to_thread(child.join)

    told = await services.uploads.replace("d", stream(), media_type="text/csv", actor="test")
    assert (told.number, told.n_rows) == (1, 2)
    assert await count(services, "SELECT count(*) FROM pg_tables WHERE schemaname = 'data'") == 1
    assert await count(services, "SELECT count(*) FROM parts") == 1
