"""What flagging the accounts at or above a cut-off catches: precision, recall, F1."""

from dataclasses import dataclass

import numpy as np

from app.stats.arrays import Bools, Clusters, Estimate, Floats, Interval, cluster_codes, cluster_sums
from app.stats.proportions import Proportion, proportion


def top_cut(score: Floats, n_top: int) -> float:
    """The lowest cut-off at or above which lie at most `n_top` scores.

    Equal scores are never parted: a group of ties that does not fit whole stays below the cut-off. Where not even the
    highest group fits, and for an empty array, the cut-off lies just above every score.

    Parameters
    ----------
    score : ndarray of shape (n,)
        No NaN.
    n_top : int
        0 or more.

    Examples
    --------
    >>> top_cut(np.array([0.9, 0.5, 0.5, 0.1]), 2)
    0.9
    """
    values, counts = np.unique(score, return_counts=True)
    n_at_or_above = np.cumsum(counts[::-1])[::-1]
    fits = values[n_at_or_above <= n_top]
    if fits.size:
        return float(fits[0])
    return float(np.nextafter(values[-1], np.inf)) if values.size else float(np.nextafter(1.0, 2.0))


@dataclass(frozen=True)
class CutMetrics:
    """Figures at a cut-off.

    Attributes
    ----------
    n_flagged : rows at or above the cut-off
    precision : share of the flagged that churned
        None where nobody is flagged.
    recall : share of the churners that are flagged
        None where nobody churned.
    jaccard : flagged churners over all that are flagged or churned: F1 / (2 - F1)
        None where there are none.
    """

    n_flagged: int
    precision: Proportion | None
    recall: Proportion | None
    jaccard: Proportion | None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None where nobody is flagged and nobody churned."""
        return None if self.jaccard is None else _f1(self.jaccard.value)

    def f1_interval(self, confidence: float = 0.95) -> Interval | None:
        """The interval of F1: that of `jaccard`, carried over by F1 = 2 J / (1 + J)."""
        if self.jaccard is None:
            return None
        low, high = self.jaccard.interval(confidence)
        return Interval(_f1(low), _f1(high))


def _f1(jaccard: float) -> float:
    return 2 * jaccard / (1 + jaccard)


def metrics_at(y: Floats, flagged: Bools, clusters: Clusters | None = None) -> CutMetrics:
    """Precision, recall and F1 of flagging these rows, each with what its interval needs, clustered by account.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    flagged : boolean ndarray of shape (n,)
        At or above the cut-off.
    clusters : ndarray of shape (n,) or None
        Rows of one account carry the same value.
    """
    churned = y == 1
    return CutMetrics(
        n_flagged=int(flagged.sum()),
        precision=proportion(churned, flagged, clusters),
        recall=proportion(flagged, churned, clusters),
        jaccard=proportion(churned & flagged, churned | flagged, clusters),
    )


def recall_difference(y: Floats, a: Bools, b: Bools, clusters: Clusters | None = None) -> Estimate:
    """Share of the churners that `a` flags minus the share that `b` flags, paired, clustered by account.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    a, b : boolean ndarray of shape (n,)
        The rows that either flags.
    clusters : ndarray of shape (n,) or None
        Rows of one account carry the same value.

    Returns
    -------
    Estimate
        -1..1; NaN without churners, its standard error NaN with churners of one account only.
    """
    churned = y == 1
    n_churned = int(churned.sum())
    if not n_churned:
        return Estimate(float("nan"), float("nan"))
    gain = a[churned].astype(np.float64) - b[churned]
    codes = cluster_codes(None if clusters is None else clusters[churned], n_churned)
    sums = cluster_sums((gain - gain.mean())[np.newaxis], codes)[0]
    if sums.size < 2:
        return Estimate(float(gain.mean()), float("nan"))
    return Estimate(float(gain.mean()), float(np.sqrt(sums @ sums * sums.size / (sums.size - 1)) / n_churned))
