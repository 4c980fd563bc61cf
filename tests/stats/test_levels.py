from itertools import combinations

import numpy as np
import pytest
from scipy.special import comb
from sklearn.metrics import roc_auc_score

from app.stats.levels import auc_of_levels, best_place, count_classes, log_chance_all_pure


@pytest.mark.parametrize("seed", range(3))
def test_auc_of_counts_is_scikit_learns_of_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes, y = rng.integers(0, 6, 300), (rng.random(300) < 0.3).astype(float)
    assert auc_of_levels(*count_classes(y, codes, 7)) == pytest.approx(roc_auc_score(y, codes), abs=1e-12)


def test_one_class_has_no_auc() -> None:
    assert np.isnan(auc_of_levels(np.array([3.0, 1.0]), np.zeros(2)))


@pytest.mark.parametrize("seed", range(20))
def test_the_best_place_is_that_of_trying_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    negative, positive = rng.integers(0, 9, (2, 5)).astype(float)
    extra = rng.integers(1, 9, 2).astype(float)
    aucs = [auc_of_levels(np.insert(negative, p, extra[0]), np.insert(positive, p, extra[1])) for p in range(6)]
    assert aucs[best_place(negative, positive, *extra)] == pytest.approx(max(aucs), abs=1e-12)


def test_the_chance_of_pure_levels_is_bounded_from_above() -> None:
    # six rows in levels of 3, 2 and 1; of the 20 ways to deal three churners, those without a mixed level are counted
    levels, pure = [0, 0, 0, 1, 1, 2], 0
    for churners in combinations(range(6), 3):
        kinds = {(levels[i], i in churners) for i in range(6)}
        pure += len(kinds) == 3
    exact = pure / comb(6, 3)
    assert exact == 2 / 20  # the first level alone, or the two others
    assert exact <= np.exp(log_chance_all_pure(3, 6, 3)) == pytest.approx(8 / 20)


def test_a_level_for_each_row_is_no_wonder() -> None:
    assert log_chance_all_pure(10, 10, 5) == 0.0
