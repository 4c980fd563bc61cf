import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score, precision_score, recall_score

from app.stats.arrays import Estimate
from app.stats.thresholds import metrics_at, recall_difference, top_cut


def test_precision_recall_and_f1_are_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    y, flagged = (rng.random(200) < 0.3).astype(np.float64), rng.random(200) < 0.4
    found = metrics_at(y, flagged)
    assert found.n_flagged == flagged.sum()
    assert found.precision is not None
    assert found.recall is not None
    assert found.precision.value == pytest.approx(precision_score(y, flagged))
    assert found.recall.value == pytest.approx(recall_score(y, flagged))
    assert found.f1 == pytest.approx(f1_score(y, flagged))


def test_nobody_flagged_has_no_precision_and_catches_nobody() -> None:
    found = metrics_at(np.array([0.0, 1.0]), np.zeros(2, dtype=bool))
    assert found.precision is None
    assert found.recall is not None
    assert (found.recall.value, found.f1) == (0.0, 0.0)


def test_nobody_flagged_and_nobody_churned_has_no_f1() -> None:
    found = metrics_at(np.zeros(2), np.zeros(2, dtype=bool))
    assert (found.precision, found.recall, found.f1, found.f1_interval()) == (None, None, None, None)


def test_f1_interval_covers() -> None:
    rng, covered = np.random.default_rng(3), 0
    # flag rate .3 of churners' .6 and of others' .15, churn .2: precision .12 / .24, recall .6, F1 = 6/11
    for _ in range(500):
        y = (rng.random(400) < 0.2).astype(np.float64)
        interval = metrics_at(y, rng.random(400) < np.where(y == 1, 0.6, 0.15)).f1_interval(0.95)
        assert interval is not None
        covered += interval.low <= 6 / 11 <= interval.high
    assert 0.92 <= covered / 500 <= 0.98


@pytest.mark.parametrize(("n_top", "n_flagged"), [(0, 0), (1, 1), (2, 1), (3, 3), (4, 4), (9, 4)])
def test_top_cut_never_flags_more_than_asked_nor_parts_ties(n_top: int, n_flagged: int) -> None:
    score = np.array([0.5, 0.9, 0.5, 0.1])
    assert (score >= top_cut(score, n_top)).sum() == n_flagged


def test_top_cut_of_ties_only_or_nothing_flags_nobody() -> None:
    assert not (np.ones(5) >= top_cut(np.ones(5), 4)).any()
    assert top_cut(np.empty(0), 3) > 1


def test_recall_difference_is_a_paired_t_test() -> None:
    rng = np.random.default_rng(4)
    y = (rng.random(300) < 0.4).astype(np.float64)
    a, b = rng.random(300) < 0.5, rng.random(300) < 0.4
    found = recall_difference(y, a, b)
    paired = stats.ttest_rel(a[y == 1].astype(np.float64), b[y == 1].astype(np.float64))
    assert found.value / found.se == pytest.approx(paired.statistic)
    thrice = recall_difference(np.tile(y, 3), np.tile(a, 3), np.tile(b, 3), np.tile(np.arange(300), 3))
    assert [thrice.value, thrice.se] == pytest.approx([found.value, found.se])
    assert recall_difference(y, a, a) == Estimate(0.0, 0.0)
    assert np.isnan(recall_difference(np.zeros(3), a[:3], b[:3]).value)
