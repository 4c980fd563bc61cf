"""A simulated business in tables of a real PostgreSQL."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import asyncpg
import pyarrow.compute as pc
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db import make_engine
from app.services.simulation import write_tables
from app.settings import Settings
from app.simulator import SimulatorConfig, simulate, true_probabilities

CONFIG = SimulatorConfig(n_accounts=250, block_accounts=100)
AS_OF = datetime(2025, 3, 1, tzinfo=UTC)
TABLES = (
    "CREATE TABLE data.sim_accounts (account_id text, created_at timestamptz, industry text, country text,"
    " channel text, contract text, yearly_increase_pct float8, has_integration boolean, seats bigint,"
    " admin_number bigint, annual_value float8, valid_from timestamptz, recorded_at timestamptz)",
    "CREATE TABLE data.sim_subscriptions (subscription_id text, account_id text, started_at timestamptz,"
    " ended_at timestamptz, plan text, recurring_amount float8, recorded_at timestamptz)",
    "CREATE TABLE data.sim_events (id bigint GENERATED ALWAYS AS IDENTITY, account_id text, occurred_at timestamptz,"
    " kind text, quantity float8, amount float8, recorded_at timestamptz)",
)
CUSTOMERS = (
    "SELECT account_id FROM data.sim_subscriptions"
    " WHERE started_at < :as_of AND (ended_at IS NULL OR ended_at >= :as_of) ORDER BY 1"
)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[AsyncConnection]:
    engine = make_engine(database_url, Settings())
    async with engine.connect() as connection:
        for statement in TABLES:
            await connection.execute(text(statement))
        yield connection
    await engine.dispose()


async def load(connection: AsyncConnection, show: Callable[[int], None] | None = None) -> dict[str, int]:
    return await write_tables(
        CONFIG,
        connection,
        accounts="sim_accounts",
        subscriptions="sim_subscriptions",
        events="sim_events",
        schema="data",
        show=show,
    )


async def test_every_fact_arrives_and_the_customers_are_those_of_the_truth(connection: AsyncConnection) -> None:
    done: list[int] = []
    n_rows = await load(connection, done.append)
    assert done == [1, 2, 3]
    blocks = list(simulate(CONFIG))
    for table in ("accounts", "subscriptions", "events"):
        found = (await connection.execute(text(f"SELECT count(*) FROM data.sim_{table}"))).scalar_one()
        assert found == n_rows[table] == sum(getattr(block, table).num_rows for block in blocks)
    newest = (await connection.execute(text("SELECT max(recorded_at) FROM data.sim_events"))).scalar_one()
    assert newest == max(pc.max(block.events["recorded_at"]).as_py() for block in blocks)
    customers = (await connection.execute(text(CUSTOMERS), {"as_of": AS_OF})).scalars().all()
    assert customers == sorted(true_probabilities(CONFIG, AS_OF)["account_id"].to_pylist())


async def test_a_table_that_does_not_fit_stops_the_writing(connection: AsyncConnection) -> None:
    await connection.execute(text("ALTER TABLE data.sim_events DROP COLUMN quantity"))
    with pytest.raises(asyncpg.UndefinedColumnError, match="quantity"):
        await load(connection)
