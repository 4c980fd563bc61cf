"""People's frames as typed columns: by dtype, read by the same rules as an upload, or refused naming the column."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, Union

import numpy as np
import pandas as pd
import pyarrow as pa

from app.ml.cells import ColumnKind, Unfit, account_ids, declared_kind, decode, to_kind
from app.ml.frame import Feature, FeatureKind, Floats
from app.ml.split import SIDE_NAMES, Sides

Rows: TypeAlias = pd.DataFrame | pa.Table
Values: TypeAlias = Union["pd.Series[Any]", np.ndarray[Any, Any], pa.Array, Sequence[Any]]

_REFUSED = {
    ColumnKind.TIMESTAMP: "holds dates; give a number instead, such as the days since then",
    ColumnKind.UNSUPPORTED: "is of type {type}; numbers, booleans and text can be learned from",
}


class FrameError(ValueError):
    """Rows that can't be used as they are; the message names the column or argument, and says what to do."""


def read_columns(X: Rows, only: set[str] | None = None) -> tuple[pa.Table, tuple[Feature, ...]]:
    """The columns, or `only` those of these that it has, as float64, bool and string, and what kind each is.

    Numbers are numeric, booleans boolean, text and categories categorical; nothing is guessed from text.

    Raises
    ------
    FrameError
        Naming the column that is of no such kind.
    """
    columns, features = {}, []
    for name, values in _cells(X, only).items():
        kind = _kind(name, values)
        columns[name] = _converted(name, values, kind)
        features.append(Feature(name, FeatureKind(kind.value)))
    return pa.table(columns), tuple(features)


def read_known_columns(X: Rows, features: Sequence[Feature]) -> pa.Table:
    """These features out of a frame that may have more columns, each of the kind it was at training.

    Raises
    ------
    FrameError
        Naming the columns that are missing, or one that holds something else.
    """
    cells = _cells(X, only={each.name for each in features})
    missing = [each.name for each in features if each.name not in cells]
    if missing:
        raise FrameError(f"X has no column {', '.join(missing[:5])}, which the model reads")
    columns = {each.name: _converted(each.name, cells[each.name], ColumnKind(each.kind.value)) for each in features}
    return pa.table(columns) if columns else pa.table({"": pa.nulls(n_rows(X))}).select([])


def n_rows(X: Rows) -> int:
    """How many rows it has."""
    return int(X.num_rows) if isinstance(X, pa.Table) else len(X)


def index_of(X: Rows) -> "pd.Index[Any]":
    """The index of a frame; of a table the positions of its rows."""
    return pd.RangeIndex(n_rows(X)) if isinstance(X, pa.Table) else X.index


def read_labels(y: Values, X: Rows) -> Floats:
    """Labels as 1 churned, 0 stayed: shape (n,)."""
    cells = _aligned("y", y, X)
    if declared_kind(cells.type) not in (ColumnKind.NUMERIC, ColumnKind.BOOLEAN):
        raise FrameError("y must hold 0 and 1, or booleans; of text say what means churned, such as y == 'Yes'")
    labels = np.asarray(cells.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False), dtype=np.float64)
    n_unknown = int(np.isnan(labels).sum())
    if n_unknown:
        raise FrameError(f"{n_unknown} of {labels.size} labels in y are missing; leave those rows out")
    wrong = labels[~np.isin(labels, (0.0, 1.0))]
    if wrong.size:
        raise FrameError(f"y must hold 0 (stayed) and 1 (churned) alone; it holds {wrong[0]:g}")
    return labels


def read_accounts(accounts: Values, X: Rows) -> pa.Array:
    """Account ids as text."""
    return _read("accounts", _aligned("accounts", accounts, X), account_ids)


def read_instants(as_of: Values, X: Rows) -> pa.Array:
    """Instants in UTC, one for each row."""
    found = _read("as_of", _aligned("as_of", as_of, X), lambda cells: to_kind(cells, ColumnKind.TIMESTAMP))
    if found.null_count:
        raise FrameError("as_of has missing values; each row needs its instant, or leave as_of out")
    return found


def read_sides(sides: Values, X: Rows) -> Sides:
    """The side of each row."""
    names = np.array(_aligned("sides", sides, X).to_pylist(), dtype=object)
    wrong = next((name for name in names if name not in SIDE_NAMES), None)
    if wrong is not None:
        raise FrameError(f"sides must hold {', '.join(SIDE_NAMES)}; it holds {wrong!r}")
    return np.asarray(names, dtype="<U10")


def _cells(X: Rows, only: set[str] | None = None) -> dict[str, pa.Array]:
    """The columns by name, as Arrow reads them."""
    if not isinstance(X, pd.DataFrame | pa.Table):
        raise FrameError(f"X must be a pandas DataFrame or a pyarrow Table with named columns, not {type(X).__name__}")
    names = list(X.column_names if isinstance(X, pa.Table) else X.columns)
    for name in names:
        if not isinstance(name, str):
            raise FrameError(f"the column {name!r} has no text as its name; rename it: X.columns = X.columns.map(str)")
        if names.count(name) > 1:
            raise FrameError(f"the column {name!r} comes twice; leave one out")
    return {name: _as_arrow(f"the column {name!r}", X[name]) for name in names if only is None or name in only}


def _aligned(name: str, values: Values, X: Rows) -> pa.Array:
    """One value for each row of X; those of a Series must have X's own index, in the same order."""
    if isinstance(values, pd.Series) and isinstance(X, pd.DataFrame) and not values.index.equals(X.index):
        raise FrameError(f"the index of {name} is not that of X; give {name}.loc[X.index], or {name}.to_numpy()")
    cells = _as_arrow(name, values)
    if len(cells) != n_rows(X):
        raise FrameError(f"X has {n_rows(X)} rows, but {name} {len(cells)} values")
    return cells


def _as_arrow(what: str, values: Any) -> pa.Array:
    if values is None or isinstance(values, pd.DataFrame | pa.Table):
        raise FrameError(f"{what} must be one column of values, not {type(values).__name__}")
    if isinstance(values, pd.Series | pd.Index) and isinstance(values.dtype, pd.DatetimeTZDtype):
        values = pd.DatetimeIndex(values).tz_convert(None)  # naive means UTC, here and in uploads
    try:
        found = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise FrameError(f"{what} holds values of several kinds, or of none that is known: {error}") from error
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
        found = found.chunk(0) if isinstance(found, pa.ChunkedArray) else found
    return found


def _kind(name: str, values: pa.Array) -> ColumnKind:
    is_category = pa.types.is_dictionary(values.type)
    plain = decode(values)
    if is_category or pa.types.is_string(plain.type):
        return ColumnKind.CATEGORICAL
    kind = declared_kind(plain.type) or ColumnKind.NUMERIC  # without a value it says nothing, and will be left out
    if kind in _REFUSED:
        raise FrameError(f"the column {name!r} {_REFUSED[kind].format(type=plain.type)}; or leave it out of X")
    return kind


def _converted(name: str, values: pa.Array, kind: ColumnKind) -> pa.Array:
    return _read(f"the column {name!r}", values, lambda cells: to_kind(cells, kind))


def _read(what: str, cells: pa.Array, convert: Callable[[pa.Array], pa.Array]) -> pa.Array:
    try:
        return convert(cells)
    except Unfit as misfit:
        raise FrameError(f"{what}, row {misfit.position}: {misfit.reason}") from misfit
