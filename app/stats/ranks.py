"""Whether two measures rank alike, and whether repeated fits do so with their features."""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are loaded when first used: they take seconds

from app.stats.arrays import Estimate, Floats, Interval, Ints


@dataclass(frozen=True)
class RankAgreement(Estimate):
    """Mean pairwise Spearman correlation of the rankings of k folds, -1..1, over the features compared."""

    n_folds: int
    features: tuple[int, ...]

    def interval(self, confidence: float = 0.95) -> Interval:
        """The jackknife interval over folds, with Student's t at k - 1 degrees, inside -1..1."""
        half = float(scipy.stats.t.ppf(0.5 + confidence / 2, self.n_folds - 1)) * self.se
        return Interval(max(self.value - half, -1.0), min(self.value + half, 1.0))


def rank_agreement(importances: Floats, n_top: int = 10) -> RankAgreement:
    """How alike k folds rank the features that are among the first `n_top` of any of them.

    The measure is the mean over pairs of folds of Spearman's correlation, over the union of their first `n_top`
    features. Equal importances share their mean rank. A fold that ranks all of them equal agrees (1) with one that
    does so too, and with no other (0).

    Parameters
    ----------
    importances : ndarray of shape (k, d)
        Larger matters more, 0 or more; k folds of 2 or more, d features of 2 or more.
    n_top : int
        2 or more.

    Returns
    -------
    RankAgreement
        Its standard error is the jackknife's over folds; NaN with two folds.

    Raises
    ------
    ValueError
        With fewer than two folds or two features.

    References
    ----------
    Kalousis, Prados, Hilario (2007), Knowledge and Information Systems 12, 95-116. Arvesen (1969), Annals of
    Mathematical Statistics 40, 2076-2100 (jackknife of U-statistics).
    """
    k, d = importances.shape
    if k < 2 or d < 2:
        raise ValueError(f"two folds and two features are needed, not {k} and {d}")
    features = _union_of_top(importances, n_top)
    correlation = _spearman(importances[:, features])
    n_pairs = k * (k - 1) / 2
    total = np.triu(correlation, 1).sum()
    value = float(total / n_pairs)
    without_each = (total - (correlation.sum(axis=1) - 1)) / max((k - 1) * (k - 2) / 2, 1)
    se = float(np.sqrt((k - 1) / k * np.sum((without_each - without_each.mean()) ** 2))) if k > 2 else float("nan")
    return RankAgreement(value, se, k, tuple(int(f) for f in features))


def spearman(a: Floats, b: Floats) -> float:
    """Spearman's correlation of two measures of the same things.

    Parameters
    ----------
    a, b : ndarray of shape (n,)
        n of 1 or more, no NaN; equal values share their mean rank.

    Returns
    -------
    float
        -1..1; NaN where either is constant.

    References
    ----------
    Spearman (1904), American Journal of Psychology 15, 72-101.

    Examples
    --------
    >>> round(spearman(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0])), 6)
    0.5
    """
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(scipy.stats.rankdata(a), scipy.stats.rankdata(b))[0, 1])


def _union_of_top(importances: Floats, n_top: int) -> Ints:
    """Positions of features among the first `n_top` of a fold; ties go to the earlier feature."""
    top = np.argsort(-importances, axis=1, kind="stable")[:, :n_top]
    return np.unique(top).astype(np.int64)


def _spearman(values: Floats) -> Floats:
    """Correlation of the ranks of each pair of rows: shape (k, k), ones on the diagonal."""
    ranks = scipy.stats.rankdata(values, axis=1)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    norms = np.sqrt((centred**2).sum(axis=1))
    flat = norms == 0
    scale = np.where(flat, 1.0, norms)
    correlation = (centred / scale[:, np.newaxis]) @ (centred / scale[:, np.newaxis]).T
    correlation[np.ix_(flat, flat)] = 1.0
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(correlation, dtype=np.float64)
