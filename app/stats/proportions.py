"""Shares with Wilson intervals, widened where rows of one account go together."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from app.stats.arrays import Bools, Clusters, Floats, Interval, Ints, cluster_codes, cluster_sums, normal_quantile


def wilson(n_hits: float, n: float, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a share; (0, 1) where there is nothing to count.

    Parameters
    ----------
    n_hits, n : float
        Hits among trials, 0 <= n_hits <= n; fractions are allowed (effective sizes).
    confidence : float
        0..1.

    References
    ----------
    Wilson (1927), JASA 22, 209-212.

    Examples
    --------
    >>> [round(end, 4) for end in wilson(1, 10)]
    [0.0179, 0.4042]
    """
    if n <= 0:
        return Interval(0.0, 1.0)
    z, share = normal_quantile(confidence), n_hits / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * sqrt(max(share * (1 - share), 0) / n + z**2 / (4 * n**2))
    low = 0.0 if n_hits <= 0 else max(centre - half, 0.0)
    return Interval(low, 1.0 if n_hits >= n else min(centre + half, 1.0))


@dataclass(frozen=True)
class Proportion:
    """A share of trials.

    Attributes
    ----------
    value : 0..1
    n : trials
    n_effective : trials that would carry as much evidence if all were independent
        At most `n`.
    """

    value: float
    n: int
    n_effective: float

    def interval(self, confidence: float = 0.95) -> Interval:
        """Wilson's interval at the effective size."""
        return wilson(self.value * self.n_effective, self.n_effective, confidence)


def proportion(hits: Bools, trials: Bools, clusters: Clusters | None = None) -> Proportion | None:
    """Share of the rows in `trials` that are also in `hits`, clustered by account; None without trials.

    The effective size is the number of trials over the design effect: the variance of the ratio between accounts over
    that of independent rows, never below 1. Where all rows agree there is no variance to see: an account counts once.

    Parameters
    ----------
    hits, trials : boolean ndarray of shape (n,)
        What is counted, among which rows.
    clusters : ndarray of shape (n,) or None
        Rows of one account carry the same value.

    References
    ----------
    Rao, Scott (1992), Biometrics 48, 577-585.
    """
    n = int(trials.sum())
    if not n:
        return None
    share = float((hits & trials).sum() / n)
    codes = cluster_codes(None if clusters is None else clusters[trials], n)
    return Proportion(share, n, _effective_size(hits[trials].astype(np.float64), share, int(codes.max()) + 1, codes))


def _effective_size(hit: Floats, share: float, n_clusters: int, codes: Ints) -> float:
    independent = share * (1 - share) * hit.size
    if independent == 0 or n_clusters == 1:
        return float(n_clusters)
    sums = cluster_sums((hit - share)[np.newaxis], codes)[0]
    between = float(sums @ sums) * n_clusters / (n_clusters - 1)
    return hit.size / max(between / independent, 1.0) if n_clusters < hit.size else float(hit.size)
