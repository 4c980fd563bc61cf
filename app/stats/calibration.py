"""Whether probabilities mean what they say: recalibration line, mean error, Brier score and skill, reliability."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from app.stats.arrays import (
    Bools,
    Clusters,
    Estimate,
    Floats,
    Interval,
    cluster_codes,
    cluster_sums,
    clustered_mean,
)
from app.stats.binning import quantile_edges
from app.stats.logistic import fit_logistic
from app.stats.proportions import proportion, wilson

_SMALLEST = 1e-15  # keeps logit and log finite at probabilities of 0 and 1


@dataclass(frozen=True)
class CalibrationLine:
    """logit P(churn) = intercept + slope logit(p): slope 1 and intercept 0 where p is calibrated.

    A slope below 1 means p is too extreme, above 1 too timid. All NaN where no line can be fitted: one class only,
    p constant, or classes that p parts perfectly.
    """

    slope: float
    intercept: float
    slope_se: float
    intercept_se: float

    def slope_interval(self, confidence: float = 0.95) -> Interval:
        """Normal interval of the slope."""
        return Estimate(self.slope, self.slope_se).interval(confidence)

    def intercept_interval(self, confidence: float = 0.95) -> Interval:
        """Normal interval of the intercept."""
        return Estimate(self.intercept, self.intercept_se).interval(confidence)


_NO_LINE = CalibrationLine(float("nan"), float("nan"), float("nan"), float("nan"))


def calibration_line(y: Floats, p: Floats, clusters: Clusters | None = None) -> CalibrationLine:
    """Logistic recalibration of logit(p) on `y`, by Newton's method.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    p : ndarray of shape (n,)
        Probabilities, 0..1; 0 and 1 are moved inside by 1e-15.
    clusters : ndarray of shape (n,) or None
        With clusters the errors are the sandwich over accounts, times G/(G-1) (n-1)/(n-2); else the information's.

    References
    ----------
    Cox (1958), Biometrika 45, 562-565. Liang, Zeger (1986), Biometrika 73, 13-22.
    """
    margin = logit(np.clip(p, _SMALLEST, 1 - _SMALLEST))
    if not _has_maximum(y, margin):
        return _NO_LINE
    centre, spread = float(margin.mean()), float(margin.std())
    X = np.column_stack([np.ones(p.size), (margin - centre) / spread])
    [fit] = fit_logistic(X.T, y, np.zeros((1, 2)), tolerance=1e-9)
    back = np.array([[1.0, -centre / spread], [0.0, 1 / spread]])  # to the line on the margin as it is
    intercept, slope = map(float, back @ fit.coefficients)
    covariance = back @ _line_covariance(X, y, fit.coefficients, clusters) @ back.T
    intercept_se, slope_se = map(float, np.sqrt(np.diag(covariance)))
    return CalibrationLine(slope, intercept, slope_se, intercept_se)


def _has_maximum(y: Floats, margin: Floats) -> bool:
    """The likelihood has a maximum where the classes overlap; that also asks for both classes and varying p."""
    churned, stayed = margin[y == 1], margin[y == 0]
    if not churned.size or not stayed.size:
        return False
    return bool(churned.min() < stayed.max() and stayed.min() < churned.max())


def _information(X: Floats, beta: Floats) -> Floats:
    fitted = expit(X @ beta)
    information: Floats = (X * (fitted * (1 - fitted))[:, np.newaxis]).T @ X
    return information


def _line_covariance(X: Floats, y: Floats, beta: Floats, clusters: Clusters | None) -> Floats:
    bread = np.asarray(np.linalg.inv(_information(X, beta)), dtype=np.float64)
    if clusters is None:
        return bread
    scores = cluster_sums((X * (y - expit(X @ beta))[:, np.newaxis]).T, cluster_codes(clusters, y.size))
    n_clusters, n = scores.shape[1], y.size
    if n_clusters < 2 or n < 3:
        return np.full((2, 2), np.nan)
    factor = n_clusters / (n_clusters - 1) * (n - 1) / (n - 2)
    sandwich: Floats = factor * bread @ (scores @ scores.T) @ bread
    return sandwich


def mean_error(y: Floats, p: Floats, clusters: Clusters | None = None) -> Estimate:
    """Mean predicted probability minus the churn rate, in -1..1, with its clustered standard error.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    p : ndarray of shape (n,)
        Probabilities, 0..1.
    clusters : ndarray of shape (n,) or None
        Rows of one account carry the same value.

    Returns
    -------
    Estimate
        NaN without rows; standard error NaN with fewer than two accounts.
    """
    return clustered_mean(p - y, clusters)


def brier(y: Floats, p: Floats) -> float:
    """Mean squared distance of probability and outcome, 0..1, smaller is better; NaN without rows."""
    return float(np.mean((p - y) ** 2)) if y.size else float("nan")


def brier_skill(y: Floats, p: Floats, reference: float, clusters: Clusters | None = None) -> Estimate:
    r"""Brier skill score against one probability for all: the share of its squared error that `p` takes away.

    .. math:: 1 - \sum (p_i - y_i)^2 / \sum (r - y_i)^2

    Its standard error is that of a ratio of sums by the delta method, clustered by account.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    p : ndarray of shape (n,)
        Probabilities, 0..1.
    reference : float
        What the base rate says of every row, 0..1.
    clusters : ndarray of shape (n,) or None
        Rows of one account carry the same value.

    Returns
    -------
    Estimate
        At most 1, 0 where `p` is worth no more than the reference, below 0 where less; NaN where the reference makes
        no error, and without rows.

    References
    ----------
    Brier (1950), Monthly Weather Review 78, 1-3. Murphy (1973), Journal of Applied Meteorology 12, 595-600.
    """
    own, base = (p - y) ** 2, (reference - y) ** 2
    total = float(base.sum())
    if not total:
        return Estimate(float("nan"), float("nan"))
    ratio = float(own.sum()) / total
    sums = cluster_sums((own - ratio * base)[np.newaxis], cluster_codes(clusters, y.size))[0]
    if sums.size < 2:
        return Estimate(1 - ratio, float("nan"))
    return Estimate(1 - ratio, float(np.sqrt(sums @ sums * sums.size / (sums.size - 1))) / total)


def log_loss(y: Floats, p: Floats) -> float:
    """Mean negative log-likelihood in nats, smaller is better; p of 0 and 1 are moved inside by 1e-15."""
    return float(np.mean(log_losses(y, p))) if y.size else float("nan")


def log_losses(y: Floats, p: Floats) -> Floats:
    """Negative log-likelihood of each row in nats, shape (n,); p of 0 and 1 are moved inside by 1e-15."""
    inside = np.clip(p, _SMALLEST, 1 - _SMALLEST)
    return np.asarray(-(y * np.log(inside) + (1 - y) * np.log1p(-inside)), dtype=np.float64)


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows with alike probabilities: what was said, and what happened with its Wilson interval, clustered."""

    n: int
    mean_predicted: float
    churn_rate: float
    interval: Interval


def reliability(
    y: Floats, p: Floats, n_bins: int = 10, confidence: float = 0.95, clusters: Clusters | None = None
) -> tuple[ReliabilityBin, ...]:
    """Predicted against observed churn in about equally filled bins of p, lowest first; equal p stay together.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    p : ndarray of shape (n,)
        Probabilities, 0..1.
    n_bins : int
        At most so many bins; fewer where ties make some of them empty.
    confidence : float
        0..1.
    clusters : ndarray of shape (n,) or None
        Rows of one account carry the same value; an interval is as wide as their effective number makes it.
    """
    if not y.size:
        return ()
    bins = np.searchsorted(quantile_edges(p, n_bins), p, side="left")
    return tuple(_reliability_bin(y, p, bins == b, confidence, clusters) for b in np.unique(bins))


def _reliability_bin(
    y: Floats, p: Floats, inside: Bools, confidence: float, clusters: Clusters | None
) -> ReliabilityBin:
    n, n_churned = int(inside.sum()), float(y[inside].sum())
    found = None if clusters is None else proportion(y == 1, inside, clusters)
    interval = found.interval(confidence) if found else wilson(n_churned, n, confidence)
    return ReliabilityBin(n, float(p[inside].mean()), n_churned / n, interval)
