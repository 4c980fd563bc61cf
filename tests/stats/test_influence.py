"""Errors by influence functions against resampled accounts, the slow and obvious way."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, log_loss

from app.stats.arrays import Floats
from app.stats.calibration import calibration_line
from app.stats.influence import Figure, average_precision_of, calibration_slope_of, mean_of, ratio_of
from app.stats.proportions import proportion
from tests.stats.test_targeting import draw

Rows = tuple[Floats, Floats, Floats]


def two_scores(n: int, seed: int, per_account: int) -> Rows:
    """Outcomes, a score that is right and has ties, and one that sees the same through a fog."""
    y, p, _ = draw(n, seed, per_account=per_account)
    p = np.clip(p, 0.01, 0.99)
    fog = np.random.default_rng(seed).normal(0, 0.7, n)
    return y, p, 1 / (1 + np.exp(-np.log(p / (1 - p)) - fog))


FIGURES: dict[str, tuple[Callable[[Floats, Floats], Figure], Callable[[Floats, Floats], float]]] = {
    "average precision": (average_precision_of, average_precision_score),
    "calibration slope": (calibration_slope_of, lambda y, p: calibration_line(y, p).slope),
    "F1": (
        lambda y, p: ratio_of(2 * y * (p >= 0.25), y + (p >= 0.25)),
        lambda y, p: f1_score(y, p >= 0.25),
    ),
    "log-loss": (lambda y, p: mean_of(-(y * np.log(p) + (1 - y) * np.log1p(-p))), log_loss),
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("per_account", [1, 4])
def test_figures_and_errors_are_those_of_resampled_accounts(name: str, per_account: int) -> None:
    fast, slow = FIGURES[name]
    y, p, q = two_scores(1200, 1, per_account)
    codes = np.arange(1200) // per_account
    alone, paired = fast(y, p), fast(y, q).less(fast(y, p))
    assert alone.value == pytest.approx(slow(y, p))
    assert alone.pulls.mean() == pytest.approx(0, abs=1e-9)
    rng, drawn = np.random.default_rng(2), []
    for _ in range(400):
        picked = rng.integers(1200 // per_account, size=1200 // per_account)
        rows = (picked[:, np.newaxis] * per_account + np.arange(per_account)).ravel()
        a, b = slow(y[rows], p[rows]), slow(y[rows], q[rows])
        drawn.append((a, b - a))
    assert alone.estimate(codes).se == pytest.approx(np.std([each[0] for each in drawn]), rel=0.15)
    assert paired.estimate(codes).se == pytest.approx(np.std([each[1] for each in drawn]), rel=0.15)


def test_the_same_score_differs_by_nothing_for_sure() -> None:
    y, p, _ = two_scores(300, 3, 1)
    for fast, _ in FIGURES.values():
        assert fast(y, p).less(fast(y, p)).estimate(np.arange(300)).interval() == (0.0, 0.0)


def test_the_error_of_the_slope_is_the_sandwich_but_for_two_parameters() -> None:
    y, p, _ = two_scores(400, 4, 1)
    line = calibration_line(y, p, np.arange(400))
    found = calibration_slope_of(y, p).estimate(np.arange(400))
    assert found.se * np.sqrt(399 / 398) == pytest.approx(line.slope_se)


def test_the_error_of_a_share_is_the_binomial_one() -> None:
    y, p, _ = two_scores(400, 5, 1)
    flagged = (p >= 0.2).astype(np.float64)
    found, known = ratio_of(y * flagged, flagged), proportion(y == 1, flagged == 1)
    assert known is not None
    expected = np.sqrt(known.value * (1 - known.value) / flagged.sum())
    assert (found.value, found.estimate(np.arange(400)).se) == pytest.approx((known.value, expected), rel=2e-3)


def test_what_can_not_be_had_is_nan() -> None:
    nothing = np.zeros(4)
    for found in (
        average_precision_of(nothing, np.arange(4.0)),
        calibration_slope_of(nothing, np.full(4, 0.5)),
        ratio_of(nothing, nothing),
    ):
        assert np.isnan(found.value)
        assert np.isnan(found.estimate(np.arange(4)).se)
    assert np.isnan(mean_of(np.ones(3)).estimate(np.zeros(3, dtype=np.int64)).se)
