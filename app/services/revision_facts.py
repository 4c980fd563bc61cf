"""What a revision holds, told by the database over all of its rows."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.ml.cells import ColumnKind
from app.services.part_tables import KEY_COLUMNS, StoredColumn, select_rows
from app.sql import read_query

COLUMNS_AT_ONCE = 300  # a SELECT list ends at 1,664 entries
MAX_LEVELS = 50  # shown of a column
MAX_INSTANTS = 200  # shown of a revision, the newest
MIN_IDENTIFIERS = 20  # more values than these, all different, name accounts instead of describing them


@dataclass(frozen=True)
class Facts:
    """Figures of a revision's rows."""

    n_rows: int
    n_accounts: int
    n_labelled: int
    n_churned: int
    instants: list[dict[str, Any]]
    columns: list[dict[str, Any]]
    data_hash: str


async def describe_rows(session: AsyncSession, parts: Sequence[int], columns: Sequence[StoredColumn]) -> Facts:
    """Count, measure and hash the rows that the parts stand for; several parts are laid upon each other once."""
    await session.execute(text("SET LOCAL work_mem = '64MB'"))  # for the sorts below
    rows = select_rows(parts, [each.column for each in columns if each.column])
    if len(parts) > 1:
        await session.execute(text(f"CREATE TEMPORARY TABLE revision_rows ON COMMIT DROP AS {rows}"))
        rows = "SELECT * FROM revision_rows"
    counts = (await session.execute(text(read_query("count_rows").replace("{rows}", rows)))).mappings().one()
    n_rows = int(counts["n_rows"])
    return Facts(
        n_rows=n_rows,
        n_accounts=counts["n_accounts"],
        n_labelled=counts["n_labelled"],
        n_churned=counts["n_churned"],
        instants=await _instants(session, rows),
        columns=await describe_columns(session, rows, columns, n_rows),
        data_hash=await hash_rows(session, rows, columns),
    )


async def _instants(session: AsyncSession, rows: str) -> list[dict[str, Any]]:
    query = text(read_query("instants").replace("{rows}", rows))
    found = (await session.execute(query, {"limit": MAX_INSTANTS})).mappings()
    return [dict(row) | {"as_of": row["as_of"].isoformat()} for row in found]


async def hash_rows(session: AsyncSession, rows: str, columns: Sequence[StoredColumn]) -> str:
    """SHA-256 of names, kinds and cells; the order of rows and of columns has no effect, nor has their storage."""
    ordered = sorted((each for each in columns if each.column), key=lambda each: each.name)
    names = ", ".join([*KEY_COLUMNS, *(each.column or "" for each in ordered)])
    query = read_query("hash_rows").replace("{rows}", rows).replace("{names}", names)
    cells: str = (await session.execute(text(query))).scalar_one()
    head = json.dumps([[each.name, each.kind.value] for each in ordered])
    return hashlib.sha256(f"{head}\n{cells}".encode()).hexdigest()


async def describe_columns(
    session: AsyncSession, rows: str, columns: Sequence[StoredColumn], n_rows: int
) -> list[dict[str, Any]]:
    """An entry of `revisions.columns` for each column."""
    stored = [each for each in columns if each.column]
    figures: dict[str, dict[str, Any]] = {}
    for first in range(0, len(stored), COLUMNS_AT_ONCE):
        figures |= await _measure(session, rows, stored[first : first + COLUMNS_AT_ONCE])
    for each in stored:
        if each.kind is ColumnKind.CATEGORICAL:
            figures[each.name] |= await _levels(session, rows, each)
    return [_entry(each, figures.get(each.name), n_rows) for each in columns]


async def _measure(session: AsyncSession, rows: str, columns: Sequence[StoredColumn]) -> dict[str, dict[str, Any]]:
    """Counts and ranges, one pass over the rows for all columns."""
    measures = [(each, name, expression) for each in columns for name, expression in _measures(each)]
    listed = ", ".join(expression for _, _, expression in measures)
    query = f"SELECT {listed} FROM ({rows}) AS r"  # noqa: S608 - names of ours
    values = (await session.execute(text(query))).one()
    found: dict[str, dict[str, Any]] = {each.name: {} for each in columns}
    for (each, name, _), value in zip(measures, values, strict=True):
        found[each.name][name] = value
    return found


def _measures(each: StoredColumn) -> list[tuple[str, str]]:
    column = each.column
    measures = [("n_present", f"count({column})")]
    if each.kind is ColumnKind.NUMERIC:
        finite = f"FILTER (WHERE abs({column}) < 'Infinity')"
        measures += [("minimum", f"min({column}) {finite}"), ("maximum", f"max({column}) {finite}")]
        measures += [("n_infinite", f"count(*) FILTER (WHERE abs({column}) = 'Infinity')")]
    if each.kind is ColumnKind.BOOLEAN:
        measures += [("n_true", f"count(*) FILTER (WHERE {column})")]
    return measures


async def _levels(session: AsyncSession, rows: str, each: StoredColumn) -> dict[str, Any]:
    query = read_query("levels").replace("{rows}", rows).replace("{column}", str(each.column))
    found = (await session.execute(text(query), {"limit": MAX_LEVELS})).all()
    return {
        "levels": [{"level": row.level, "n": row.n} for row in found],
        "n_levels": found[0].n_levels if found else 0,
        "n_commonest": found[0].n_commonest if found else 0,
    }


def _entry(each: StoredColumn, figures: dict[str, Any] | None, n_rows: int) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": each.name,
        "kind": each.kind.value,
        "column": each.column,
        "excluded": each.excluded,
        "note": each.note,
    }
    if figures is None:
        return entry
    n_present = figures.pop("n_present")
    entry["excluded"] = _why_no_feature(figures, n_present, n_rows)
    figures.pop("n_commonest", None)
    return entry | figures | {"missing_share": 1 - n_present / n_rows if n_rows else None}


def _why_no_feature(figures: dict[str, Any], n_present: int, n_rows: int) -> str | None:
    """The reason why a column that is kept tells nothing of an account; it may in a later revision."""
    if n_present == 0:
        return "every value is missing"
    if n_present == n_rows and _is_constant(figures, n_present):
        return "every row has the same value"
    if figures.get("n_commonest") == 1 and n_present > MIN_IDENTIFIERS:
        return "every value is different: it names accounts instead of describing them"
    return None


def _is_constant(figures: dict[str, Any], n_present: int) -> bool:
    if "n_levels" in figures:
        return bool(figures["n_levels"] == 1)
    if "n_true" in figures:
        return figures["n_true"] in (0, n_present)
    return bool(figures["n_infinite"] == 0 and figures["minimum"] == figures["maximum"])
