import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, precision_score, roc_auc_score

from app.ml.paired import compare_on_rows
from app.stats.arrays import Floats
from tests.stats.test_influence import two_scores


def test_figures_are_scikit_learns_and_the_difference_is_b_less_a() -> None:
    y, p, q = two_scores(800, 1, 2)
    found = {
        each.name: each
        for each in compare_on_rows(y, (p, q), (0.2, 0.1), accounts=np.arange(800) // 2, confidence=0.95)
    }
    expected = {
        "roc_auc": roc_auc_score,
        "pr_auc": average_precision_score,
        "log_loss": log_loss,
        "brier": brier_score_loss,
    }
    for name, figure in expected.items():
        assert (found[name].a, found[name].b) == pytest.approx((figure(y, p), figure(y, q)))
    top = np.argsort(-q)[:80]  # a tenth of the rows; q has no ties
    flagged = np.isin(np.arange(800), top)
    assert found["precision"].b == pytest.approx(precision_score(y, flagged))
    for each in found.values():
        assert each.interval is not None
        assert each.difference is not None
        assert each.difference == pytest.approx((each.b or 0) - (each.a or 0))
        assert each.interval.low < each.difference < each.interval.high


def draw_alike(rng: np.random.Generator) -> tuple[Floats, Floats, Floats, Floats]:
    """Four rows an account; two scores that are equally good, each foggy in its own way."""
    accounts = np.repeat(np.arange(250), 4)
    risk = rng.normal(-1.5, 1.2, 250)[accounts]
    y = (rng.random(1000) < 1 / (1 + np.exp(-risk))).astype(np.float64)
    scores = [1 / (1 + np.exp(-(risk + rng.normal(0, 0.5, 250)[accounts]))) for _ in range(2)]
    return y, scores[0], scores[1], accounts.astype(np.float64)


def test_of_equally_good_scores_the_interval_holds_no_difference() -> None:
    rng = np.random.default_rng(7)
    covered: dict[str, int] = {}
    for _ in range(300):
        y, p, q, accounts = draw_alike(rng)
        for each in compare_on_rows(y, (p, q), (0.2, 0.2), accounts=accounts, confidence=0.95):
            assert each.interval is not None
            covered[each.name] = covered.get(each.name, 0) + (each.interval.low <= 0 <= each.interval.high)
    assert len(covered) == 8
    assert {name: n for name, n in covered.items() if not 0.91 <= n / 300 <= 0.985} == {}


def test_what_one_of_them_can_not_tell_is_null() -> None:
    y = np.repeat([0.0, 1.0], 30)
    found = compare_on_rows(
        y, (np.full(60, 0.5), np.linspace(0, 1, 60)), (0.5, 0.5), accounts=np.arange(60), confidence=0.95
    )
    slope = next(each for each in found if each.name == "calibration_slope")
    assert (slope.a, slope.difference, slope.interval) == (None, None, None)
