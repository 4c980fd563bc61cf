"""Counts of churners and others at the levels of one feature: its AUC, and what chance could do."""

import numpy as np
import scipy  # its parts are loaded when first used: they take seconds

from app.stats.arrays import Floats, Ints


def count_classes(y: Floats, codes: Ints, n_levels: int) -> tuple[Floats, Floats]:
    """Rows of either class at each level: those that stayed, those that churned, two arrays of shape (n_levels,).

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    codes : ndarray of shape (n,)
        0..n_levels-1.
    n_levels : int
        Levels that no row has count 0.
    """
    positive = np.bincount(codes, weights=y, minlength=n_levels).astype(np.float64)
    return np.bincount(codes, minlength=n_levels) - positive, positive


def auc_of_levels(negative: Floats, positive: Floats) -> float:
    """AUC of ordered levels from the rows of either class at each; rows at one level are ties and count half.

    Parameters
    ----------
    negative, positive : ndarray of shape (l,)
        Rows that stayed and that churned, from the level of least risk to that of most.

    Returns
    -------
    float
        0..1; NaN where a class is empty.

    Examples
    --------
    >>> auc_of_levels(np.array([1.0, 1.0]), np.array([1.0, 1.0]))
    0.5
    """
    n_pairs = negative.sum() * positive.sum()
    if not n_pairs:
        return float("nan")
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / n_pairs)


def best_place(negative: Floats, positive: Floats, extra_negative: float, extra_positive: float) -> int:
    """How many ordered levels must lie below one more level (that of missing values) for the highest AUC.

    Parameters
    ----------
    negative, positive : ndarray of shape (l,)
        Rows of either class at the ordered levels.
    extra_negative, extra_positive : float
        Rows of either class at the level to be placed.

    Returns
    -------
    int
        0..l; the least of equally good places.

    Examples
    --------
    >>> best_place(np.array([8.0, 2.0]), np.array([1.0, 9.0]), 0.0, 5.0)
    2
    """
    gain = extra_positive * negative - extra_negative * positive
    return int(np.argmax(np.concatenate([[0.0], np.cumsum(gain)])))


def log_chance_all_pure(n_levels: int, n: int, n_positive: int) -> float:
    r"""Bound on the log of the chance that no level of a feature unrelated to the label holds both classes.

    Each of the :math:`2^l` ways to call levels churned or stayed gives at most one of the :math:`\binom{n}{m}`
    equally likely ways to deal m churners to n rows, so the chance is at most :math:`2^l / \binom{n}{m}`.

    Parameters
    ----------
    n_levels : int
        1 or more.
    n, n_positive : int
        Independent rows, and the churners among them.

    Returns
    -------
    float
        0 at most.

    Examples
    --------
    >>> round(float(np.exp(log_chance_all_pure(2, 10, 3))), 4)  # 4 of 120
    0.0333
    """
    gammaln = scipy.special.gammaln
    ways = float(gammaln(n + 1) - gammaln(n_positive + 1) - gammaln(n - n_positive + 1))
    return float(min(n_levels * np.log(2) - ways, 0.0))
