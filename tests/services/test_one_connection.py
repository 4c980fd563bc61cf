"""Nobody holds a connection while waiting for another: whatever is asked at once, a pool of one suffices."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from app.db import make_sessions
from app.schemas.scoring import ScoreIn
from app.tables import Dataset
from tests.services.scoring_world import JANUARY, Desk, World, draw_frame, open_desk, open_world

FRAME = draw_frame(40, seed=3)
CALLS = 8


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    """Services with one connection, on a dataset that has a champion they have not loaded."""
    async with open_world(database_url) as world:
        await seed(open_desk(world))
    narrow = create_async_engine(database_url, pool_size=1, max_overflow=0, pool_timeout=10)
    yield open_desk(World(narrow, make_sessions(narrow)))
    await narrow.dispose()


async def seed(desk: Desk) -> Dataset:
    dataset = await desk.world.add_dataset(as_of_column="as_of", horizon_days=30)
    version = await desk.world.add_version(dataset, await desk.upload(FRAME, as_of=JANUARY))
    await desk.world.promote(dataset, version)
    return dataset


@pytest.mark.parametrize("version", ["champion", "1"])
async def test_single_scores(desk: Desk, version: str) -> None:
    account = {"account_id": "new", "features": {"tenure": 3, "plan": "a"}}
    body = ScoreIn.model_validate({"accounts": [account], "version": version})
    answers = await asyncio.gather(*(desk.online.score(body) for _ in range(CALLS)))
    assert {answer.version for answer in answers} == {1}


@pytest.mark.parametrize("version", ["champion", "1"])
async def test_what_a_version_reads(desk: Desk, version: str) -> None:
    schemas = await asyncio.gather(*(desk.online.describe(None, version) for _ in range(CALLS)))
    assert {schema.version for schema in schemas} == {1}


async def test_a_batch_and_a_check_of_it(desk: Desk) -> None:
    assert (await desk.score())["n_accounts_scored"] > 0
    assert (await desk.check()).run_id == 1
