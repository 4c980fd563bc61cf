"""Part tables: one table of typed columns for each upload, and the rows that a list of them stands for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.ml.cells import ColumnKind
from app.ml.frame import Feature, FeatureKind
from app.tables import Dataset, Part, Revision, RevisionPart

SQL_TYPES = {
    ColumnKind.NUMERIC: "double precision",
    ColumnKind.BOOLEAN: "boolean",
    ColumnKind.CATEGORICAL: "text",
}
KEY_COLUMNS = ("account_id", "as_of", "churned")


@dataclass(frozen=True)
class StoredColumn:
    """A column of a file: where its cells are kept (`column`, None where they are not) and why it is no feature."""

    name: str
    kind: ColumnKind
    column: str | None
    excluded: str | None = None
    note: str | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "StoredColumn":
        """From an entry of `revisions.columns`."""
        return cls(data["name"], ColumnKind(data["kind"]), data["column"], data.get("excluded"), data.get("note"))

    @property
    def feature(self) -> Feature:
        """As a model names it."""
        return Feature(self.name, FeatureKind(self.kind.value))


def revision_columns(revision: Revision) -> list[StoredColumn]:
    """The columns of a revision's rows, without the label."""
    return [StoredColumn.from_json(each) for each in revision.columns if each["kind"] != ColumnKind.LABEL]


def stored_columns(revision: Revision) -> list[StoredColumn]:
    """The columns of a revision whose cells are kept."""
    return [each for each in revision_columns(revision) if each.column is not None]


def part_table(part_id: int) -> str:
    """The table of a part, within schema `data`."""
    return f"part_{int(part_id)}"


async def create_part(session: AsyncSession, dataset: Dataset, columns: Sequence[StoredColumn]) -> Part:
    """A part with its empty table, in the caller's transaction: if that is lost, so is the table."""
    part = Part(dataset_id=dataset.id, n_rows=0, data_hash="")
    session.add(part)
    await session.flush()
    typed = "".join(f", {each.column} {SQL_TYPES[each.kind]}" for each in columns if each.column)
    key = 'account_id text COLLATE "C" NOT NULL, as_of timestamptz, churned boolean'
    await session.execute(text(f"CREATE TABLE data.{part_table(part.id)} ({key}{typed})"))
    return part


async def index_part(session: AsyncSession, part: Part) -> None:
    """One row per account and instant, in the order in which rows are read."""
    table = part_table(part.id)
    await session.execute(
        text(f"CREATE UNIQUE INDEX ON data.{table} (account_id, as_of DESC) NULLS NOT DISTINCT")  # also for undated
    )
    await session.execute(text(f"ANALYZE data.{table}"))


async def part_ids(session: AsyncSession, revision: Revision) -> list[int]:
    """The parts of a revision, the oldest first."""
    query = select(RevisionPart.part_id).where(RevisionPart.revision_id == revision.id)
    return list((await session.scalars(query.order_by(RevisionPart.position))).all())


def select_rows(parts: Sequence[int], columns: Sequence[str], *, where: str = "", newest: bool = False) -> str:
    """The query of the rows that these parts stand for, in no order.

    Of rows with the same account and instant the one in the latest part counts. With `newest` only the newest
    instant of each account is left, in the order of accounts. `where` is applied to the rows of each part, so it
    may speak of account and instant only.
    """
    names = ", ".join([*KEY_COLUMNS, *columns])
    condition = f" WHERE {where}" if where else ""
    if len(parts) == 1 and not newest:
        return f"SELECT {names} FROM data.{part_table(parts[0])}{condition}"  # noqa: S608 - names of ours
    each = [
        f"SELECT {names}, {position} AS position FROM data.{part_table(part)}{condition}"  # noqa: S608
        for position, part in enumerate(parts)
    ]
    key = "account_id" if newest else "account_id, as_of"
    union = " UNION ALL ".join(each)
    order = "account_id, as_of DESC, position DESC"
    return f"SELECT DISTINCT ON ({key}) {names} FROM ({union}) AS p ORDER BY {order}"  # noqa: S608


def select_account_after(parts: Sequence[int], n: int) -> str:
    """The query of the n-th account after `:last`, byte for byte; no row where there are fewer.

    Each part gives its next n accounts from its index alone: laying all later rows upon each other first, to take
    few of them, would sort them all for every chunk.
    """
    each = [
        f"(SELECT DISTINCT account_id FROM data.{part_table(part)} WHERE account_id > :last"  # noqa: S608
        f" ORDER BY account_id LIMIT {int(n)})"
        for part in parts
    ]
    union = " UNION ".join(each)
    return f"SELECT account_id FROM ({union}) AS a ORDER BY account_id OFFSET {int(n) - 1} LIMIT 1"  # noqa: S608
