"""What it costs to look at one test side again and again: which look this is, and the confidence it passes at."""

from collections.abc import Sequence
from math import ceil

import numpy as np

from app.stats.arrays import Bools, Ints

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


def count_looks(rows: Ints, looks: Sequence[tuple[str, Ints | None]], own: str) -> tuple[int, int]:
    """Which look at these rows a candidate's is, and how many candidates have looked at any of them.

    For each row the other candidates are counted that looked at it before this one first did; the look is 1 + the mean
    of these counts, rounded up. So a candidate that looks again keeps the number of its first look at the same rows,
    and one judged on rows of which others saw a part counts them by that part.

    Parameters
    ----------
    rows : ndarray of shape (n,)
        Keys of the churners that judge now.
    looks : sequence of (candidate, keys)
        Earlier looks, the oldest first: what was judged, and the keys of the churners that judged it, sorted; None
        where they are not known, and all rows are taken to have been seen.
    own : str
        The candidate that is judged now.

    Returns
    -------
    (int, int)
        The look, from 1, and the number of candidates, this one included. Without rows both are 1.

    Examples
    --------
    >>> both, one = np.array([1, 2]), np.array([2])
    >>> count_looks(both, [("a", both), ("b", one)], "c")
    (3, 3)
    """
    before = np.zeros(rows.size, dtype=np.int64)
    seen: dict[str, Bools] = {own: np.zeros(rows.size, dtype=np.bool_)}
    for candidate, keys in looks:
        at = np.ones(rows.size, dtype=np.bool_) if keys is None else np.isin(rows, keys)
        earlier = seen.setdefault(candidate, np.zeros(rows.size, dtype=np.bool_))
        if candidate != own:
            before += at & ~earlier & ~seen[own]
        seen[candidate] = earlier | at
    n_candidates = sum(bool(at.any()) for candidate, at in seen.items() if candidate != own) + 1
    return 1 + (ceil(float(before.mean()) - _ROUNDING) if rows.size else 0), n_candidates
