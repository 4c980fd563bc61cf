"""What two queries say at some instants, in files: columns judged by their types, labels joined to their rows."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from app.db import quote_name
from app.errors import QueryRefused, UnreadableFile
from app.ml.cells import ColumnKind
from app.ml.labels import label_word
from app.schemas.query import QueryIn
from app.services.part_tables import StoredColumn
from app.services.query_labels import SortedLabels
from app.services.source_tables import TYPE_CASTS, TYPE_KINDS, judge_column
from app.services.upload_files import MAX_COLUMNS, Chunk, CsvRows
from app.services.warehouse import QueryColumn, Statement, Warehouse, refuse, statements
from app.tables import Dataset

INSTANT = pa.timestamp("us", "UTC")
_ID_TYPES = ("int2", "int4", "int8", "text", "enum", "uuid")


@dataclass(frozen=True)
class StagedInstant:
    """The answers at one instant, as files of CSV."""

    as_of: datetime
    features: Path
    n_rows: int
    labels: Path | None
    n_labels: int
    columns: tuple[StoredColumn, ...]
    types: tuple[QueryColumn, ...]
    label_type: str | None


async def stage(
    warehouse: Warehouse,
    dataset: Dataset,
    spec: QueryIn,
    as_of: datetime,
    folder: Path,
    *,
    labelled: bool,
    limit: int | None = None,
) -> StagedInstant:
    """Run the queries as of an instant; without labels only that of the features."""
    about_features, about_labels = statements(spec, as_of)
    place = folder / f"{as_of:%Y%m%dT%H%M%S%f}"
    types = await warehouse.describe(about_features)
    columns = judge_features(dataset, about_features, types)
    features = place.with_suffix(".features.csv")
    selected, order = _select_features(dataset, columns), _by_account(dataset)
    n_rows = await warehouse.copy(about_features, selected, features, order=order, limit=limit)
    staged = StagedInstant(as_of, features, n_rows, None, 0, tuple(columns), tuple(types), None)
    if not labelled:
        return staged
    found = await warehouse.describe(about_labels)
    labels = place.with_suffix(".labels.csv")
    selected = _select_labels(dataset, about_labels, found)
    n_labels = await warehouse.copy(about_labels, selected, labels, order=order, limit=limit)
    return replace(staged, labels=labels, n_labels=n_labels, label_type=_type_of(found, dataset.label_column))


def judge_features(dataset: Dataset, statement: Statement, columns: Sequence[QueryColumn]) -> list[StoredColumn]:
    """What is kept of each column; the id and a column called as_of, which says nothing new, are none of them."""
    _require_names(statement, columns)
    _require_id(dataset, statement, columns)
    if dataset.label_column in {each.name for each in columns}:
        raise refuse(statement, f"it returns the label {dataset.label_column} among the features")
    keys = (dataset.id_column, dataset.as_of_column)
    features = [each for each in columns if each.name not in keys]
    return [judge_column(dataset, each.name, each.type_name, f"f{at}") for at, each in enumerate(features, 1)]


def _require_names(statement: Statement, columns: Sequence[QueryColumn]) -> None:
    names = [each.name for each in columns]
    if len(names) > MAX_COLUMNS:
        raise refuse(statement, f"it returns {len(names)} columns; {MAX_COLUMNS} are the most")
    if odd := next((name for name in names if not name or name != name.strip()), None):
        raise refuse(statement, f"a column is called {odd!r}; name it without blanks at the ends")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise refuse(statement, f"two columns are called {twice!r}; name them apart with AS")


def _require_id(dataset: Dataset, statement: Statement, columns: Sequence[QueryColumn]) -> None:
    of_type = _type_of(columns, dataset.id_column)
    if of_type is None:
        there = ", ".join(each.name for each in columns[:20])
        raise refuse(statement, f"it returns no column {dataset.id_column} (id_column); there is {there}")
    if of_type not in _ID_TYPES:
        raise refuse(statement, f"{dataset.id_column} is of type {of_type}; cast it to bigint or text")


def _type_of(columns: Sequence[QueryColumn], name: str) -> str | None:
    return next((each.type_name for each in columns if each.name == name), None)


def _by_account(dataset: Dataset) -> str:
    """Byte for byte, as labels are met with rows; what is missing comes as the empty text that it is in a file."""
    return f'q.{quote_name(dataset.id_column)}::text COLLATE "C" NULLS FIRST'


def _select_features(dataset: Dataset, columns: Sequence[StoredColumn]) -> str:
    cast = {dataset.id_column: "text"} | {each.name: TYPE_CASTS[each.kind] for each in columns if each.column}
    return ", ".join(f"q.{quote_name(name)}::{to} AS {quote_name(name)}" for name, to in cast.items())


def _select_labels(dataset: Dataset, statement: Statement, columns: Sequence[QueryColumn]) -> str:
    """The id, and the label in words: numbers are 1 and 0, unless the dataset names the value that means churned."""
    _require_names(statement, columns)
    _require_id(dataset, statement, columns)
    of_type = _type_of(columns, dataset.label_column)
    if of_type is None:
        raise refuse(statement, f"it returns no column {dataset.label_column} (label_column)")
    kind = TYPE_KINDS.get(of_type)
    if kind not in (ColumnKind.BOOLEAN, ColumnKind.NUMERIC, ColumnKind.CATEGORICAL):
        raise refuse(statement, f"{dataset.label_column} is of type {of_type}; a label is a boolean, 0 or 1, or a word")
    label = f"q.{quote_name(dataset.label_column)}"
    word = f"{label}::text"
    if kind is ColumnKind.NUMERIC and label_word(dataset.positive_value) == "true":
        word = f"CASE {label} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE {word} END"
    account = quote_name(dataset.id_column)
    return f"q.{account}::text AS {account}, {word} AS {quote_name(dataset.label_column)}"


class QueryRows:
    """The rows of some instants as one file of rows: a `RowFile` with the instant and the label of each row.

    Attributes
    ----------
    reading : the instant that is being read, for those who tell of a fault
    n_without_row : labels of accounts that are not among the rows of their instant, counted on the way
    """

    def __init__(self, dataset: Dataset, staged: Sequence[StagedInstant]) -> None:
        self._dataset = dataset
        self._staged = staged
        keys = [dataset.id_column, str(dataset.as_of_column), dataset.label_column]
        self.names = [*keys, *(each.name for each in staged[0].columns if each.column)]
        self.reading = staged[0].as_of
        self.n_without_row = 0

    def chunks(self, wanted: Collection[str]) -> Iterator[Chunk]:
        """The wanted columns of all rows, instant by instant and by account."""
        self.n_without_row, n_before = 0, 0
        for each in self._staged:
            self.reading = each.as_of
            labels = SortedLabels(self._labels(each))
            for chunk in self._features(each, wanted):
                columns = dict(chunk.columns)
                columns[str(self._dataset.as_of_column)] = pa.repeat(pa.scalar(each.as_of, INSTANT), len(chunk))
                columns[self._dataset.label_column] = labels.of(columns[self._dataset.id_column])
                yield Chunk(n_before + chunk.first_row, columns)
            labels.finish()
            self.n_without_row += each.n_labels - labels.n_found
            n_before += each.n_rows

    def _features(self, each: StagedInstant, wanted: Collection[str]) -> Iterator[Chunk]:
        if each.n_rows:
            id_column = self._dataset.id_column
            own = {*wanted, id_column} - {self._dataset.as_of_column, self._dataset.label_column}
            yield from CsvRows(each.features, [id_column]).chunks(own)

    def _labels(self, each: StagedInstant) -> Iterator[tuple[pa.Array, pa.Array]]:
        """Accounts and their labels."""
        if each.labels is not None and each.n_labels:
            names = (self._dataset.id_column, self._dataset.label_column)
            for chunk in CsvRows(each.labels, names).chunks(names):
                yield chunk.columns[names[0]], chunk.columns[names[1]]

    def place(self, row: int) -> tuple[str, int]:
        """The number of the row within its instant, by account."""
        for each in self._staged:
            if row < each.n_rows:
                break
            row -= each.n_rows
        return "row", row + 1

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Faults of the rows as refusals of the queries, with the instant at which they are."""
        try:
            yield
        except UnreadableFile as error:
            raise QueryRefused(f"At {self.reading.isoformat()}: {error.detail}", **error.facts) from error
