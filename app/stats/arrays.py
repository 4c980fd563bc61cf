"""Array types, estimates with intervals, and sums by cluster, which all statistics here share."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Clusters = npt.NDArray[Any]

_MOST = float(np.nextafter(1, 0))  # the largest probability below 1, where quantiles are finite


class Interval(NamedTuple):
    """The two ends of a confidence interval, both inside it."""

    low: float
    high: float


def normal_quantile(confidence: float) -> float:
    """The z that holds `confidence` (0..1) of a standard normal between -z and z; 1.96 for .95, never above 8.3."""
    return float(ndtri(min(0.5 + confidence / 2, _MOST)))


def student_quantile(confidence: float, degrees: int) -> float:
    """The t that holds `confidence` (0..1) of Student's distribution between -t and t; 2.093 for .95 and 19.

    Never infinite: a confidence next to 1, as one that is shared by many looks, is taken as the largest below it.
    """
    return float(stdtrit(degrees, min(0.5 + confidence / 2, _MOST)))


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error; both NaN where the data can't tell."""

    value: float
    se: float

    def interval(self, confidence: float = 0.95) -> Interval:
        """The normal interval `value -/+ z se`; a single point where the standard error is 0."""
        half = normal_quantile(confidence) * self.se
        return Interval(self.value - half, self.value + half)


def cluster_codes(clusters: Clusters | None, n: int) -> Ints:
    """Number the clusters 0, 1, ...: shape (n,); without clusters each row is its own.

    Raises
    ------
    ValueError
        Where `clusters` has not one entry per row.
    """
    if clusters is None:
        return np.arange(n, dtype=np.int64)
    if clusters.shape != (n,):
        raise ValueError(f"{n} rows need {n} clusters, not an array of shape {clusters.shape}")
    return np.unique(clusters, return_inverse=True)[1].astype(np.int64)


def cluster_sums(values: Floats, codes: Ints) -> Floats:
    """Sum `values` of shape (m, n) over the rows of each cluster: shape (m, number of clusters)."""
    n_clusters = int(codes.max()) + 1 if codes.size else 0
    return np.stack([np.bincount(codes, weights=row, minlength=n_clusters) for row in values])


def clustered_mean(values: Floats, clusters: Clusters | None = None) -> Estimate:
    """Mean of values of shape (n,) with its standard error clustered by account.

    NaN without rows; standard error NaN with fewer than two clusters.

    Examples
    --------
    >>> clustered_mean(np.array([1.0, 3.0, 5.0, 7.0]), np.array(["a", "a", "b", "b"]))
    Estimate(value=4.0, se=2.0)
    """
    if not values.size:
        return Estimate(float("nan"), float("nan"))
    mean = float(values.mean())
    sums = cluster_sums((values - mean)[np.newaxis], cluster_codes(clusters, values.size))[0]
    if sums.size < 2:
        return Estimate(mean, float("nan"))
    return Estimate(mean, float(np.sqrt(sums @ sums * sums.size / (sums.size - 1)) / values.size))
