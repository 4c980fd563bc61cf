"""Rows as they were uploaded, or copied from a table or a query: parts laid upon each other."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions, copy_out
from app.ml.cells import ColumnKind
from app.ml.frame import Feature, Frame
from app.schemas.scoring import RowProblem
from app.services.part_tables import (
    StoredColumn,
    part_ids,
    part_table,
    select_account_after,
    select_rows,
    stored_columns,
)
from app.services.row_source import NO_LABELS, LabelledRows, MaturedInstants, label_span, nothing_to_train_on
from app.sql import read_query
from app.tables import Dataset, Revision

ARROW_TYPES = {
    ColumnKind.NUMERIC: pa.float64(),
    ColumnKind.BOOLEAN: pa.bool_(),
    ColumnKind.CATEGORICAL: pa.string(),
}
KEY_FIELDS = [("account_id", pa.string()), ("as_of", pa.timestamp("us", "UTC")), ("churned", pa.bool_())]


class StoredRows:
    """A revision whose rows are kept as they are: a `RowSource`."""

    plan: dict[str, Any] | None = None
    complete_until: datetime | None = None
    notes: Sequence[str] = ()

    def __init__(self, sessions: Sessions, dataset: Dataset, revision: Revision) -> None:
        self._sessions = sessions
        self._dataset = dataset
        self._revision = revision
        self._columns = stored_columns(revision)

    @property
    def features(self) -> tuple[Feature, ...]:
        """The columns that describe accounts."""
        return tuple(each.feature for each in self._columns if each.excluded is None)

    async def frozen(self, newest: datetime | None) -> "StoredRows":
        """Columns are as they are stored."""
        return self

    def absent(self, account_id: str) -> RowProblem:
        """It has no row in this revision, or none any more in the newest answer of a query."""
        if self._dataset.kind == "query":
            detail = f"{account_id!r} is not active: it was not in the newest answer of features_sql."
            return RowProblem(code="inactive_account", detail=detail)
        detail = (
            f"{account_id!r} is not in revision {self._revision.number}; give its features to score it nevertheless."
        )
        return RowProblem(code="unknown_account", detail=detail)

    async def matured(self, *, now: datetime | None) -> MaturedInstants:
        """Matured instants at least half of whose rows have a label, else the newest that has any.

        Labels that arrive one by one are those of churners first: an instant with few of them would mislead.
        """
        dataset = self._dataset
        async with self._sessions() as session:
            rows = select_rows(await part_ids(session, self._revision), [])
            days = None if dataset.horizon_days is None else label_span(dataset).days
            query = text(read_query("training_instants").replace("{rows}", rows))
            instants = (await session.execute(query, {"now": now, "days": days})).all()
        matured = [each for each in instants if not each.immature and each.n_labelled]
        n_immature = sum(each.n_rows for each in instants if each.immature)
        if not matured:
            hint = f"Append rows whose {dataset.label_column} is known: POST /datasets/{dataset.name}/rows."
            if dataset.kind == "query":
                hint = "Look at what labels_sql returns at the instants of the dataset, or name others in `instants`."
            raise nothing_to_train_on(dataset, self._revision, n_immature, hint)
        usable = [each for each in matured if 2 * each.n_labelled >= each.n_rows] or matured[:1]
        newer = [each for each in matured if each.as_of is not None and each.as_of > usable[0].as_of]
        passed = [each.as_of.date().isoformat() for each in newer]
        warning = f"Instants passed over, as fewer than half of their rows are labelled: {', '.join(passed[:5])}."
        return MaturedInstants(tuple(each.as_of for each in usable), n_immature, (warning,) if passed else ())

    async def labelled(self, instants: Sequence[datetime | None]) -> LabelledRows:
        """The labelled rows of these instants."""
        where, args = ("", []) if None in instants else ("as_of = ANY($1::timestamptz[])", [list(instants)])
        async with self._sessions() as session:
            rows = select_rows(await part_ids(session, self._revision), self._names, where=where)
            labelled = f"SELECT * FROM ({rows}) AS r WHERE churned IS NOT NULL ORDER BY account_id, as_of"  # noqa: S608
            frame = await self._read(session, labelled, *args)
            counted = f"SELECT count(*) AS n FROM ({rows}) AS r WHERE churned IS NULL"  # noqa: S608
            found = await copy_out(await session.connection(), counted, *args, schema=pa.schema([("n", pa.int64())]))
        return LabelledRows(frame, found["n"][0].as_py())

    async def active_chunks(self, *, chunk_size: int) -> AsyncIterator[Frame]:
        """Accounts whose newest row is not labelled churned; of queries those of the newest instant.

        Each chunk is a transaction of its own, begun after the last account of the one before: a revision never
        changes, so the chunks fit together however long the caller takes.
        """
        last: str | None = ""
        while last is not None:
            async with self._sessions() as session:
                parts = await part_ids(session, self._revision)
                after = text(select_account_after(parts, chunk_size))
                end = await session.scalar(after, {"last": last})
                where = "account_id > $1" if end is None else "account_id > $1 AND account_id <= $2"
                where = f"{where}{self._and_newest}"
                rows = select_rows(parts, self._names, where=where, newest=True)
                query = f"SELECT * FROM ({rows}) AS r WHERE churned IS NOT TRUE ORDER BY account_id"  # noqa: S608
                frame = await self._read(session, query, *([last] if end is None else [last, end]))
            if len(frame):
                yield frame
            last = end

    async def active_instant(self) -> datetime | None:
        """The newest instant of the rows."""
        instants = self._revision.instants
        return datetime.fromisoformat(instants[0]["as_of"]) if instants else None

    async def newest(self, account_ids: Sequence[str]) -> Frame:
        """The newest row of each of these accounts that is known, by account."""
        async with self._sessions() as session:
            parts = await part_ids(session, self._revision)
            rows = select_rows(parts, self._names, where=f"account_id = ANY($1::text[]){self._and_newest}", newest=True)
            return await self._read(session, rows, list(account_ids))

    async def earlier(self, instant: datetime, account_ids: Sequence[str]) -> list[tuple[float, Frame]]:
        """At the two instants of the rows before this one."""
        before = [datetime.fromisoformat(each["as_of"]) for each in self._revision.instants]
        found = []
        for as_of in [each for each in before if each < instant][:2]:
            async with self._sessions() as session:
                where = "as_of = $1 AND account_id = ANY($2::text[])"
                rows = select_rows(await part_ids(session, self._revision), self._names, where=where)
                frame = await self._read(session, rows, as_of, list(account_ids))
            found.append(((instant - as_of) / timedelta(days=1), frame))
        return found

    async def positions(self, frame: Frame) -> npt.NDArray[np.int64] | None:
        """Of one upload alone, whose rows lie as they came: COPY into a new table appends, and nothing is updated."""
        if self._dataset.kind == "query" or self._dataset.source_table is not None:
            return None  # copied, in an order that says nothing of theirs
        where, args = ("", []) if frame.as_of is None else (" AND as_of = ANY($1)", [frame.as_of.unique().to_pylist()])
        async with self._sessions() as session:
            parts = await part_ids(session, self._revision)
            if len(parts) != 1:
                return None
            numbered = f"SELECT *, row_number() OVER (ORDER BY ctid) AS n FROM data.{part_table(parts[0])}"  # noqa: S608
            query = f"SELECT n FROM ({numbered}) AS r WHERE churned IS NOT NULL{where} ORDER BY account_id, as_of"  # noqa: S608
            found = await copy_out(await session.connection(), query, *args, schema=pa.schema([("n", pa.int64())]))
        return np.asarray(found["n"].to_numpy(), dtype=np.int64)

    async def labels_query(self, as_of: datetime | None) -> str:
        """The labels, each at the instant that it belongs to.

        Undated rows have none: a label that nobody took care to renew would say that an account stayed.
        """
        if self._dataset.as_of_column is None:
            return NO_LABELS
        async with self._sessions() as session:
            rows = select_rows(await part_ids(session, self._revision), [])
        columns = 'account_id COLLATE "default" AS account_id, as_of, churned'
        return f"SELECT {columns} FROM ({rows}) AS rows WHERE churned IS NOT NULL"  # noqa: S608 - names of ours

    async def known_query(self, as_of: datetime | None) -> str:
        """What this revision said of the rows that were scored from it."""
        return await self.labels_query(as_of)

    @property
    def _and_newest(self) -> str:
        """A query returns who is active, so whoever is not in its newest answer has left."""
        instants = self._revision.instants
        if self._dataset.kind != "query" or not instants:
            return ""
        return f" AND as_of = CAST('{datetime.fromisoformat(instants[0]['as_of']).isoformat()}' AS timestamptz)"

    @property
    def _names(self) -> list[str]:
        return [str(each.column) for each in self._columns]

    async def _read(self, session: AsyncSession, query: str, *args: Any) -> Frame:
        schema = pa.schema([*KEY_FIELDS, *((each.column, ARROW_TYPES[each.kind]) for each in self._columns)])
        table = await copy_out(await session.connection(), query, *args, schema=schema)
        return to_frame(table.combine_chunks(), self._columns)


def to_frame(table: pa.Table, columns: Sequence[StoredColumn]) -> Frame:
    """A table of keys and stored columns as a frame that names its features as people do."""
    features = table.select([str(each.column) for each in columns]).rename_columns([each.name for each in columns])
    as_of, labels = single(table["as_of"]), single(table["churned"])
    churned = labels.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    return Frame(
        accounts=single(table["account_id"]),
        features=features,
        churned=np.array(churned, dtype=np.float64),
        as_of=None if as_of.null_count == len(as_of) else as_of,
    )


def single(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array."""
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
