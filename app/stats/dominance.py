"""How much of a model's importance lies in one feature."""

from dataclasses import dataclass

import numpy as np

from app.stats.arrays import Estimate, Floats, Interval, student_quantile


@dataclass(frozen=True)
class LeadingShare(Estimate):
    """Mean over folds of the share of all importance that the leading feature has, 0..1."""

    feature: int
    n_folds: int

    def interval(self, confidence: float = 0.95) -> Interval:
        """Student's over folds, inside 0..1; the folds share rows, so it is somewhat too narrow."""
        half = student_quantile(confidence, self.n_folds - 1) * self.se
        return Interval(max(self.value - half, 0.0), min(self.value + half, 1.0))


def leading_share(importances: Floats) -> LeadingShare | None:
    """The feature with the largest mean share, and that share; None where no fold finds any feature important.

    Parameters
    ----------
    importances : ndarray of shape (k, d)
        Of d features in each of k folds, k of 2 or more; 0 or more. Folds without any importance are left out.

    Examples
    --------
    >>> found = leading_share(np.array([[3.0, 1.0], [1.0, 1.0]]))
    >>> found.value, found.feature
    (0.625, 0)
    """
    shares = importances[importances.sum(axis=1) > 0]
    if shares.shape[0] < 2:
        return None
    shares = shares / shares.sum(axis=1, keepdims=True)
    feature = int(np.argmax(shares.mean(axis=0)))
    found, k = shares[:, feature], shares.shape[0]
    return LeadingShare(float(found.mean()), float(found.std(ddof=1) / np.sqrt(k)), feature, k)
