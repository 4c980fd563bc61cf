"""From the rows of a file to a part table: chunk by chunk, by COPY."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import pyarrow as pa
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import copy_in
from app.errors import UnreadableFile
from app.ml.cells import account_ids
from app.services.part_tables import create_part, index_part, part_table
from app.services.read_ahead import read_ahead
from app.services.upload_plan import LabelTally, UploadPlan, part_rows, read_instants
from app.tables import Part


async def load_part(session: AsyncSession, plan: UploadPlan, tally: LabelTally) -> tuple[Part, LabelTally]:
    """A filled and indexed part, in the caller's transaction; memory is bounded by two chunks."""
    part = await create_part(session, plan.dataset, plan.columns)
    connection = await session.connection()
    async with aclosing(read_ahead(_tables(plan, tally))) as tables:
        async for rows in tables:
            part.n_rows += await copy_in(connection, rows, part_table(part.id), schema="data")
    if not part.n_rows:
        raise UnreadableFile("There are no rows.", line=1)
    await _index(session, part, plan)
    return part, tally


def _tables(plan: UploadPlan, tally: LabelTally) -> Iterator[pa.Table]:
    for chunk in plan.file.chunks(plan.wanted):
        yield part_rows(plan, chunk, tally)


async def _index(session: AsyncSession, part: Part, plan: UploadPlan) -> None:
    try:
        async with session.begin_nested():
            await index_part(session, part)
    except IntegrityError as error:
        raise await _duplicate(session, part, plan) from error


async def _duplicate(session: AsyncSession, part: Part, plan: UploadPlan) -> UnreadableFile:
    """Which rows have one key; the database knows the key, the file the places."""
    query = (
        f"SELECT account_id, as_of FROM data.{part_table(part.id)}"  # noqa: S608 - a name of ours
        " GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY 1, 2 LIMIT 1"
    )
    key = (await session.execute(text(query))).one()
    rows = await asyncio.to_thread(_rows_of_key, plan, str(key.account_id), key.as_of)
    places = [plan.file.place(row) for row in rows]
    unit, numbers = places[0][0], [number for _, number in places]
    dataset = plan.dataset
    if dataset.as_of_column is None:
        detail = f"The rows have an account twice, first on {unit}s {numbers[0]} and {numbers[1]}."
        hint = "One row per account is needed; where rows are of different dates, name their column: as_of_column."
    else:
        detail = f"The rows have an account twice at one instant, first on {unit}s {numbers[0]} and {numbers[1]}."
        hint = f"One row per account and {dataset.as_of_column} is needed."
    facts: dict[str, Any] = {f"{unit}s": numbers, "column": dataset.id_column}
    return UnreadableFile(detail, hint=hint, **facts)


def _rows_of_key(plan: UploadPlan, account_id: str, as_of: object) -> list[int]:
    """The first two rows of a key."""
    dataset, found = plan.dataset, list[int]()
    for chunk in plan.file.chunks({dataset.id_column, dataset.as_of_column or dataset.id_column}):
        ids = account_ids(chunk.columns[dataset.id_column]).to_pylist()
        instants = read_instants(chunk.columns[dataset.as_of_column]).to_pylist() if dataset.as_of_column else None
        for at, each in enumerate(ids):
            if each == account_id and (instants is None or instants[at] == as_of):
                found.append(chunk.first_row + at)
        if len(found) > 1:
            break
    return found[:2]
