import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from app.stats.ranking import delong
from app.stats.stratified import delong_within


def test_one_stratum_is_plain_delong() -> None:
    rng = np.random.default_rng(1)
    y, scores = (rng.random(80) < 0.3).astype(float), rng.normal(size=(2, 80))
    plain, found = delong(y, scores), delong_within(y, scores, np.zeros(80, dtype=np.int64))
    np.testing.assert_allclose(found.auc, plain.auc)
    np.testing.assert_allclose(found.covariance, plain.covariance)


def test_strata_are_weighted_by_their_churners() -> None:
    rng = np.random.default_rng(2)
    strata = np.repeat([0, 1], [40, 100])
    y, score = (rng.random(140) < 0.3).astype(float), rng.normal(size=140)
    weights = [y[strata == s].sum() / y.sum() for s in (0, 1)]
    aucs = [roc_auc_score(y[strata == s], score[strata == s]) for s in (0, 1)]
    assert delong_within(y, score[np.newaxis], strata).auc[0] == pytest.approx(np.dot(weights, aucs))


def test_a_shift_between_strata_is_not_seen() -> None:
    y, score = np.array([0.0, 1, 0, 1]), np.array([1.0, 2, 11, 12])
    assert delong_within(y, score[np.newaxis], np.array([0, 0, 1, 1])).auc[0] == 1


def test_a_stratum_of_one_class_is_left_out() -> None:
    y, score = np.array([0.0, 1, 0, 0]), np.array([1.0, 2, 3, 4])
    found = delong_within(y, score[np.newaxis], np.array([0, 0, 1, 1]))
    assert (found.auc[0], found.n_positive, found.n_negative) == (1, 1, 3)
    assert np.isnan(delong_within(y[2:], score[np.newaxis, 2:], np.array([0, 1])).auc[0])


def test_the_interval_of_halves_covers_the_planted_auc() -> None:
    rng, covered = np.random.default_rng(3), 0
    y, truth = np.tile(np.repeat([0.0, 1.0], [120, 30]), 2), norm.cdf(1.2 / np.sqrt(2))
    strata = np.repeat([0, 1], 150)
    for _ in range(400):
        found = delong_within(y, (rng.normal(size=300) + 1.2 * y + 9 * strata)[np.newaxis], strata)
        covered += abs(found.auc[0] - truth) <= 1.96 * np.sqrt(found.covariance[0, 0])
    assert 0.92 <= covered / 400 <= 0.98
