"""Facts from tables of the database: looked at when they are named, copied when a job starts."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.container import Services
from app.services.built_rows import BuiltRows
from app.tables import Revision

SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.customers (id int, joined timestamptz, region text, vip boolean, spent numeric);
CREATE TABLE shop.visits (id int, at timestamptz, what text, paid numeric);
INSERT INTO shop.customers VALUES (1, '2024-01-01', 'north', true, 10.5), (2, '2024-01-05', 'south', false, NULL);
INSERT INTO shop.visits
SELECT 1 + n % 2, timestamptz '2024-01-10' + n * interval '3 days', CASE WHEN n % 3 = 0 THEN 'call' ELSE 'buy' END, n
FROM generate_series(0, 39) AS n;
"""
BODY: dict[str, Any] = {
    "name": "shop",
    "kind": "events",
    "accounts": {"id_column": "id", "created_at_column": "joined", "source_table": "shop.customers"},
    "events": {
        "id_column": "id",
        "occurred_at_column": "at",
        "kind_column": "what",
        "amount_column": "paid",
        "source_table": "shop.visits",
    },
    "active": {"kind": "event", "days": 30},
    "horizon_days": 20,
}


@pytest.fixture(autouse=True)
async def _tables(services: Services) -> None:
    async with services.sessions.begin() as session:
        for statement in filter(str.strip, SHOP.split(";")):
            await session.execute(text(statement))


async def copied(services: Services) -> tuple[Revision, BuiltRows]:
    async with services.sessions() as session:
        dataset = await services.datasets.resolve(session, "shop")
    revision = await services.datasets.fix_revision(dataset.id, to="train")
    source = await services.frames.open(dataset, revision)
    assert isinstance(source, BuiltRows)
    return revision, source


async def change(services: Services, statement: str) -> None:
    async with services.sessions.begin() as session:
        await session.execute(text(statement))


async def test_tables_are_copied_as_a_job_starts(client: httpx.AsyncClient, services: Services) -> None:
    assert (await client.post("/datasets", json=BODY)).status_code == 201
    revision, source = await copied(services)
    assert (revision.number, revision.n_rows, revision.n_accounts) == (2, 42, 2)  # one revision a table
    [frame] = [each async for each in source.active_chunks(chunk_size=10)]
    assert frame.accounts.to_pylist() == ["1", "2"]
    assert frame.features["region"].to_pylist() == ["north", "south"]
    assert frame.features["vip"].to_pylist() == [True, False]
    assert frame.features["spent"].to_pylist() == [10.5, None]
    # Of the last 30 days before 8 May 2024 (events until 6 May): n = 30 .. 39, of which 30, 33, 36 and 39 are calls.
    calls = [sum(n % 3 == 0 and 1 + n % 2 == account for n in range(30, 40)) for account in (1, 2)]
    assert frame.features["n_call_30d"].to_pylist() == calls


async def test_a_table_that_says_the_same_makes_no_revision(client: httpx.AsyncClient, services: Services) -> None:
    assert (await client.post("/datasets", json=BODY)).status_code == 201
    first, _ = await copied(services)
    again, _ = await copied(services)
    assert again.id == first.id
    await change(services, "UPDATE shop.customers SET region = 'west' WHERE id = 2")
    changed, source = await copied(services)
    assert changed.number == first.number + 1
    assert (await source.newest(["2"])).features["region"].to_pylist() == ["west"]


async def test_an_upload_to_a_copied_fact_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/datasets", json=BODY)).status_code == 201
    answer = await client.post("/datasets/shop/facts/events", content="id,at,what,paid\n1,2024-01-01,buy,1\n")
    assert (answer.status_code, answer.json()["code"]) == (409, "facts_come_from_table")


@pytest.mark.parametrize(
    ("fact", "change_to", "pointer"),
    [
        ("events", {"source_table": "shop.nothing"}, "/source_table"),
        ("events", {"source_table": "public.jobs"}, "/source_table"),
        ("events", {"source_table": "pg_catalog.pg_authid"}, "/source_table"),
        ("events", {"amount_column": "price"}, "/events/amount_column"),
        ("accounts", {"created_at_column": "born"}, "/accounts/created_at_column"),
    ],
)
async def test_a_source_that_can_not_be_is_refused(
    client: httpx.AsyncClient, fact: str, change_to: dict[str, str], pointer: str
) -> None:
    answer = await client.post("/datasets", json=BODY | {fact: BODY[fact] | change_to})
    assert answer.status_code == 422, answer.text
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    assert (await client.get("/datasets")).json()["items"] == []
