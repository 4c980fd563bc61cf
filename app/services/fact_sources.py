"""Tables and views of the database as a source of facts: checked when named, copied when a job starts."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions, driver, quote_name
from app.errors import FieldError, InvalidRequest
from app.schemas.events import AccountsIn, Fact, FactsIn
from app.services.fact_storing import find_fact_table, hash_file, spec_of, store_facts
from app.services.revisions import get_revision, newest_revision
from app.services.source_tables import quote_source, read_column_types
from app.tables import Dataset, FactUpload, Revision


def _sources(dataset: Dataset) -> dict[Fact, tuple[FactsIn, str]]:
    facts = spec_of(dataset).facts
    return {fact: (each, each.source_table) for fact, each in facts.items() if each.source_table is not None}


def is_copied(dataset: Dataset) -> bool:
    """Whether rows or facts of a dataset come from elsewhere as a job starts, so that there may be none before."""
    if dataset.kind == "events":
        return bool(_sources(dataset))
    return dataset.kind == "query" or dataset.source_table is not None


async def require_fact_sources(session: AsyncSession, dataset: Dataset) -> None:
    """Refuse a source table that is ours, is not there, may not be read or lacks a column."""
    for fact, (described, source) in _sources(dataset).items():
        types = await read_column_types(session, source)
        for field, name in described.named.items():
            if name not in types:
                error = FieldError(f"/{fact}/{field}_column", "not in the table")
                raise InvalidRequest(f"{source} has no column {name}.", errors=[error])


async def copy_fact_sources(sessions: Sessions, dataset: Dataset) -> Revision:
    """Copy each table that says something new, and answer the newest revision.

    Read in a transaction that can't write, in a fixed order, so that equal facts are an equal file.
    """
    for fact, (described, source) in _sources(dataset).items():
        with tempfile.NamedTemporaryFile(prefix="holdfast-source-") as file:
            path = Path(file.name)
            async with sessions.begin() as session:
                await session.execute(text("SET TRANSACTION READ ONLY"))
                await _read_into(session, described, source, path)
            if not await _is_known(sessions, dataset, fact, path):
                await store_facts(sessions, dataset, fact, path, actor=f"copied from {source}", append=False)
    async with sessions() as session:
        return await get_revision(session, dataset)


async def _read_into(session: AsyncSession, described: FactsIn, source: str, path: Path) -> None:
    types = await read_column_types(session, source)
    listed = ", ".join(_select(name, types) for name in _names(described, types))
    order = ", ".join(str(at) for at in range(1, 1 + len(_names(described, types))))
    query = f"SELECT {listed} FROM {quote_source(source)} ORDER BY {order}"  # noqa: S608 - names quoted
    connection = await driver(await session.connection())
    await connection.copy_from_query(query, output=str(path), format="csv", header=True)


def _names(described: FactsIn, types: Mapping[str, str]) -> list[str]:
    """The columns that are described, and of accounts all others too, as attributes."""
    named = list(described.named.values())
    if not isinstance(described, AccountsIn):
        return named
    return named + [name for name in types if name not in named and name not in described.exclude_columns]


def _select(name: str, types: Mapping[str, str]) -> str:
    """A boolean is written as a word: as `t` it would be taken for text."""
    cast = "::text" if types[name] == "bool" else ""
    return f"{quote_name(name)}{cast} AS {quote_name(name)}"


async def _is_known(sessions: Sessions, dataset: Dataset, fact: Fact, path: Path) -> bool:
    """The newest revision has these very facts."""
    async with sessions() as session:
        table = await find_fact_table(session, await newest_revision(session, dataset), fact)
        if table is None:
            return False
        query = select(FactUpload.sha256).where(FactUpload.fact_table_id == table.id)
        return (await session.scalars(query)).all() == [await hash_file(path)]
