"""What it costs to look at one test side again and again: which look this is, and the confidence it passes at."""

from collections.abc import Iterable
from itertools import groupby
from math import ceil
from operator import itemgetter

import numpy as np

from app.stats.arrays import Ints

_ROUNDING = 1e-9  # of a mean of whole numbers, before it is rounded up


def look_confidence(look: int, confidence: float = 0.95) -> float:
    r"""The confidence at which look k at a test side passes.

    .. math:: 1 - \frac{2 (1 - c)}{k (k + 1)}

    The errors of all looks add up to no more than the two-sided error of an interval at `confidence`: equal candidates
    that pass where a lower end is above 0 do so with at most :math:`(1 - c)` in all, however many there are.

    Parameters
    ----------
    look : int
        From 1.
    confidence : float
        Of the first look, 0..1.

    Examples
    --------
    >>> [round(look_confidence(look), 3) for look in (1, 2, 3)]
    [0.95, 0.983, 0.992]
    """
    return 1 - 2 * (1 - confidence) / (look * (look + 1))


def count_looks(rows: Ints, looks: Iterable[tuple[str, int, Ints | None]], own: str) -> tuple[int, int]:
    """Which look at these rows a candidate's is, and how many candidates have looked at any of them.

    For each row the other candidates are counted that looked at it before this one first did; the look is 1 + the mean
    of these counts, rounded up. So a candidate that looks again keeps the number of its first look at the same rows,
    and one judged on rows of which others saw a part counts them by that part.

    Parameters
    ----------
    rows : ndarray of shape (n,)
        Keys of the churners that judge now.
    looks : iterable of (candidate, number, keys)
        Earlier looks, read once: what was judged, a number that grows in time, and the keys of the churners that
        judged it, or None where they are not known, and all rows are taken to have been seen. The candidate's own come
        first, and those of each other one come together, so that no more than one look is held.
    own : str
        The candidate that is judged now.

    Returns
    -------
    (int, int)
        The look, from 1, and the number of candidates, this one included. Without rows both are 1.

    Examples
    --------
    >>> both, one = np.array([1, 2]), np.array([2])
    >>> count_looks(both, [("a", 1, both), ("b", 2, one)], "c")
    (3, 3)
    """
    before, n_candidates = np.zeros(rows.size, dtype=np.int64), 1
    own_first = np.full(rows.size, np.inf)
    for candidate, group in groupby(looks, key=itemgetter(0)):
        first = np.full(rows.size, np.inf)
        for _, number, keys in group:
            at = slice(None) if keys is None else np.isin(rows, keys)
            first[at] = np.minimum(first[at], number)
        if candidate == own:
            own_first = first
        else:
            before += first < own_first
            n_candidates += bool(np.isfinite(first).any())
    return 1 + (ceil(float(before.mean()) - _ROUNDING) if rows.size else 0), n_candidates
