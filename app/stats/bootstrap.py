"""The paired bootstrap over accounts, for statistics that have no formula of their own."""

from collections.abc import Callable

import numpy as np

from app.stats.arrays import Clusters, Floats, Interval, Ints, cluster_codes


def cluster_bootstrap(
    statistic: Callable[[Ints], float],
    clusters: Clusters,
    rng: np.random.Generator,
    *,
    n_resamples: int = 1000,
) -> Floats:
    """Values of `statistic` over samples of whole accounts drawn with replacement.

    A statistic that compares two models on the rows it is given is thereby paired.

    Parameters
    ----------
    statistic : callable
        Takes row positions of shape (any,), each as often as its account was drawn; may give NaN.
    clusters : ndarray of shape (n,)
        Rows of one account carry the same value.
    rng : numpy Generator
        Source of randomness.
    n_resamples : int
        Draws.

    Returns
    -------
    ndarray of shape (n_resamples,)

    References
    ----------
    Field, Welsh (2007), JRSS B 69, 369-390.
    """
    codes = cluster_codes(clusters, clusters.size)
    order = np.argsort(codes, kind="stable").astype(np.int64)
    sizes = np.bincount(codes)
    starts = np.cumsum(sizes) - sizes
    return np.array([statistic(order[_rows(starts, sizes, rng)]) for _ in range(n_resamples)])


def _rows(starts: Ints, sizes: Ints, rng: np.random.Generator) -> Ints:
    """Positions, in the order sorted by cluster, of as many drawn clusters as there are."""
    drawn = rng.integers(sizes.size, size=sizes.size)
    ends = np.cumsum(sizes[drawn])
    within = np.arange(ends[-1]) - np.repeat(ends - sizes[drawn], sizes[drawn])
    rows: Ints = np.repeat(starts[drawn], sizes[drawn]) + within
    return rows


def percentile_interval(values: Floats, confidence: float = 0.95) -> Interval:
    """The central `confidence` of bootstrap values, NaN left out; NaN where none is left."""
    known = values[~np.isnan(values)]
    if not known.size:
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(known, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(float(low), float(high))
