"""Figures with the pull of each row on them, so that two of the same rows can be compared with an honest error."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from app.stats.arrays import Estimate, Floats, Ints, cluster_sums
from app.stats.calibration import calibration_line
from app.stats.thresholds import top_cut

_SMALLEST = 1e-15  # as in `calibration_line`


@dataclass(frozen=True)
class Figure:
    """A figure of n rows.

    Attributes
    ----------
    value : the figure; NaN where it can't be had
    pulls : ndarray of shape (n,)
        The influence function at each row: how the figure moves with the row's weight, n times over. The mean is 0.
    """

    value: float
    pulls: Floats

    def estimate(self, codes: Ints) -> Estimate:
        """With the standard error between the accounts that `codes`, shape (n,), number."""
        sums = cluster_sums(self.pulls[np.newaxis], codes)[0]
        if sums.size < 2:
            return Estimate(self.value, float("nan"))
        factor = sums.size / (sums.size - 1)
        return Estimate(self.value, float(np.sqrt(factor * (sums @ sums))) / self.pulls.size)

    def less(self, other: "Figure") -> "Figure":
        """The difference to another figure of the same rows: what both have in common cancels in its error."""
        return Figure(self.value - other.value, self.pulls - other.pulls)


def mean_of(values: Floats) -> Figure:
    """The mean of `values`, shape (n,), n above 0."""
    return Figure(float(values.mean()), values - values.mean())


def ratio_of(part: Floats, whole: Floats) -> Figure:
    """Sum of `part` over sum of `whole`, both of shape (n,); NaN where the whole is 0."""
    total = whole.sum()
    if not total:
        return Figure(float("nan"), np.full(part.size, np.nan))
    ratio = float(part.sum() / total)
    return Figure(ratio, (part - ratio * whole) / (total / part.size))


def count_in_top_share(score: Floats, top_share: float) -> int:
    """How many of the riskiest a share is, 0..1; equal scores are not parted, so that it may be none of them."""
    return int((score >= top_cut(score, round(top_share * score.size))).sum())


def hits_in_top_share(y: Floats, score: Floats, top_share: float) -> tuple[Floats, Floats]:
    """For each row what it adds to the churners among the riskiest, and the share of rows that these are.

    The first sums up to the churners flagged. As the share flagged is fixed, a row above the cut-off pushes another one
    below it, which churns as those near the cut-off do: that is taken off, evenly given back.

    Parameters
    ----------
    y, score : ndarray of shape (n,)
        1 churned, 0 stayed; larger means more at risk. n above 0.
    top_share : float
        0..1; equal scores are not parted, so that the share flagged may be smaller.

    Returns
    -------
    two ndarrays of shape (n,)
        To be taken as sums by `mean_of` or `ratio_of`; the second is constant.
    """
    n_flagged = count_in_top_share(score, top_share)
    flagged, order = np.zeros(y.size), np.argsort(-score, kind="stable")
    flagged[order[:n_flagged]] = 1.0
    n_near = max(y.size // 20, 20)  # on either side: few enough to be near, enough to tell a rate
    near = order[max(n_flagged - n_near, 0) : n_flagged + n_near]
    share = np.full(y.size, n_flagged / y.size)
    return y * flagged - y[near].mean() * (flagged - share), share


def average_precision_of(y: Floats, score: Floats) -> Figure:
    r"""Average precision, equal scores taken as one step; see `app.stats.ranking.pr_auc`.

    With :math:`\pi` the churn rate, :math:`P(t)` the precision at or above t and :math:`D(t)` the share of rows there,
    a row (y, s) pulls by :math:`y/\pi\,(P(s) - AP)`, for being among the churners that are averaged over, and by the
    mean over churners at t not above s of :math:`(y - P(t))/D(t)`, for being among the rows that each precision counts.

    Parameters
    ----------
    y, score : ndarray of shape (n,)
        1 churned, 0 stayed; larger means more at risk. NaN without churners.
    """
    churned = y == 1
    n, n_churners = y.size, int(churned.sum())
    if not n_churners:
        return Figure(float("nan"), np.full(n, np.nan))
    values, step = np.unique(score, return_inverse=True)
    n_at = np.cumsum(np.bincount(step, minlength=values.size)[::-1])[::-1]
    churners_of = np.bincount(step, weights=churned, minlength=values.size)
    precision = np.cumsum(churners_of[::-1])[::-1] / n_at
    average = float((churners_of * precision).sum() / n_churners)
    counted = churners_of / n_churners / (n_at / n)
    for_churning, for_being_there = np.cumsum(counted)[step], np.cumsum(counted * precision)[step]
    chosen = churned / (n_churners / n) * (precision[step] - average)
    return Figure(average, chosen + churned * for_churning - for_being_there)


def calibration_slope_of(y: Floats, p: Floats) -> Figure:
    """The slope of the recalibration line; NaN where no line can be fitted. See `app.stats.calibration`.

    Parameters
    ----------
    y, p : ndarray of shape (n,)
        1 churned, 0 stayed; probabilities, 0..1.
    """
    line = calibration_line(y, p)
    if not np.isfinite(line.slope):
        return Figure(float("nan"), np.full(y.size, np.nan))
    X = np.column_stack([np.ones(p.size), logit(np.clip(p, _SMALLEST, 1 - _SMALLEST))])
    fitted = expit(X @ np.array([line.intercept, line.slope]))
    information = (X * (fitted * (1 - fitted))[:, np.newaxis]).T @ X / y.size
    pulls = np.linalg.solve(information, (X * (y - fitted)[:, np.newaxis]).T)[1]
    return Figure(line.slope, np.asarray(pulls, dtype=np.float64))
