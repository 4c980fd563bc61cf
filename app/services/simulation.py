"""A simulated business into tables of the database, block by block, by COPY."""

import asyncio
from collections.abc import Callable

import pyarrow as pa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db import copy_in
from app.simulator import SimulatorConfig, simulate
from app.simulator.writing import TABLES


async def write_tables(
    config: SimulatorConfig,
    connection: AsyncConnection,
    *,
    accounts: str,
    subscriptions: str,
    events: str,
    schema: str = "public",
    show: Callable[[int], None] | None = None,
) -> dict[str, int]:
    """Append the facts to three tables that exist, columns by name; returns the rows of each.

    In the transaction that `connection` has begun: its owner says when they are seen. While the database takes in one
    block the next is made, so memory is bounded by two. `show` is told the number of blocks done. The connection is one
    of `make_engine`, which speaks UTC.
    """
    names = dict(zip(TABLES, (accounts, subscriptions, events), strict=True))
    n_rows, blocks = dict.fromkeys(TABLES, 0), simulate(config)
    block = await asyncio.to_thread(next, blocks, None)
    while block is not None:
        done, coming = block.number + 1, asyncio.create_task(asyncio.to_thread(next, blocks, None))
        try:
            for table, name in names.items():
                n_rows[table] += await copy_in(connection, _without_zone(getattr(block, table)), name, schema=schema)
        finally:
            block = await coming  # also where the copy has failed: the thread must be done with the blocks
        if show:
            show(done)
    return n_rows


def _without_zone(rows: pa.Table) -> pa.Table:
    """Instants as bare times: our connections speak UTC, and a zone makes text of a time ten times as slow."""
    columns = [
        column.cast(pa.timestamp("s")) if pa.types.is_timestamp(column.type) else column for column in rows.columns
    ]
    return pa.table(columns, names=rows.column_names)
