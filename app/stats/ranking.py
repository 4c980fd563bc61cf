"""How well a score ranks churners above the others: AUC and PR AUC, with errors clustered by account."""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are loaded when first used: they take seconds
from scipy.special import expit, logit

from app.stats.arrays import Bools, Clusters, Estimate, Floats, Interval, Ints, cluster_codes, cluster_sums
from app.stats.arrays import normal_quantile as z_of


def auc(y: Floats, score: Floats) -> float:
    """Area under the ROC curve: the chance that a churner scores above a non-churner; ties count half.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    score : ndarray of shape (n,)
        Larger means more at risk.

    Returns
    -------
    float
        0..1; NaN where `y` has one class only.

    Examples
    --------
    >>> auc(np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.2, 0.9]))
    0.75
    """
    positive = y == 1
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    rank_sum = float(scipy.stats.rankdata(score)[positive].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def pr_auc(y: Floats, score: Floats) -> float:
    """Average precision: the step-wise area under the precision-recall curve, equal scores taken as one step.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    score : ndarray of shape (n,)
        Larger means more at risk.

    Returns
    -------
    float
        0..1, about the churn rate for a useless score; NaN without churners.
    """
    order = np.argsort(-score, kind="stable")
    caught = np.cumsum(y[order] == 1)
    if not caught.size or caught[-1] == 0:
        return float("nan")
    last_of_step = np.append(np.diff(score[order]) != 0, True)
    hits, flagged = caught[last_of_step], np.flatnonzero(last_of_step) + 1
    return float(np.sum(np.diff(hits, prepend=0) * hits / flagged) / caught[-1])


@dataclass(frozen=True)
class AucEstimates:
    """AUCs of several scores on the same rows.

    Attributes
    ----------
    auc : ndarray of shape (m,), 0..1
    covariance : ndarray of shape (m, m)
        NaN where fewer than two clusters hold churners, or non-churners.
    n_positive, n_negative : rows of either class
    """

    auc: Floats
    covariance: Floats
    n_positive: int
    n_negative: int


@dataclass(frozen=True)
class AucEstimate(Estimate):
    """One AUC with its standard error and the rows of either class behind it."""

    n_positive: int
    n_negative: int

    def interval(self, confidence: float = 0.95) -> Interval:
        """The interval on the logit scale; at an AUC of exactly 0 or 1, where that has no width, Newcombe's.

        References
        ----------
        Newcombe (2006), Statistics in Medicine 25, 559-573, method 5.
        """
        if not np.isfinite(self.se):
            return Interval(float("nan"), float("nan"))
        if self.value in (0.0, 1.0):
            return self._at_the_end(z_of(confidence))
        half = z_of(confidence) * self.se / (self.value * (1 - self.value))
        low, high = expit(logit(self.value) + np.array([-half, half]))
        return Interval(float(low), float(high))

    def _at_the_end(self, z: float) -> Interval:
        spare = (self.n_positive + self.n_negative) / 2 - 1

        def gap(missed: float) -> float:  # missed = |1 - theta| of the true AUC theta, seen from the end
            spread = 1 + spare * (missed / (1 + missed) + (1 - missed) / (2 - missed))
            return missed**2 - z**2 * missed * (1 - missed) * spread / (self.n_positive * self.n_negative)

        missed = float(scipy.optimize.brentq(gap, 1e-12, 1.0))
        return Interval(1 - missed, 1.0) if self.value == 1.0 else Interval(0.0, missed)


def _placements(y: Floats, scores: Floats) -> tuple[Floats, Bools]:
    """Share of the other class each row is ranked rightly against, ties half: shape (m, n), and the churners."""
    positive = y == 1
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    pooled = scipy.stats.rankdata(scores, axis=1)
    placed = np.empty(scores.shape)
    placed[:, positive] = (pooled[:, positive] - scipy.stats.rankdata(scores[:, positive], axis=1)) / n_negative
    placed[:, ~positive] = 1 - (pooled[:, ~positive] - scipy.stats.rankdata(scores[:, ~positive], axis=1)) / n_positive
    return placed, positive


def _centred_sums(placed: Floats, rows: Bools, codes: Ints) -> tuple[Floats, float]:
    """Cluster sums of the centred placements of one class over its size, and its small-sample factor."""
    centred = np.where(rows, placed - placed[:, rows].mean(axis=1, keepdims=True), 0.0)
    n_clusters = np.unique(codes[rows]).size
    factor = n_clusters / (n_clusters - 1) if n_clusters > 1 else float("nan")
    return cluster_sums(centred, codes) / rows.sum(), factor


def _covariance(placed: Floats, positive: Bools, codes: Ints) -> Floats:
    x, x_factor = _centred_sums(placed, positive, codes)
    y, y_factor = _centred_sums(placed, ~positive, codes)
    n_clusters = x.shape[1]
    both = n_clusters / max(n_clusters - 1, 1) * (x @ y.T + y @ x.T)
    covariance: Floats = x_factor * (x @ x.T) + y_factor * (y @ y.T) + both
    return covariance


def delong(y: Floats, scores: Floats, clusters: Clusters | None = None) -> AucEstimates:
    r"""AUCs of m scores on the same rows and their covariance, clustered, in O(m n log n).

    With the placements :math:`V` of churners and non-churners summed over each account, the covariance is
    :math:`S_{10}/M + S_{01}/N + 2 S_{11}/(MN)`. With one row per account it is DeLong's.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    scores : ndarray of shape (m, n)
        Larger means more at risk; ties count half.
    clusters : ndarray of shape (n,) or None
        Rows of one account carry the same value.

    Returns
    -------
    AucEstimates
        All NaN where `y` has one class only.

    References
    ----------
    DeLong, DeLong, Clarke-Pearson (1988), Biometrics 44, 837-845. Obuchowski (1997), Biometrics 53, 567-578.
    Sun, Xu (2014), IEEE Signal Processing Letters 21, 1389-1393.
    """
    n_positive = int((y == 1).sum())
    n_negative = int(y.size - n_positive)
    m = scores.shape[0]
    if not n_positive or not n_negative:
        return AucEstimates(np.full(m, np.nan), np.full((m, m), np.nan), n_positive, n_negative)
    placed, positive = _placements(y, scores)
    covariance = _covariance(placed, positive, cluster_codes(clusters, y.size))
    return AucEstimates(placed[:, positive].mean(axis=1), covariance, n_positive, n_negative)


def auc_estimate(y: Floats, score: Floats, clusters: Clusters | None = None) -> AucEstimate:
    """One AUC with its clustered standard error; see `delong`. Its `.interval(confidence)` is on the logit scale."""
    found = delong(y, score[np.newaxis], clusters)
    se = float(np.sqrt(np.maximum(found.covariance[0, 0], 0)))
    return AucEstimate(float(found.auc[0]), se, found.n_positive, found.n_negative)


def auc_interval(y: Floats, score: Floats, clusters: Clusters | None = None, confidence: float = 0.95) -> Interval:
    """The interval of one AUC on the logit scale, clustered by account; see `auc_estimate`."""
    return auc_estimate(y, score, clusters).interval(confidence)


def auc_difference(y: Floats, a: Floats, b: Floats, clusters: Clusters | None = None) -> Estimate:
    """AUC of `a` minus AUC of `b`, paired on the same rows, with its clustered standard error.

    The error is that of the paired placements, so two scores that rank alike have a difference and a standard error
    of exactly 0.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    a, b : ndarray of shape (n,)
        Larger means more at risk.
    clusters : ndarray of shape (n,) or None
        Rows of one account carry the same value.

    Returns
    -------
    Estimate
        -1..1; NaN where `y` has one class only.
    """
    if np.unique(y).size < 2:
        return Estimate(float("nan"), float("nan"))
    placed, positive = _placements(y, np.stack([a, b]))
    paired = placed[:1] - placed[1:]
    variance = _covariance(paired, positive, cluster_codes(clusters, y.size))[0, 0]
    return Estimate(float(paired[0, positive].mean()), float(np.sqrt(np.maximum(variance, 0))))
