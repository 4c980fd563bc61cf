"""What the folds of a repeated cross-validation tell together, with an error that knows how alike they are."""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from app.stats.arrays import Floats, Interval, student_quantile


@dataclass(frozen=True)
class FoldMean:
    """A mean over folds with its corrected standard error; both NaN where the folds can't tell.

    Attributes
    ----------
    value, se : on the scale of the folds' values
    degrees : of freedom
    least, most : what the value can't lie beyond; its interval ends there
    """

    value: float
    se: float
    degrees: int
    least: float = -inf
    most: float = inf

    def interval(self, confidence: float = 0.95) -> Interval:
        """Student's interval `value -/+ t se`."""
        half = student_quantile(confidence, self.degrees) * self.se
        return Interval(max(self.value - half, self.least), min(self.value + half, self.most))


def corrected_mean(values: Floats, *, test_share: float, least: float = -inf, most: float = inf) -> FoldMean:
    r"""The mean of the folds' values with Nadeau and Bengio's variance.

    .. math:: \left( \frac{1}{m} + \frac{s_t}{1 - s_t} \right) s^2

    Folds share most of the rows they learn from, so :math:`s^2 / m` alone would be far too small.

    Parameters
    ----------
    values : ndarray of shape (m,)
        NaN where a fold could not tell: it is left out, as long as half of the folds remain.
    test_share : float
        Share of the rows that a fold is measured on, between 0 and 1; .2 for five folds.
    least, most : float
        Limits of what is measured.

    References
    ----------
    Nadeau, Bengio (2003), Machine Learning 52, 239-281.

    Examples
    --------
    >>> found = corrected_mean(np.array([0.7, 0.8]), test_share=0.2)
    >>> round(found.value, 3), round(found.se, 4)
    (0.75, 0.0612)
    """
    known = values[np.isfinite(values)]
    degrees = max(known.size - 1, 1)
    if known.size < 2 or 2 * known.size < values.size:
        return FoldMean(float("nan"), float("nan"), degrees, least, most)
    factor = sqrt(1 / known.size + test_share / (1 - test_share))
    return FoldMean(float(known.mean()), factor * float(known.std(ddof=1)), degrees, least, most)
