"""A simulated business into tables of the database, block by block, by COPY."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pyarrow as pa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db import copy_in
from app.simulator import Block, SimulatorConfig, simulate
from app.simulator.writing import TABLES

SLICE_ROWS = 200_000


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
    block the next is made, so memory is bounded by two. `show` is told the number of blocks done.
    """
    names = dict(zip(TABLES, (accounts, subscriptions, events), strict=True))
    n_rows = dict.fromkeys(TABLES, 0)
    async with aclosing(_made_ahead(config)) as blocks:
        async for block in blocks:
            for table, name in names.items():
                n_rows[table] += await _copy(connection, getattr(block, table), name, schema)
            if show:
                show(block.number + 1)
    return n_rows


async def _made_ahead(config: SimulatorConfig) -> AsyncGenerator[Block]:
    """Each block, while the next is made; always in the same thread: each thread keeps the memory of a block."""
    blocks, loop = simulate(config), asyncio.get_running_loop()
    with ThreadPoolExecutor(max_workers=1) as thread:
        block = await loop.run_in_executor(thread, next, blocks, None)
        while block is not None:
            coming = loop.run_in_executor(thread, next, blocks, None)
            yield block
            block = await coming


async def _copy(connection: AsyncConnection, rows: pa.Table, table: str, schema: str) -> int:
    """Copy in slices, so that the text of a block is never in memory as a whole."""
    return sum(
        [
            await copy_in(connection, rows.slice(first, SLICE_ROWS), table, schema=schema)
            for first in range(0, rows.num_rows, SLICE_ROWS)
        ]
    )
