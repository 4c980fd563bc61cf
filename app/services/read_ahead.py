"""Chunks that are read while those before them are worked on."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import TypeVar

T = TypeVar("T")


async def read_ahead(chunks: Iterator[T]) -> AsyncGenerator[T]:
    """Each chunk, while a thread reads the next one; memory is bounded by two.

    Close it (`contextlib.aclosing`) where work on a chunk may fail: the thread is then done with what it reads from.
    """
    chunk = await asyncio.to_thread(next, chunks, None)
    while chunk is not None:
        coming = asyncio.create_task(asyncio.to_thread(next, chunks, None))
        try:
            yield chunk
        finally:
            chunk = await coming
