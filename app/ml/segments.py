"""Rows parted by a feature: the levels of a category, yes and no, or four bins of a number."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.stats.arrays import Floats, Ints
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
        called, parts = _part(features[name])
        used, codes[at] = np.unique(parts, return_inverse=True)
        codes[at] += len(names)
        names.extend(f"{name}: {called[part]}" for part in used)
    return Segments(tuple(found), tuple(names), codes)


def _part(column: pa.ChunkedArray) -> tuple[list[str], Ints]:
    """What the parts are called, and for each row the position of its part: shape (n,)."""
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return _bins(column)
    if pa.types.is_boolean(column.type):
        return ["no", "yes", MISSING], _codes(column.cast(pa.int64()), missing=2)
    return _levels(column)


def _levels(column: pa.ChunkedArray) -> tuple[list[str], Ints]:
    counts = sorted(pc.value_counts(column.drop_null()).to_pylist(), key=lambda each: (-each["counts"], each["values"]))
    kept = sorted(each["values"] for each in counts[:MAX_LEVELS])
    at = pc.fill_null(pc.index_in(column, pa.array(kept, column.type)), len(kept))
    parts = pc.if_else(pc.is_null(column), len(kept) + 1, at)
    called = [f'"{level}"' if level in (MISSING, OTHER) else level for level in kept]
    return [*called, OTHER, MISSING], _codes(parts, missing=len(kept) + 1)


def _codes(parts: pa.ChunkedArray, *, missing: int) -> Ints:
    return np.asarray(pc.fill_null(parts, missing).to_numpy(), dtype=np.int64)


def _bins(column: pa.ChunkedArray) -> tuple[list[str], Ints]:
    """Quantile bins, closed above; a value that is not finite is missing."""
    values = np.asarray(pc.cast(column, pa.float64()).to_numpy(), dtype=np.float64)
    known = np.isfinite(values)
    edges = np.unique(quantile_edges(values[known], N_BINS)) if known.any() else np.empty(0)
    parts = np.where(known, np.searchsorted(edges, values, side="left"), edges.size + 1)
    return [*_bin_names(edges), MISSING], parts


def _bin_names(edges: Floats) -> list[str]:
    """Edges with as many digits as tell them apart."""
    if not edges.size:
        return ["all"]
    told = next(told for told in ([f"{edge:.{n}g}" for edge in edges] for n in (6, 9, 12, 17)) if _differ(told))
    between = [f"{low} to {high}" for low, high in pairwise(told)]
    return [f"up to {told[0]}", *between, f"above {told[-1]}"]


def _differ(told: list[str]) -> bool:
    return len(set(told)) == len(told)
