"""What is made of each column of an uploaded file, and its chunks as rows of a part table."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from app.errors import UnreadableFile
from app.ml.cells import ColumnKind, Unfit, account_ids, to_kind
from app.ml.inference import ColumnObserver
from app.ml.labels import read_labels
from app.services.part_tables import StoredColumn
from app.services.upload_files import Chunk, RowFile
from app.tables import Dataset

_KEPT = (ColumnKind.NUMERIC, ColumnKind.BOOLEAN, ColumnKind.CATEGORICAL)
NOT_KEPT = {
    ColumnKind.TIMESTAMP: "a time as such describes no account; give the days since then instead",
    ColumnKind.UNSUPPORTED: "its type is neither number, boolean nor text",
}


@dataclass(frozen=True)
class UploadPlan:
    """How the columns of a file become those of a part table."""

    dataset: Dataset
    file: RowFile
    columns: tuple[StoredColumn, ...]
    warnings: tuple[str, ...] = ()

    @property
    def wanted(self) -> set[str]:
        """The columns of the file that are read."""
        return {*special_columns(self.dataset), *(each.name for each in self.columns if each.column)}


def special_columns(dataset: Dataset) -> list[str]:
    """The columns that are no features: id, label and instant."""
    return [name for name in (dataset.id_column, dataset.label_column, dataset.as_of_column) if name]


def require_columns(file: RowFile, names: Sequence[str]) -> None:
    """Refuse a file that lacks one of these."""
    missing = [name for name in names if name not in file.names]
    if missing:
        there = ", ".join(file.names[:20]) + (" ..." if len(file.names) > 20 else "")
        raise UnreadableFile(
            f"The file has no column {missing[0]}; it has {there}.",
            hint="Name columns as the dataset does: id_column, label_column, as_of_column, and features as before.",
            column=missing[0],
        )


def infer_plan(dataset: Dataset, file: RowFile, before: Sequence[StoredColumn]) -> UploadPlan:
    """Look at all rows; a column without a single value keeps the kind it had `before`."""
    require_columns(file, special_columns(dataset))
    excluded = {str(name) for name in dataset.exclude_columns}
    names = [name for name in file.names if name not in special_columns(dataset)]
    observers = {name: ColumnObserver() for name in names if name not in excluded}
    n_rows = 0
    for chunk in file.chunks(observers.keys() | {dataset.id_column}):
        for name, observer in observers.items():
            observer.observe(chunk.columns[name], first_row=chunk.first_row)
        n_rows += len(chunk)
    if not n_rows:
        raise UnreadableFile("The file has a header but no rows.", line=1)
    kinds = {each.name: each.kind for each in before}
    columns = [
        judge_column(name, f"f{at}", observers.get(name), kinds.get(name, ColumnKind.NUMERIC), file)
        for at, name in enumerate(names, 1)
    ]
    return UploadPlan(dataset, file, tuple(columns), tuple(_warnings(dataset, file, columns)))


def judge_column(
    name: str, column: str, observer: ColumnObserver | None, fallback: ColumnKind, file: RowFile
) -> StoredColumn:
    """What becomes of a column that was looked at; without an observer it is left out, without values it falls back."""
    if observer is None:
        return StoredColumn(name, ColumnKind.UNSUPPORTED, None, "left out by exclude_columns")
    kind = observer.kind or fallback
    if kind not in _KEPT:
        return StoredColumn(name, kind, None, NOT_KEPT[kind])
    note = None
    if kind is ColumnKind.CATEGORICAL and observer.was_numeric and observer.first_text_row is not None:
        unit, number = file.place(observer.first_text_row)
        note = f"read as text because of {unit} {number}: its cell is no number"
    return StoredColumn(name, kind, column, note=note)


def _warnings(dataset: Dataset, file: RowFile, columns: Sequence[StoredColumn]) -> Iterator[str]:
    for name in dataset.exclude_columns:
        if name not in file.names:
            yield f"{name}: named in exclude_columns, but not in the file"
    for each in columns:
        if each.kind in NOT_KEPT and each.excluded in NOT_KEPT.values():
            yield f"{each.name}: {each.excluded}"
        if each.note:
            yield f"{each.name}: {each.note}"


def fit_plan(dataset: Dataset, file: RowFile, before: Sequence[StoredColumn]) -> UploadPlan:
    """The columns as they are in the revision to which rows are appended; the label may be lacking, no feature may."""
    label = [dataset.label_column] if dataset.label_column in file.names else []
    keys = [name for name in (dataset.id_column, dataset.as_of_column) if name]
    require_columns(file, [*keys, *(each.name for each in before if each.column)])
    known = {*keys, *label, *(each.name for each in before)}
    warnings = [f"{name}: not in the rows before, so left out; PUT takes new columns in" for name in file.names]
    fresh = [warning for name, warning in zip(file.names, warnings, strict=True) if name not in known]
    if not label:
        fresh.append(f"{dataset.label_column}: not in the file, so no label of these rows is known yet")
    return UploadPlan(dataset, file, tuple(replace(each, note=None) for each in before), tuple(fresh))


@dataclass
class LabelTally:
    """What the label column says besides nothing: the positive value and one other word, no third one."""

    dataset: Dataset
    n_positive: int = 0
    others: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._is_appended = bool(self.others)  # to rows that are known to hold the positive value

    def add(self, n_positive: int, others: set[str]) -> None:
        """Count the labels of a chunk; refuse a third word."""
        self.n_positive += n_positive
        self.others |= others
        if len(self.others) > 1:
            words = ", ".join(repr(word[:50]) for word in sorted(self.others)[:5])
            column, positive = self.dataset.label_column, self.dataset.positive_value
            if not (self.n_positive or self._is_appended):
                raise self._no_positive(f", in the rows read so far: it holds {words}")
            raise UnreadableFile(
                f"The label column {column} holds {words} beside the positive value {positive!r}: churn has two.",
                hint="Leave a cell empty where the label is not known yet; nothing was stored.",
                column=column,
            )

    def require_positive(self) -> None:
        """Labels of which none is positive mean that the positive value is written otherwise."""
        if self.others and not self.n_positive:
            raise self._no_positive(f": it holds {min(self.others)[:50]!r} alone")

    def _no_positive(self, found: str) -> UnreadableFile:
        column, dataset = self.dataset.label_column, self.dataset
        return UnreadableFile(
            f"The positive value {dataset.positive_value!r} does not occur in column {column}{found}.",
            hint=f"The value is compared with the cell as written. To change it while {dataset.name} has no rows: "
            f"DELETE /datasets/{dataset.name}, then describe it anew with POST /datasets.",
            column=column,
        )


def part_rows(plan: UploadPlan, chunk: Chunk, tally: LabelTally) -> pa.Table:
    """A chunk as rows of the part table; its labels are added to the tally.

    Raises
    ------
    UnreadableFile
        naming line and column of the first cell that does not fit.
    """
    dataset = plan.dataset
    ids = _read(plan, chunk, dataset.id_column, account_ids)
    columns = {"account_id": ids, "as_of": pa.nulls(len(ids), pa.timestamp("us", "UTC"))}
    if dataset.as_of_column:
        columns["as_of"] = _read(plan, chunk, dataset.as_of_column, read_instants)
    columns["churned"] = _read(plan, chunk, dataset.label_column, partial(_labels, dataset.positive_value, tally))
    for each in plan.columns:
        if each.column:
            columns[each.column] = _read(plan, chunk, each.name, partial(to_kind, kind=each.kind))
    return pa.table(columns)


def _read(plan: UploadPlan, chunk: Chunk, name: str, convert: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """The cells of a column, null where the file lacks it; a cell that does not fit is named by its place."""
    cells = chunk.columns.get(name)
    if cells is None:
        cells = pa.nulls(len(chunk))
    try:
        return convert(cells)
    except Unfit as misfit:
        unit, number = plan.file.place(chunk.first_row + misfit.position)
        place: dict[str, Any] = {unit: number, "column": name}
        raise UnreadableFile(f"{unit.capitalize()} {number}, column {name}: {misfit.reason}.", **place) from misfit


def _labels(positive: str, tally: LabelTally, cells: pa.Array) -> pa.Array:
    labels, others = read_labels(cells, positive)
    tally.add(int((labels == 1).sum()), others)
    return pa.array(labels == 1, mask=np.isnan(labels))


def read_instants(cells: pa.Array) -> pa.Array:
    """The instants of rows, of which each needs one."""
    found = to_kind(cells, ColumnKind.TIMESTAMP)
    if found.null_count:
        raise Unfit(found.to_pylist().index(None), "is empty; each row needs its instant")
    return found
