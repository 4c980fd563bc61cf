"""COPY, locks and URLs, against a real PostgreSQL."""

import asyncio
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import (
    copy_in,
    copy_out,
    is_bad_value,
    is_outage,
    make_engine,
    make_sessions,
    psycopg_url,
    quote_name,
    take_lock,
)
from app.settings import Settings

ROWS = pa.table(
    {
        "name": pa.array(["plain", "", None, 'a "quoted", text\nin two lines', "ünï", "\\N", "t"]),
        "amount": pa.array([1.5, None, float("inf"), -0.1, 1e300, 0.1 + 0.2, 5e-324]),
        "flag": pa.array([True, False, None, True, False, None, True]),
        "at": pa.array([datetime(2026, 1, 2, 3, 4, 5, 6, UTC)] * 6 + [None], pa.timestamp("us", "UTC")),
    }
)


@pytest.fixture
async def engine(database_url: str) -> AsyncEngine:
    return make_engine(database_url, Settings())


async def test_rows_come_back_as_they_went_in(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text('CREATE TABLE data.t ("name" text, amount float8, flag boolean, at timestamptz)'))
        n_rows = await copy_in(connection, ROWS, "t", schema="data")
        back = await copy_out(connection, "SELECT * FROM data.t", schema=ROWS.schema)
    await engine.dispose()
    assert n_rows == 7
    assert back.equals(ROWS)


async def test_an_empty_answer_has_its_columns(engine: AsyncEngine) -> None:
    schema = pa.schema([("n", pa.int64())])
    async with engine.begin() as connection:
        back = await copy_out(connection, "SELECT 1 WHERE $1 = 'b'", "a", schema=schema)
    await engine.dispose()
    assert back.equals(schema.empty_table())


async def test_a_copy_is_undone_with_its_transaction(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE data.t (n bigint)"))
    async with engine.connect() as connection:
        await copy_in(connection, pa.table({"n": [1, 2]}), "t", schema="data")
        await connection.rollback()
        count = (await connection.execute(text("SELECT count(*) FROM data.t"))).scalar_one()
    await engine.dispose()
    assert count == 0


async def test_a_lock_keeps_the_second_waiting_until_the_first_commits(engine: AsyncEngine) -> None:
    sessions, order = make_sessions(engine), []

    async def hold(name: str, seconds: float) -> None:
        async with sessions.begin() as session:
            await take_lock(session, 7, 1)
            order.append(f"{name} in")
            await asyncio.sleep(seconds)
            order.append(f"{name} out")

    first = asyncio.create_task(hold("first", 0.3))
    await asyncio.sleep(0.1)
    await asyncio.gather(first, hold("second", 0))
    await engine.dispose()
    assert order == ["first in", "first out", "second in", "second out"]


async def test_a_value_out_of_range_is_the_callers_fault(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError) as caught:
            await connection.execute(text("SELECT CAST(:x AS text)::int"), {"x": "99999999999"})
    await engine.dispose()
    assert is_bad_value(caught.value)


async def test_a_statement_that_takes_too_long_is_an_outage(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SET statement_timeout = 20"))
        with pytest.raises(DBAPIError) as caught:
            await connection.execute(text("SELECT pg_sleep(5)"))
    await engine.dispose()
    assert is_outage(caught.value)
    assert not is_bad_value(caught.value)


def test_the_synchronous_url_names_its_schema_and_keeps_the_password() -> None:
    url = psycopg_url("postgresql+asyncpg://u:p%40ss@h:1/d?ssl=require", schema="mlflow")
    assert url == "postgresql+psycopg://u:p%40ss@h:1/d?options=-csearch_path%3Dmlflow&sslmode=require"


def test_a_quote_in_a_name_is_doubled() -> None:
    assert quote_name('a"b') == '"a""b"'
