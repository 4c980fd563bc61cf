"""Rows of a dataset as frames: for training, for scoring everybody, for single accounts."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions, copy_out
from app.errors import NoTrainingRows
from app.ml.cells import ColumnKind
from app.ml.frame import Feature, Floats, Frame
from app.ml.split import SIDE_NAMES, Sides
from app.services.part_tables import StoredColumn, part_ids, select_account_after, select_rows, stored_columns
from app.services.sides import deal_and_store
from app.sql import read_query
from app.tables import Dataset, Revision

ARROW_TYPES = {
    ColumnKind.NUMERIC: pa.float64(),
    ColumnKind.BOOLEAN: pa.bool_(),
    ColumnKind.CATEGORICAL: pa.string(),
}
_KEYS = [("account_id", pa.string()), ("as_of", pa.timestamp("us", "UTC")), ("churned", pa.bool_())]


@dataclass(frozen=True)
class TrainingRows:
    """What a version may learn from and be judged on.

    Attributes
    ----------
    frame : the labelled rows of the newest matured instant (undated: all labelled rows), by account
    sides : ndarray of shape (n,): 'train', 'validation' or 'test' of each row
    features : the columns to learn from; columns that are constant or name accounts are in the frame, not here
    profile_rows : boolean ndarray of shape (n,): development rows that look like those that are scored
    as_of : the instant; None in undated data
    warnings : sentences
    split : how the rows were split, as plain data
    """

    frame: Frame
    sides: Sides
    features: tuple[Feature, ...]
    profile_rows: npt.NDArray[np.bool_]
    as_of: datetime | None
    warnings: list[str]
    split: dict[str, Any]


@dataclass(frozen=True)
class _Chosen:
    """The instant to train on, and what was left aside."""

    as_of: datetime | None
    n_rows: int
    n_labelled: int
    n_immature: int
    warnings: list[str] = field(default_factory=list)


class Frames:
    """Reads rows; always in the order of accounts, byte for byte."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def training_rows(self, dataset: Dataset, revision: Revision, *, now: datetime | None = None) -> TrainingRows:
        """The labelled rows of the newest matured instant, each account on its side.

        Accounts that have no side yet are dealt one here, and keep it. `now` is by default the database's clock.
        """
        async with self._sessions() as session:
            chosen = await _choose_instant(session, dataset, revision, now)
            where = "" if chosen.as_of is None else "as_of = $1"
            args = () if chosen.as_of is None else (chosen.as_of,)
            rows = select_rows(await part_ids(session, revision), _columns(revision), where=where)
            query = f"SELECT * FROM ({rows}) AS r WHERE churned IS NOT NULL ORDER BY account_id"  # noqa: S608
            frame = await _read(session, revision, query, *args)
        async with self._sessions.begin() as session:
            sides = await deal_and_store(session, dataset, frame)
        return _training_rows(dataset, revision, frame, sides, chosen)

    async def active_chunks(self, dataset: Dataset, revision: Revision, *, chunk_size: int) -> AsyncIterator[Frame]:
        """Active accounts (the newest row is not labelled churned) by account, out of `chunk_size` accounts at a time.

        Each chunk is a transaction of its own, begun after the last account of the one before: a revision never
        changes, so the chunks fit together however long the caller takes.
        """
        last: str | None = ""
        while last is not None:
            async with self._sessions() as session:
                parts = await part_ids(session, revision)
                after = text(select_account_after(parts, chunk_size))
                end = await session.scalar(after, {"last": last})
                where = "account_id > $1" if end is None else "account_id > $1 AND account_id <= $2"
                rows = select_rows(parts, _columns(revision), where=where, newest=True)
                query = f"SELECT * FROM ({rows}) AS r WHERE churned IS NOT TRUE ORDER BY account_id"  # noqa: S608
                frame = await _read(session, revision, query, *([last] if end is None else [last, end]))
            if len(frame):
                yield frame
            last = end

    async def active_instant(self, dataset: Dataset, revision: Revision) -> datetime | None:
        """The newest instant of the rows; None in undated data."""
        return datetime.fromisoformat(revision.instants[0]["as_of"]) if revision.instants else None

    async def newest_rows(self, dataset: Dataset, revision: Revision, account_ids: Sequence[str]) -> Frame:
        """The newest row of each of these accounts that is known, by account; `churned` tells who has left."""
        async with self._sessions() as session:
            parts = await part_ids(session, revision)
            rows = select_rows(parts, _columns(revision), where="account_id = ANY($1::text[])", newest=True)
            return await _read(session, revision, rows, list(account_ids))


def _columns(revision: Revision) -> list[str]:
    return [str(each.column) for each in stored_columns(revision)]


async def _read(session: AsyncSession, revision: Revision, query: str, *args: Any) -> Frame:
    columns = stored_columns(revision)
    schema = pa.schema([*_KEYS, *((each.column, ARROW_TYPES[each.kind]) for each in columns)])
    table = await copy_out(await session.connection(), query, *args, schema=schema)
    return _to_frame(table.combine_chunks(), columns)


def _to_frame(table: pa.Table, columns: Sequence[StoredColumn]) -> Frame:
    features = table.select([str(each.column) for each in columns]).rename_columns([each.name for each in columns])
    as_of, labels = _single(table["as_of"]), _single(table["churned"])
    churned = labels.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    return Frame(
        accounts=_single(table["account_id"]),
        features=features,
        churned=np.array(churned, dtype=np.float64),
        as_of=None if as_of.null_count == len(as_of) else as_of,
    )


def _single(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


async def _choose_instant(session: AsyncSession, dataset: Dataset, revision: Revision, now: datetime | None) -> _Chosen:
    """The newest matured instant at least half of whose rows have a label, else the newest that has any.

    Labels that arrive one by one are those of churners first: an instant with few of them would mislead.
    """
    rows = select_rows(await part_ids(session, revision), [])
    days = None if dataset.horizon_days is None else dataset.lead_days + dataset.horizon_days
    query = text(read_query("training_instants").replace("{rows}", rows))
    instants = (await session.execute(query, {"now": now, "days": days})).all()
    matured = [each for each in instants if not each.immature and each.n_labelled]
    n_immature = sum(each.n_rows for each in instants if each.immature)
    if not matured:
        raise _nothing_to_train_on(dataset, revision, n_immature)
    best = next((each for each in matured if 2 * each.n_labelled >= each.n_rows), matured[0])
    passed = [each.as_of.date().isoformat() for each in matured if best.as_of is not None and each.as_of > best.as_of]
    warnings = [f"Instants passed over, as fewer than half of their rows are labelled: {', '.join(passed[:5])}."]
    return _Chosen(best.as_of, best.n_rows, best.n_labelled, n_immature, warnings if passed else [])


def _nothing_to_train_on(dataset: Dataset, revision: Revision, n_immature: int) -> NoTrainingRows:
    reason = f"; {n_immature} rows are younger than the horizon" if n_immature else ""
    return NoTrainingRows(
        f"Revision {revision.number} of {dataset.name} has no matured row with a label{reason}.",
        hint=f"Append rows whose {dataset.label_column} is known: POST /datasets/{dataset.name}/rows.",
    )


def _training_rows(dataset: Dataset, revision: Revision, frame: Frame, sides: Sides, chosen: _Chosen) -> TrainingRows:
    churned = np.zeros(len(frame)) if frame.churned is None else frame.churned
    development = sides != "test"
    return TrainingRows(
        frame=frame,
        sides=sides,
        features=tuple(each.feature for each in stored_columns(revision) if each.excluded is None),
        profile_rows=development & (churned == 0) if chosen.as_of is None else development,
        as_of=chosen.as_of,
        warnings=[*chosen.warnings, *_warnings(dataset, chosen)],
        split=_describe_split(dataset, chosen, sides, churned),
    )


def _warnings(dataset: Dataset, chosen: _Chosen) -> list[str]:
    found = []
    if chosen.as_of is not None:
        found.append(
            f"Split at random among the accounts of one instant, {chosen.as_of.isoformat()}: "
            "the figures do not show how the model ages."
        )
    if chosen.n_immature:
        found.append(f"{chosen.n_immature} rows are younger than the horizon of {dataset.horizon_days} days: not used.")
    if chosen.n_rows > chosen.n_labelled:
        found.append(f"{chosen.n_rows - chosen.n_labelled} of {chosen.n_rows} rows have no label yet: not used.")
    return found


def _describe_split(dataset: Dataset, chosen: _Chosen, sides: Sides, churned: Floats) -> dict[str, Any]:
    """The split as plain data: how many rows each side has, and how many of them churned."""
    counts = {}
    for side in SIDE_NAMES:
        on_side = churned[sides == side]
        rate = float(on_side.mean()) if on_side.size else None
        counts[side] = {"n_rows": int(on_side.size), "n_churned": int(on_side.sum()), "churn_rate": rate}
    return {
        "kind": "random",
        "seed": dataset.split_seed,
        "as_of": None if chosen.as_of is None else chosen.as_of.isoformat(),
        "sides": counts,
    }
