"""Rows built of facts arrive in chunks, some of which are made ahead."""

from contextlib import aclosing

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.pool import QueuePool

from app.container import Services
from app.services.built_rows import BuiltRows
from app.services.revisions import get_revision

N_ACCOUNTS = 12


@pytest.fixture
async def rows(client: httpx.AsyncClient, services: Services) -> BuiltRows:
    """Accounts a00 to a11, each active."""
    described = {"name": "shop", "kind": "events", "events": {}, "active": {"kind": "event"}, "horizon_days": 30}
    answer = await client.post("/datasets", json=described)
    assert answer.status_code == 201, answer.text
    lines = [f"a{number:02},2025-03-0{1 + number % 9}" for number in range(N_ACCOUNTS)]
    content = "\n".join(["account_id,occurred_at", *lines])
    answer = await client.put("/datasets/shop/facts/events", content=content)
    assert answer.status_code == 201, answer.text
    async with services.sessions() as session:
        dataset = await services.datasets.resolve(session, "shop")
        revision = await get_revision(session, dataset)
    source = await services.frames.open(dataset, revision)
    assert isinstance(source, BuiltRows)
    return source


def n_connections(services: Services) -> int:
    pool = services.engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


async def test_chunks_arrive_in_order_whatever_their_size(rows: BuiltRows) -> None:
    for size in (1, 5, N_ACCOUNTS, 100):
        chunks = [chunk.accounts.to_pylist() async for chunk in rows.active_chunks(chunk_size=size)]
        assert max(map(len, chunks)) == min(size, N_ACCOUNTS)
        assert [account for chunk in chunks for account in chunk] == [f"a{number:02}" for number in range(N_ACCOUNTS)]


async def test_a_caller_who_stops_leaves_no_query_behind(rows: BuiltRows, services: Services) -> None:
    async with aclosing(rows.active_chunks(chunk_size=1)) as chunks:
        assert len(await anext(chunks)) == 1
    assert n_connections(services) == 0


async def test_a_query_that_fails_ends_those_beside_it(rows: BuiltRows, services: Services) -> None:
    async with services.sessions.begin() as session:
        await session.execute(text(f"ALTER TABLE {rows.query.tables.tables['events']} RENAME COLUMN kind TO sort"))
    with pytest.raises(Exception, match="kind"):
        [chunk async for chunk in rows.active_chunks(chunk_size=1)]
    assert n_connections(services) == 0


async def test_an_account_that_is_not_there_has_no_row(rows: BuiltRows) -> None:
    assert (await rows.newest(["a03", "nobody"])).accounts.to_pylist() == ["a03"]
