"""Non-negative logistic regression against statsmodels, and against trying every subset of the scores."""

from itertools import chain, combinations

import numpy as np
import pytest
import statsmodels.api as sm

from app.stats.arrays import Floats
from app.stats.nonnegative import fit_nonnegative_logistic


def scores_and_targets(weights: list[float], n: int = 800, seed: int = 0) -> tuple[Floats, Floats]:
    """Three scores that go together, as models of the same thing do."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, 1)) + 0.7 * rng.normal(size=(n, 3))
    p = 1 / (1 + np.exp(1 - scores @ weights))
    return scores, np.where(rng.random(n) < p, 0.99, 0.01)


def unconstrained(scores: Floats, targets: Floats) -> tuple[Floats, float]:
    found = sm.GLM(targets, sm.add_constant(scores), family=sm.families.Binomial()).fit(tol=1e-14)
    p = found.predict(sm.add_constant(scores))
    return np.asarray(found.params)[1:], float(-np.mean(targets * np.log(p) + (1 - targets) * np.log1p(-p)))


def by_subsets(scores: Floats, targets: Floats) -> Floats:
    """Slow and obvious: of all subsets whose free fit has positive weights only, the one with the least loss."""
    every = range(scores.shape[1])
    best, least = np.zeros(scores.shape[1]), np.inf
    for subset in chain.from_iterable(combinations(every, size) for size in range(1, len(every) + 1)):
        weights, loss = unconstrained(scores[:, subset], targets)
        if (weights > 0).all() and loss < least:
            best, least = np.zeros(scores.shape[1]), loss
            best[list(subset)] = weights
    return best


def test_where_all_weights_are_positive_it_is_plain_logistic_regression() -> None:
    scores, targets = scores_and_targets([0.8, 0.5, 0.4])
    expected, _ = unconstrained(scores, targets)
    assert (expected > 0).all()
    np.testing.assert_allclose(fit_nonnegative_logistic(scores, targets), expected, rtol=1e-4)


@pytest.mark.parametrize("weights", [[1.0, 0.6, -0.8], [1.5, -0.5, -0.5], [-1.0, 0.2, -0.4]])
def test_a_score_that_would_weigh_less_than_nothing_gets_exactly_nothing(weights: list[float]) -> None:
    scores, targets = scores_and_targets(weights)
    expected = by_subsets(scores, targets)
    found = fit_nonnegative_logistic(scores, targets)
    assert (found[expected == 0] == 0).all()
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_unit_of_a_score_has_no_effect() -> None:
    scores, targets = scores_and_targets([0.8, 0.5, 0.4])
    unit = np.array([1e-3, 1.0, 1e4])
    found = fit_nonnegative_logistic(scores * unit, targets)
    np.testing.assert_allclose(found * unit, fit_nonnegative_logistic(scores, targets), rtol=1e-6)


def test_a_constant_score_gets_nothing() -> None:
    scores, targets = scores_and_targets([0.8, 0.5, 0.4])
    scores[:, 1] = 7.0
    assert fit_nonnegative_logistic(scores, targets)[1] == 0
