"""Several tests at once: which of them to reject, so that seldom any is rejected wrongly."""

from collections.abc import Callable


def step_down(rejects: Callable[[int, float], bool], n_tests: int, error: float) -> frozenset[int]:
    """The tests that Holm's procedure rejects; the chance that any of them is rejected wrongly is at most `error`.

    The first are rejected at `error` over their number; each rejection leaves more for those that remain. No
    independence is asked for.

    Parameters
    ----------
    rejects : callable
        Whether a test, by its position 0..n_tests - 1, is rejected at a confidence 0..1; at a lower one it is too.
    n_tests : int
        0 or more.
    error : float
        Shared by all tests, 0..1.

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6, 65-70.

    Examples
    --------
    >>> p_values = [0.01, 0.04, 0.03]
    >>> sorted(step_down(lambda at, confidence: p_values[at] <= 1 - confidence, 3, 0.05))
    [0]
    """
    rejected: frozenset[int] = frozenset()
    while len(rejected) < n_tests:
        confidence = 1 - error / (n_tests - len(rejected))
        found = frozenset(at for at in range(n_tests) if at not in rejected and rejects(at, confidence))
        if not found:
            break
        rejected |= found
    return rejected
