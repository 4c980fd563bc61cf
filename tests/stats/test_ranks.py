from itertools import combinations

import numpy as np
import pytest
from scipy.stats import spearmanr, t

from app.stats.ranks import rank_agreement, spearman


def test_agreement_is_the_mean_of_scipys_spearman_over_pairs() -> None:
    importances = np.round(np.random.default_rng(1).random((4, 8)), 1)  # with ties
    expected = np.mean([spearmanr(a, b).statistic for a, b in combinations(importances, 2)])
    assert rank_agreement(importances, 8).value == pytest.approx(expected)


def test_only_the_union_of_the_leading_features_is_ranked() -> None:
    importances = np.array([[9.0, 8, 1, 2, 0], [9, 1, 8, 2, 0]])
    found = rank_agreement(importances, 2)
    assert found.features == (0, 1, 2)
    assert found.value == pytest.approx(spearmanr([9, 8, 1], [9, 1, 8]).statistic)


def test_error_is_the_jackknife_over_folds() -> None:
    importances = np.random.default_rng(2).random((5, 9))
    found = rank_agreement(importances, 9)
    without = np.array([rank_agreement(np.delete(importances, fold, axis=0), 9).value for fold in range(5)])
    assert found.se == pytest.approx(np.sqrt(4 / 5 * np.sum((without - without.mean()) ** 2)))
    assert found.interval(0.95).high == pytest.approx(min(found.value + t.ppf(0.975, 4) * found.se, 1))


def test_equal_folds_agree_with_certainty() -> None:
    assert rank_agreement(np.tile(np.arange(5.0), (3, 1))).interval(0.95) == pytest.approx((1.0, 1.0))


def test_a_fold_without_an_order_agrees_only_with_its_like() -> None:
    assert rank_agreement(np.array([[0.0, 0, 0], [1, 1, 1]])).value == 1.0
    assert rank_agreement(np.array([[0.0, 0, 0], [1, 2, 3]])).value == 0.0


def test_two_folds_have_no_interval() -> None:
    assert np.isnan(rank_agreement(np.random.default_rng(3).random((2, 4))).interval(0.95)).all()


def test_one_fold_or_one_feature_is_refused() -> None:
    with pytest.raises(ValueError, match="not 1 and 3"):
        rank_agreement(np.ones((1, 3)))


def test_two_measures_correlate_as_scipy_says_with_ties() -> None:
    a, b = np.round(np.random.default_rng(3).random((2, 50)), 1)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)


def test_a_constant_ranks_nothing() -> None:
    assert np.isnan(spearman(np.ones(3), np.arange(3.0)))
