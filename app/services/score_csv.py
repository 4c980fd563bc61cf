"""A run's scores as CSV: streamed out of the database by COPY, never held whole."""

import asyncio
from collections.abc import AsyncIterator

from app.db import Sessions, driver
from app.schemas.scoring import TierName
from app.sql import read_query
from app.tables import ScoringRun

MAX_WAITING = 8  # pieces of some 64 kB that wait for a slow reader before the database is made to wait too


async def stream_scores(
    sessions: Sessions, run: ScoringRun, *, tier: TierName | None, min_probability: float | None
) -> AsyncIterator[bytes]:
    """The rows of `scores_csv.sql` with a header, in pieces; a reader that goes away ends the COPY."""
    pieces: asyncio.Queue[bytes | bytearray | None] = asyncio.Queue(MAX_WAITING)

    async def copy() -> None:
        async with sessions() as session:
            bare = await driver(await session.connection())
            args = (run.id, tier, min_probability, run.provisional)
            await bare.copy_from_query(read_query("scores_csv"), *args, output=pieces.put, format="csv", header=True)

    task = asyncio.create_task(copy())
    task.add_done_callback(lambda _: pieces.put_nowait(None) if not pieces.full() else None)
    try:
        while not (task.done() and pieces.empty()):
            piece = await pieces.get()
            if piece is not None:
                yield bytes(piece)  # asyncpg hands out bytearrays
        await task
    finally:
        task.cancel()
