import tracemalloc

import numpy as np
import pytest
from scipy.stats import skew
from sklearn.linear_model import LogisticRegression

from app.ml.encoding import Matrix
from app.ml.frame import Floats
from app.ml.kinds.linear import C_PATH, BaseRateLearner, LogisticLearner, LogisticModel, TunedLogisticLearner
from app.ml.kinds.scaling import fit_scaling


def made(n: int = 800, seed: int = 0) -> tuple[Matrix, Floats]:
    """A normal, a skewed and a binary column; the first has missing values."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.normal(size=n), rng.lognormal(2, 1.5, n), rng.random(n) < 0.3]).astype(np.float32)
    y = (rng.random(n) < 1 / (1 + np.exp(1 - X[:, 0] - 0.5 * np.log1p(X[:, 1])))).astype(np.float64)
    X[rng.random(n) < 0.15, 0] = np.nan
    return X, y


def fit(X: Matrix, y: Floats) -> LogisticModel:
    return LogisticLearner({"C": 0.5, "max_iter": 1000}, 1).fit(X, y, n_rounds=1, n_threads=1)


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


@pytest.mark.parametrize("sign", [1, -1])
def test_logged_is_what_scipy_calls_highly_skewed_and_less_so_in_logs(sign: int) -> None:
    rng = np.random.default_rng(2)
    X = np.column_stack([sign * rng.lognormal(0, sigma, 3000) for sigma in (0.1, 0.25, 0.33, 0.6, 1.5)])
    in_logs = np.sign(X) * np.log1p(np.abs(X))
    expected = (np.abs(skew(X)) > 1) & (np.abs(skew(in_logs)) < np.abs(skew(X)))
    assert expected.tolist() != [True] * 5
    assert fit_scaling(X.astype(np.float32), 1).logged == tuple(expected)


def test_a_path_ends_at_each_c_where_that_c_alone_would() -> None:
    X, y = made()
    path = TunedLogisticLearner({"C": None, "max_iter": 1000}, 1).fit(X, y, n_rounds=len(C_PATH), n_threads=1)
    alone = [LogisticLearner({"C": C, "max_iter": 1000}, 1).fit(X, y, n_rounds=1, n_threads=1) for C in C_PATH]
    for found, expected in zip(path.models, alone, strict=True):
        np.testing.assert_allclose(found.coefficients, expected.coefficients, atol=1e-6)
    staged = list(path.staged_margins(X))
    added = np.cumsum([path.round_margins(X, at) for at in range(path.n_rounds)], axis=0)
    for margins, total, expected in zip(staged, added, alone, strict=True):
        np.testing.assert_allclose(margins, expected.margins(X), atol=1e-5)
        np.testing.assert_allclose(total, expected.margins(X), atol=1e-5)
    assert path.to_bytes() == path.models[-1].to_bytes()


def test_a_tuned_learner_settles_on_the_c_of_a_round() -> None:
    X, y = made()
    tuned = TunedLogisticLearner({"C": None, "max_iter": 1000}, 1)
    settled = tuned.settle(4)
    assert settled.params == {"C": 0.03, "max_iter": 1000}
    last = tuned.fit(X, y, n_rounds=4, n_threads=1)
    np.testing.assert_allclose(settled.fit(X, y, n_rounds=4, n_threads=1).margins(X), last.margins(X), atol=1e-6)


def test_many_rows_take_little_more_memory_than_one_standardised_copy() -> None:
    X = np.random.default_rng(0).normal(size=(100_000, 20)).astype(np.float32)
    y = (X[:, 0] > 1).astype(np.float64)
    tracemalloc.start()
    fit(X, y).margins(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2.5 * X.nbytes


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
