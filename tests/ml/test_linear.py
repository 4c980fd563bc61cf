import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from app.ml.encoding import Matrix
from app.ml.frame import Floats
from app.ml.linear import BaseRateLearner, LogisticLearner, LogisticModel, solve_logistic


def made(n: int = 800, seed: int = 0) -> tuple[Matrix, Floats]:
    """A normal, a skewed and a binary column; the first has missing values."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.normal(size=n), rng.lognormal(2, 1.5, n), rng.random(n) < 0.3]).astype(np.float32)
    y = (rng.random(n) < 1 / (1 + np.exp(1 - X[:, 0] - 0.5 * np.log1p(X[:, 1])))).astype(np.float64)
    X[rng.random(n) < 0.15, 0] = np.nan
    return X, y


def fit(X: Matrix, y: Floats) -> LogisticModel:
    return LogisticLearner({"C": 0.5, "max_iter": 1000}, 1).fit(X, y, n_rounds=1, n_threads=1)


def test_newton_equals_sklearn() -> None:
    rng = np.random.default_rng(1)
    Z = rng.normal(size=(500, 4))
    y = (rng.random(500) < 1 / (1 + np.exp(-Z[:, 0] + 0.5))).astype(np.float64)
    theirs = LogisticRegression(C=0.5, tol=1e-12, max_iter=10_000).fit(Z, y)
    ours = solve_logistic(np.column_stack([np.ones(500), Z]), y, 1 / 0.5, 100)
    np.testing.assert_allclose(ours, np.append(theirs.intercept_, theirs.coef_), atol=1e-6)


def test_the_pipeline_equals_one_made_by_hand() -> None:
    X, y = made()
    missing = np.isnan(X[:, 0])
    first = np.where(missing, np.median(X[~missing, 0]), X[:, 0]).astype(np.float64)
    columns = np.column_stack([first, np.log1p(X[:, 1].astype(np.float64)), X[:, 2]])
    z = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    design = np.column_stack([z, missing - missing.mean()])
    theirs = LogisticRegression(C=0.5, tol=1e-12, max_iter=10_000).fit(design, y)
    np.testing.assert_allclose(fit(X, y).margins(X), theirs.decision_function(design), atol=1e-5)


def test_only_skewed_columns_are_logged() -> None:
    assert fit(*made()).logged == (False, True, False)


def test_contributions_sum_to_the_margin_and_have_mean_zero() -> None:
    X, y = made()
    model = fit(X, y)
    contributions = model.native_contributions(X)
    np.testing.assert_allclose(contributions.sum(axis=1) + model.intercept, model.margins(X), atol=1e-12)
    np.testing.assert_allclose(contributions.mean(axis=0), 0, atol=0.02)  # but for the limit at 8 deviations


def test_wild_values_count_for_no_more_than_eight_deviations() -> None:
    X, y = made()
    model = fit(X, y)
    wild = X[:1].copy()
    wild[0, 0] = 1e30
    assert model.native_contributions(wild)[0, 0] == pytest.approx(8 * model.coefficients[0], abs=0.5)


def test_bytes_round_trip() -> None:
    X, y = made()
    model = fit(X, y)
    again = LogisticModel.from_bytes(model.to_bytes(), n_threads=1)
    assert again == model


def test_the_base_rate_is_the_same_for_all() -> None:
    X, y = made()
    model = BaseRateLearner({}, 1).fit(X, y, n_rounds=1, n_threads=1)
    assert 1 / (1 + np.exp(-model.margins(X))) == pytest.approx(np.full(800, y.mean()), abs=1e-3)
    assert not model.native_contributions(X).any()
