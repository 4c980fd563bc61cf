"""What contacting the accounts with the highest scores catches: cumulative gain, and lift with its interval."""

from dataclasses import dataclass
from math import exp, isfinite, nan, sqrt

import numpy as np

from app.stats.arrays import Bools, Clusters, Floats, Interval, cluster_codes, cluster_sums, normal_quantile


def cumulative_gain(y: Floats, score: Floats, shares: Floats) -> Floats:
    """Share of all churners among the rows with the highest scores, for each share of the rows.

    Rows with equal scores are taken in random order: the gain is the mean over all orders, a straight line across
    the group. Lift is the gain over the share.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    score : ndarray of shape (n,)
        Larger means more at risk; no NaN.
    shares : ndarray of shape (m,)
        Of the rows, 0..1.

    Returns
    -------
    ndarray of shape (m,)
        0..1; NaN without churners.

    Examples
    --------
    >>> cumulative_gain(np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.9, 0.5, 0.5, 0.1]), np.array([0.25, 0.5, 0.75]))
    array([0.5 , 0.75, 1.  ])
    """
    if not (y == 1).any():
        return np.full(shares.shape, nan)
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    caught = np.cumsum(y[order])[ends]
    gain: Floats = np.interp(shares, np.append(0.0, (ends + 1) / y.size), np.append(0.0, caught / caught[-1]))
    return gain


@dataclass(frozen=True)
class Lift:
    """How many times the churn rate of all rows the flagged ones have; `log_se` is the standard error of its log."""

    value: float
    log_se: float

    def interval(self, confidence: float = 0.95) -> Interval:
        """Normal on the log scale; NaN where no flagged row churned, as the log then has no end."""
        if not isfinite(self.log_se):
            return Interval(nan, nan)
        factor = exp(normal_quantile(confidence) * self.log_se)
        return Interval(self.value / factor, self.value * factor)


def lift(y: Floats, flagged: Bools, clusters: Clusters | None = None) -> Lift:
    """Churn rate of the flagged rows over that of all, by the delta method, clustered by account.

    With h flagged churners among f flagged rows and c churners among n, the log of (h / f) / (c / n) has for each row
    the influence hit / h - flag / f - churn / c + 1 / n; its variance is the sum of squares over accounts, G / (G - 1)
    times.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    flagged : boolean ndarray of shape (n,)
        The rows that are contacted.
    clusters : ndarray of shape (n,) or None
        Rows of one account carry the same value.

    Returns
    -------
    Lift
        NaN where nobody is flagged or nobody churned; 0 with a NaN error where no flagged row churned.

    References
    ----------
    Taylor linearisation of a ratio: Särndal, Swensson, Wretman (1992), Model Assisted Survey Sampling, section 5.5.
    """
    churned = y == 1
    n_hits, n_flagged, n_churned = int((churned & flagged).sum()), int(flagged.sum()), int(churned.sum())
    if not n_flagged or not n_churned:
        return Lift(nan, nan)
    value = (n_hits / n_flagged) / (n_churned / y.size)
    if not n_hits:
        return Lift(value, nan)
    influence = (churned & flagged) / n_hits - flagged / n_flagged - churned / n_churned + 1 / y.size
    sums = cluster_sums(influence[np.newaxis], cluster_codes(clusters, y.size))[0]
    return Lift(value, sqrt(float(sums @ sums) * sums.size / (sums.size - 1)) if sums.size > 1 else nan)
