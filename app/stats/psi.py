"""Population stability index from bin counts, with its bias, sampling null, interval and power."""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are loaded when first used: they take seconds
from scipy.special import chndtrinc

from app.stats.arrays import Floats, Interval, Ints


@dataclass(frozen=True)
class Psi:
    """Population stability index of two samples, in nats.

    Attributes
    ----------
    value : float
        As observed, 0 or more; two samples of one population have about (n_bins - 1)(1/n + 1/m).
    noise : float
        1/n + 1/m, the unit of its sampling: value / noise is chi-squared with n_bins - 1 degrees where nothing drifted.
    n_bins : int
        Bins compared; with fewer than two there is nothing to tell: the p value is 1, no index would be found.
    """

    value: float
    noise: float
    n_bins: int

    @property
    def corrected(self) -> float:
        """The value less its bias (n_bins - 1)(1/n + 1/m); may be negative."""
        return self.value - (self.n_bins - 1) * self.noise

    @property
    def p_value(self) -> float:
        """Chance of such a value or a larger one where nothing drifted."""
        return 1.0 if self.n_bins < 2 else float(scipy.stats.chi2.sf(self.value / self.noise, self.n_bins - 1))

    def critical_value(self, alpha: float = 0.05) -> float:
        """The corrected value above which drift is significant at `alpha`."""
        return (
            0.0
            if self.n_bins < 2
            else float(self.noise * (scipy.stats.chi2.isf(alpha, self.n_bins - 1) - (self.n_bins - 1)))
        )

    def smallest_detectable(self, *, alpha: float = 0.05, power: float = 0.8) -> float:
        """The smallest true index that samples of these sizes would find significant with chance `power`."""
        if self.n_bins < 2:
            return float("inf")
        freedom = self.n_bins - 1
        return self.noise * _noncentrality(float(scipy.stats.chi2.isf(alpha, freedom)), freedom, power)

    def interval(self, confidence: float = 0.95) -> Interval:
        """The true indices that leave the observed one in the middle `confidence` of a non-central chi-squared.

        For the upper end a value under the median of the null counts as that median: two samples that are alike by
        luck don't make the interval a point.

        References
        ----------
        Cowan, Cranmer, Gross, Vitells (2011), Power-constrained limits, arXiv:1105.3166.
        """
        if self.n_bins < 2:
            return Interval(0.0, 0.0)
        tail, seen, freedom = 0.5 - confidence / 2, self.value / self.noise, self.n_bins - 1
        low = _noncentrality(seen, freedom, tail)
        high = _noncentrality(max(seen, float(scipy.stats.chi2.median(freedom))), freedom, 1 - tail)
        return Interval(self.noise * low, self.noise * high)


def _noncentrality(seen: float, freedom: int, upper_share: float) -> float:
    """The non-centrality of a chi-squared that has `upper_share` above `seen`; 0 where the central one has more."""
    if scipy.stats.chi2.sf(seen, freedom) >= upper_share:
        return 0.0
    return float(chndtrinc(seen, freedom, 1 - upper_share))


def psi(reference_counts: Ints, current_counts: Ints) -> Psi:
    r"""Population stability index of current against reference counts.

    .. math:: \mathrm{PSI} = \sum_b (q_b - p_b) \ln (q_b / p_b)

    Half a count is added per bin, so an empty bin stays finite. The null holds where about ten rows are expected in
    each bin of both samples: see `merge_levels` and `merge_neighbours`.

    Parameters
    ----------
    reference_counts, current_counts : integer ndarray of shape (B,)
        Rows per bin, each with a sum above 0.

    Raises
    ------
    ValueError
        Where the shapes differ or a sample is empty.

    References
    ----------
    Siddiqi (2006), Credit Risk Scorecards. Yurdakul, Naranjo (2020), Journal of Risk Model Validation 14.

    Examples
    --------
    >>> round(psi(np.array([500, 500]), np.array([600, 400])).value, 4)
    0.0405
    """
    n, m, n_bins = int(reference_counts.sum()), int(current_counts.sum()), reference_counts.size
    if reference_counts.shape != current_counts.shape or not n or not m:
        raise ValueError(f"two samples over the same bins are needed, not {n} and {m} rows")
    p = (reference_counts + 0.5) / (n + 0.5 * n_bins)
    q = (current_counts + 0.5) / (m + 0.5 * n_bins)
    return Psi(float(np.sum((q - p) * np.log(q / p))), 1 / n + 1 / m, n_bins)


def _expected(reference: Ints, current: Ints) -> Floats:
    """Rows expected in each bin of the smaller sample, were both from one population."""
    n, m = reference.sum(), current.sum()
    expected: Floats = (reference + current) * (min(n, m) / max(n + m, 1))
    return expected


def merge_levels(reference: Ints, current: Ints, minimum: float = 10.0) -> tuple[Ints, Ints]:
    """Pool the rarest bins, whichever they are, until each expects at least `minimum` rows in both samples.

    Parameters
    ----------
    reference, current : integer ndarray of shape (B,)
        Rows per bin.
    minimum : float
        Rows expected in the smaller sample.

    Returns
    -------
    two integer ndarrays of one shape (at most B,)
        Rarest first.
    """
    order = np.argsort(reference + current, kind="stable")
    reference, current = reference[order], current[order]
    while reference.size > 1 and _expected(reference, current).min() < minimum:
        reference, current = _pool(reference, 0), _pool(current, 0)
        order = np.argsort(reference + current, kind="stable")
        reference, current = reference[order], current[order]
    return reference, current


def merge_neighbours(reference: Ints, current: Ints, minimum: float = 10.0) -> tuple[Ints, Ints]:
    """Pool each bin that expects fewer than `minimum` rows with the rarer of its neighbours, the rarest bin first.

    Parameters
    ----------
    reference, current : integer ndarray of shape (B,)
        Rows per bin, in order.
    minimum : float
        Rows expected in the smaller sample.
    """
    expected = _expected(reference, current)
    while reference.size > 1 and expected.min() < minimum:
        rarest = int(expected.argmin())
        left = expected[rarest - 1] if rarest > 0 else np.inf
        right = expected[rarest + 1] if rarest + 1 < expected.size else np.inf
        at = rarest - 1 if left <= right else rarest
        reference, current = _pool(reference, at), _pool(current, at)
        expected = _expected(reference, current)
    return reference, current


def _pool(counts: Ints, at: int) -> Ints:
    """Join the bins `at` and `at + 1`."""
    pooled: Ints = np.concatenate([counts[:at], [counts[at] + counts[at + 1]], counts[at + 2 :]])
    return pooled


def benjamini_hochberg(p_values: Floats) -> Floats:
    """The q value of each p value: the false-discovery rate at which it would be called; NaN stays NaN, uncounted.

    References
    ----------
    Benjamini, Hochberg (1995), JRSS B 57, 289-300.
    """
    q_values = np.full(p_values.shape, np.nan)
    known = ~np.isnan(p_values)
    if known.any():
        q_values[known] = scipy.stats.false_discovery_control(p_values[known])
    return q_values
