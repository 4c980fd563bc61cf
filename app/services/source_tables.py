"""Tables and views of the database as a source of rows: checked when named, copied when a job starts."""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions, driver, quote_name
from app.errors import FieldError, InvalidRequest
from app.ml.cells import ColumnKind
from app.services.part_loading import load_part
from app.services.part_tables import StoredColumn
from app.services.revisions import lock_revisions, make_revision, newest_revision
from app.services.upload_files import CsvRows
from app.services.upload_plan import NOT_KEPT, LabelTally, UploadPlan, special_columns
from app.sql import read_query
from app.tables import Dataset, Revision, Table

_FORBIDDEN_SCHEMAS = {"data", "mlflow", "pgqueuer", "pg_catalog", "information_schema", "pg_toast"}
_OUR_VIEWS = {"current_scores", "alembic_version"}
TYPE_KINDS = (
    dict.fromkeys(("int2", "int4", "int8", "float4", "float8", "numeric"), ColumnKind.NUMERIC)
    | dict.fromkeys(("text", "varchar", "bpchar", "uuid", "name", "enum"), ColumnKind.CATEGORICAL)
    | dict.fromkeys(("date", "timestamp", "timestamptz"), ColumnKind.TIMESTAMP)
    | {"bool": ColumnKind.BOOLEAN}
)
TYPE_CASTS = {ColumnKind.NUMERIC: "float8", ColumnKind.CATEGORICAL: "text", ColumnKind.BOOLEAN: "text"}


class SameRows(Exception):
    """The copy says what the newest revision says; the transaction is undone."""

    def __init__(self, revision: Revision) -> None:
        super().__init__()
        self.revision = revision


def _split(source: str) -> tuple[str, str]:
    schema, _, table = source.partition(".")
    return schema, table


def quote_source(source: str) -> str:
    """Schema and table as SQL identifiers."""
    return ".".join(map(quote_name, _split(source)))


def _refuse(detail: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=[FieldError("/source_table", detail)])


def require_foreign(source: str) -> None:
    """Our own tables are no source: what they hold follows from sources."""
    schema, table = _split(source)
    ours = {*Table.metadata.tables, *_OUR_VIEWS}
    own = schema == "public" and (table in ours or table.startswith("pgqueuer"))
    if own or schema in _FORBIDDEN_SCHEMAS or schema.startswith("pg_"):
        raise _refuse(f"{source} belongs to the service or to the database itself; name a table of yours.")


async def require_source(session: AsyncSession, dataset: Dataset) -> None:
    """Refuse a source table that is ours, is not there, may not be read or lacks a column."""
    source = str(dataset.source_table)
    types = await read_column_types(session, source)
    for field in ("id_column", "label_column", "as_of_column"):
        name = getattr(dataset, field)
        if name is not None and name not in types:
            raise InvalidRequest(
                f"{source} has no column {name}.", errors=[FieldError(f"/{field}", "not in the table")]
            )
    as_of = dataset.as_of_column
    if as_of is not None and TYPE_KINDS.get(types[as_of]) is not ColumnKind.TIMESTAMP:
        detail = f"{source}.{as_of} is of type {types[as_of]}, not a date or timestamp."
        raise InvalidRequest(detail, errors=[FieldError("/as_of_column", "not a date or timestamp")])


async def read_column_types(session: AsyncSession, source: str) -> dict[str, str]:
    """The types of the columns of a table or view of the user's, by name.

    Raises
    ------
    InvalidRequest
        Where it is ours, is not there, or may not be read.
    """
    require_foreign(source)
    schema, table = _split(source)
    found = await session.execute(text(read_query("column_types")), {"schema": schema, "table": table})
    types = {row.name: row.type for row in found}
    if not types:
        raise _refuse(f"There is no table or view {source} in this database that may be read.")
    return types


async def copy_source(sessions: Sessions, dataset: Dataset) -> Revision:
    """Copy the table into a part and make it the next revision, unless the newest one says the same.

    Read in one statement of a transaction that can't write; stored in another, which leaves nothing if it fails.
    """
    with tempfile.NamedTemporaryFile(prefix="holdfast-source-") as file:
        async with sessions.begin() as session:
            await session.execute(text("SET TRANSACTION READ ONLY"))
            columns = await _read_into(session, dataset, file.name)
        rows = await asyncio.to_thread(TableRows, Path(file.name), special_columns(dataset))
        plan = UploadPlan(dataset, rows, tuple(columns))
        try:
            async with sessions.begin() as session:
                await lock_revisions(session, dataset)
                newest = await newest_revision(session, dataset)
                part, tally = await load_part(session, plan, LabelTally(dataset))
                tally.require_positive()
                revision = await make_revision(
                    session, dataset, part, upon=None, columns=columns, others=tally.others, actor=rows.origin(dataset)
                )
                undo_same(session, newest, revision)
                return revision
        except SameRows as same:
            return same.revision


def undo_same(session: AsyncSession, newest: Revision | None, revision: Revision) -> None:
    """Undo the transaction that made a revision which says what the newest one says."""
    if newest is not None and newest.data_hash == revision.data_hash:
        session.expunge(newest)  # or undoing the transaction would empty it
        raise SameRows(newest)


class TableRows(CsvRows):
    """The copy of a table: its rows have no lines that anybody could look up."""

    def place(self, row: int) -> tuple[str, int]:
        """The number of the row, in the order in which the table was read."""
        return "row", row + 1

    def origin(self, dataset: Dataset) -> str:
        """Who made the revision."""
        return f"copied from {dataset.source_table}"


async def _read_into(session: AsyncSession, dataset: Dataset, path: str) -> list[StoredColumn]:
    """The table as CSV in a file, and its columns with the kinds that their types say."""
    await require_source(session, dataset)
    source = str(dataset.source_table)
    types = await read_column_types(session, source)
    columns = [
        judge_column(dataset, name, types[name], f"f{at}") for at, name in enumerate(_features(dataset, types), 1)
    ]
    cast = dict.fromkeys((dataset.id_column, dataset.label_column), "text")
    cast |= {each.name: TYPE_CASTS[each.kind] for each in columns if each.column}
    if dataset.as_of_column:
        cast[dataset.as_of_column] = "timestamptz"
    listed = ", ".join(f"{quote_name(name)}::{to} AS {quote_name(name)}" for name, to in cast.items())
    query = f"SELECT {listed} FROM {quote_source(source)}"  # noqa: S608 - names quoted
    connection = await driver(await session.connection())
    await connection.copy_from_query(query, output=path, format="csv", header=True)
    return columns


def _features(dataset: Dataset, types: Mapping[str, str]) -> list[str]:
    return [name for name in types if name not in special_columns(dataset)]


def judge_column(dataset: Dataset, name: str, of_type: str, column: str) -> StoredColumn:
    """What a column is by the name of its type, kept as `column` where it can be a feature."""
    if name in dataset.exclude_columns:
        return StoredColumn(name, ColumnKind.UNSUPPORTED, None, "left out by exclude_columns")
    kind = TYPE_KINDS.get(of_type, ColumnKind.UNSUPPORTED)
    reason = NOT_KEPT.get(kind)
    return StoredColumn(name, kind, None if reason else column, reason)
