"""Rows and columns for the tests of the leak probes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from app.ml.frame import Feature, FeatureKind, Floats, Frame
from app.ml.leaks.columns import Column, read_column
from app.ml.leaks.rows import LabelledRows, prepare_rows

UTC_US = pa.timestamp("us", "UTC")


def rows_of(
    y: Sequence[float] | Floats,
    accounts: Sequence[Any] | None = None,
    *,
    as_of: Sequence[Any] | None = None,
    n_features: int = 1,
) -> LabelledRows:
    """Prepared rows; without accounts each is one of its own."""
    labels = np.asarray(y, dtype=np.float64)
    names = [f"a{i}" for i in range(labels.size)] if accounts is None else [str(each) for each in accounts]
    dates = None if as_of is None else pa.array(as_of, UTC_US)
    empty = pa.table({"none": pa.nulls(labels.size)})
    return prepare_rows(Frame(pa.array(names), empty, labels, dates), n_features=n_features, seed=0)


def column_of(values: Sequence[Any] | Floats | pa.Array, name: str = "x") -> Column:
    """A column of text, or of numbers, as its values are."""
    array = values if isinstance(values, pa.Array) else pa.array(values)
    kind = FeatureKind.CATEGORICAL if pa.types.is_string(array.type) else FeatureKind.NUMERIC
    if pa.types.is_boolean(array.type):
        kind = FeatureKind.BOOLEAN
    return read_column(pa.table({name: array}), Feature(name, kind))
