"""Rows parted by a feature: the levels of a category, yes and no, or four bins of a number."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.stats.arrays import Ints
from app.stats.binning import quantile_edges

MAX_LEVELS = 8  # of a category, the most frequent ones; the rest together are one segment
N_BINS = 4  # of a number, about equally filled
MISSING, OTHER = "missing", "other levels"


@dataclass(frozen=True)
class Segments:
    """Which segment each row is in, by each of several features.

    Attributes
    ----------
    features : f names; those that the rows don't have are left out
    names : what the segments are called, such as 'contract: monthly'
    codes : ndarray of shape (f, n); for each feature and row a position in `names`
    """

    features: tuple[str, ...]
    names: tuple[str, ...]
    codes: Ints


def cut_segments(features: pa.Table, wanted: Sequence[str]) -> Segments:
    """Part the n rows of a table of features by each of the wanted ones that it has."""
    found = [name for name in wanted if name in features.column_names]
    names: list[str] = []
    codes = np.empty((len(found), features.num_rows), dtype=np.int64)
    for at, name in enumerate(found):
        labels = _labels(features[name])
        levels, codes[at] = np.unique(labels, return_inverse=True)
        codes[at] += len(names)
        names.extend(f"{name}: {level}" for level in levels)
    return Segments(tuple(found), tuple(names), codes)


def _labels(column: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """What each row's segment is called: shape (n,)."""
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        labels = _bins(column)
    elif pa.types.is_boolean(column.type):
        labels = pc.if_else(column, "yes", "no").to_pylist()
    else:
        labels = _levels(column)
    return np.array([MISSING if label is None else label for label in labels], dtype=object)


def _levels(column: pa.ChunkedArray) -> list[str | None]:
    counts = sorted(pc.value_counts(column.drop_null()).to_pylist(), key=lambda each: (-each["counts"], each["values"]))
    kept = {each["values"] for each in counts[:MAX_LEVELS]}
    return [level if level is None or level in kept else OTHER for level in column.to_pylist()]


def _bins(column: pa.ChunkedArray) -> list[str | None]:
    """Quantile bins, closed above; a value that is not finite is missing."""
    values = np.asarray(pc.cast(column, pa.float64()).to_numpy(), dtype=np.float64)
    known = np.isfinite(values)
    if not known.any():
        return [None] * values.size
    edges = np.unique(quantile_edges(values[known], N_BINS))
    at = np.searchsorted(edges, values, side="left")
    return [_bin_name(edges.tolist(), int(bin_)) if ok else None for bin_, ok in zip(at, known, strict=True)]


def _bin_name(edges: list[float], at: int) -> str:
    if not edges:
        return "all"
    if at == 0:
        return f"up to {edges[0]:g}"
    return f"above {edges[-1]:g}" if at == len(edges) else f"{edges[at - 1]:g} to {edges[at]:g}"
