"""Tables of facts in schema `data`: rows are only ever added, each with the number of the revision that brought it."""

import logging
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import CUT_OFF, UNREACHABLE, DatabaseError, Sessions, copy_in
from app.ml.cells import ColumnKind
from app.schemas.events import EventsIn, Fact
from app.services.part_tables import SQL_TYPES, StoredColumn
from app.tables import Dataset, FactTable

_log = logging.getLogger("holdfast.facts")
# What is kept of each kind of fact besides account, recorded_at and attributes: name, kind, whether each row needs it.
FIXED: dict[Fact, tuple[tuple[str, ColumnKind, bool], ...]] = {
    "accounts": (("created_at", ColumnKind.TIMESTAMP, True), ("valid_from", ColumnKind.TIMESTAMP, True)),
    "subscriptions": (
        ("subscription_id", ColumnKind.CATEGORICAL, True),
        ("started_at", ColumnKind.TIMESTAMP, True),
        ("ended_at", ColumnKind.TIMESTAMP, False),
        ("plan", ColumnKind.CATEGORICAL, False),
        ("amount", ColumnKind.NUMERIC, False),
    ),
    "events": (
        ("event_id", ColumnKind.CATEGORICAL, True),
        ("occurred_at", ColumnKind.TIMESTAMP, True),
        ("kind", ColumnKind.CATEGORICAL, True),
        ("quantity", ColumnKind.NUMERIC, False),
        ("amount", ColumnKind.NUMERIC, False),
    ),
}
_TYPES = {**SQL_TYPES, ColumnKind.TIMESTAMP: "timestamptz"}
_KEY_TYPES = {"account_id": "text"} | {name: _TYPES[kind] for columns in FIXED.values() for name, kind, _ in columns}


def fact_table(table_id: int) -> str:
    """The table of some facts, within schema `data`."""
    return f"facts_{int(table_id)}"


def members_table(dataset: Dataset) -> str:
    """The table of every account that a fact has ever named, within schema `data`: it marks out chunks of accounts."""
    return f"members_{int(dataset.id)}"


async def create_fact_table(
    session: AsyncSession, dataset: Dataset, fact: Fact, attributes: Sequence[StoredColumn]
) -> FactTable:
    """An empty table without indexes, in the caller's transaction."""
    row = FactTable(dataset_id=dataset.id, fact=fact, columns=[each.__dict__ for each in attributes])
    session.add(row)
    await session.flush()
    fixed = "".join(f", {name} {_TYPES[kind]}" for name, kind, _ in FIXED[fact])
    typed = "".join(f", {each.column} {_TYPES[each.kind]}" for each in attributes if each.column)
    key = 'account_id text COLLATE "C" NOT NULL'
    kept = "recorded_at timestamptz, added_in integer NOT NULL"
    await session.execute(text(f"CREATE TABLE data.{fact_table(row.id)} ({key}{fixed}{typed}, {kept})"))
    await session.execute(
        text(f'CREATE TABLE IF NOT EXISTS data.{members_table(dataset)} (account_id text COLLATE "C" PRIMARY KEY)')
    )
    return row


async def index_fact_table(session: AsyncSession, spec: EventsIn, fact: Fact, table: FactTable) -> None:
    """The order in which facts are read, by account, with all that is read; and keys that hold a fact once an upload.

    Events are read from the index alone: their table lies in the order in which they came in.
    """
    name = fact_table(table.id)
    if fact == "events":
        included = "kind, quantity, amount, recorded_at, added_in"
        included += ", event_id" if spec.events.event_id_column else ""
        await session.execute(text(f"CREATE INDEX ON data.{name} (account_id, occurred_at) INCLUDE ({included})"))
    key = fact_key(spec, fact)
    if key:
        unique = f"(account_id, {key}, recorded_at, added_in) NULLS NOT DISTINCT"
        await session.execute(text(f"CREATE UNIQUE INDEX ON data.{name} {unique}"))


def fact_key(spec: EventsIn, fact: Fact) -> str | None:
    """What tells the facts of an account apart; None where a fact may come twice."""
    if fact == "accounts":
        return "valid_from"
    if fact == "subscriptions":
        described = spec.subscriptions
        return "subscription_id" if described and described.subscription_id_column else "started_at"
    return "event_id" if spec.events.event_id_column else None


def replaced_key(spec: EventsIn, fact: Fact) -> str | None:
    """What tells facts of an account apart that do not replace each other; None where each account has but one.

    Of accounts that do not say since when they are so, any row replaces the one before.
    """
    is_undated = fact == "accounts" and spec.accounts is not None and spec.accounts.valid_from_column is None
    return None if is_undated else fact_key(spec, fact)


async def add_facts(session: AsyncSession, dataset: Dataset, table: FactTable, rows: pa.Table) -> None:
    """Append rows by COPY, and the accounts that they name to the members."""
    connection = await session.connection()
    await copy_in(connection, rows, fact_table(table.id), schema="data")
    await session.execute(
        text(f"INSERT INTO data.{members_table(dataset)} SELECT unnest(CAST(:ids AS text[])) ON CONFLICT DO NOTHING"),
        {"ids": rows["account_id"].unique().to_pylist()},
    )


async def date_replacements(
    session: AsyncSession, table: FactTable, rows: pa.Table, key: str | None, *, number: int, now: datetime
) -> pa.Table:
    """Rows in place of others that came before revision `number` as recorded `now`: before, the others were known.

    `key` tells the facts of an account apart; without it there is one.
    """
    again = await _find_again(session, table, rows, key, number)
    if not again:
        return rows
    replaces = np.zeros(rows.num_rows, dtype=bool)
    replaces[again] = True
    recorded_at = pc.if_else(pa.array(replaces), pa.scalar(now, pa.timestamp("us", "UTC")), None)
    return rows.append_column("recorded_at", recorded_at)


async def _find_again(
    session: AsyncSession, table: FactTable, rows: pa.Table, key: str | None, number: int
) -> Sequence[int]:
    """The positions of rows whose account and key are in the table: one query, answered by the index of keys."""
    compared = ["account_id", *([key] if key else [])]
    arrays = ", ".join(f"CAST(:{each} AS {_KEY_TYPES[each]}[])" for each in compared)
    same = " AND ".join(f"old.{each} = new.{each}" for each in compared)
    query = f"""
        SELECT new.n - 1
        FROM unnest({arrays}) WITH ORDINALITY AS new ({", ".join(compared)}, n)
        WHERE EXISTS (SELECT 1 FROM data.{fact_table(table.id)} AS old WHERE {same} AND old.added_in < :number)
        """  # noqa: S608 - names of ours
    cells = {each: rows[each].to_pylist() for each in compared}
    return (await session.scalars(text(query), {**cells, "number": number})).all()


async def count_accounts(session: AsyncSession, table_id: int) -> int:
    """How many accounts the facts of a table name.

    By the index, from each account to the next: its cost grows with the accounts, some seconds a million, and not with
    the events that each of them has.
    """
    table = f"data.{fact_table(table_id)}"
    query = f"""
        WITH RECURSIVE named AS (
            (SELECT account_id FROM {table} ORDER BY account_id LIMIT 1)
            UNION ALL
            SELECT (SELECT account_id FROM {table} AS next
                    WHERE next.account_id > named.account_id ORDER BY account_id LIMIT 1)
            FROM named WHERE account_id IS NOT NULL)
        SELECT count(account_id) FROM named
        """  # noqa: S608 - a name of ours
    return int((await session.execute(text(query))).scalar_one())


async def tidy_fact_table(sessions: Sessions, table_id: int) -> None:
    """Tell the planner what is there, and mark pages as visible to all, so that the index alone answers.

    Where that fails the facts are there all the same: queries are slower until the database tidies up by itself.
    """
    try:
        async with sessions() as session:
            autocommit = await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
            await autocommit.execute(text(f"VACUUM (ANALYZE) data.{fact_table(table_id)}"))
    except (DatabaseError, *UNREACHABLE, *CUT_OFF) as error:
        _log.warning("facts not tidied", exc_info=True, extra={"table_id": table_id, "error": type(error).__name__})


def select_member_after(dataset: Dataset, n: int) -> str:
    """The query of the n-th account after `:last`, byte for byte; no row where there are fewer."""
    table = members_table(dataset)
    return (
        f"SELECT account_id FROM data.{table} WHERE account_id > :last"  # noqa: S608 - a name of ours
        f" ORDER BY account_id OFFSET {int(n) - 1} LIMIT 1"
    )
