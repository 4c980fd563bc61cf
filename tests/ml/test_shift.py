import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr

from app.ml.shift import ScoreShift, measure_shift, tier_moves


def test_a_shift_in_figures() -> None:
    a, b = np.array([0.1, 0.5, 0.75, 0.9, 0.3]), np.array([0.2, 0.45, 0.35, 0.95, 0.3])
    found = measure_shift(a, b)
    assert found.n_accounts == 5
    assert found.mean_difference == pytest.approx(-0.06)
    assert found.rank_correlation == pytest.approx(spearmanr(a, b).statistic)


def test_equal_scores_have_not_shifted() -> None:
    scores = np.arange(100) / 100
    found = measure_shift(scores, scores)
    assert (found.psi, found.mean_difference) == (0, 0)
    assert found.rank_correlation == pytest.approx(1)


def test_the_same_score_for_everybody_has_no_order() -> None:
    assert measure_shift(np.full(9, 0.5), np.arange(9) / 9).rank_correlation is None


def test_no_account_has_no_figure() -> None:
    assert measure_shift(np.empty(0), np.empty(0)) == ScoreShift(0, None, None, None)


def test_moves_are_counted_the_riskiest_first() -> None:
    a = pa.array(["low", "medium", "high", "high", "low"])
    b = pa.array(["low", "medium", "low", "high", "low"])
    assert tier_moves(a, b) == [
        {"from": "high", "to": "high", "n": 1},
        {"from": "high", "to": "low", "n": 1},
        {"from": "medium", "to": "medium", "n": 1},
        {"from": "low", "to": "low", "n": 2},
    ]
