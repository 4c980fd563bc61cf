import numpy as np
import pytest
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from app.stats.arrays import Floats
from app.stats.logistic import fit_logistic


def drawn(n: int = 500, seed: int = 1) -> tuple[Floats, Floats]:
    """Columns, a constant first, and labels."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(4, n))
    return np.vstack([np.ones(n), Z]), (rng.random(n) < 1 / (1 + np.exp(-Z[0] + 0.5))).astype(np.float64)


def ridges_of(*strengths: float) -> Floats:
    ridges = np.repeat(np.array(strengths), 5).reshape(-1, 5)
    ridges[:, 0] = 0
    return ridges


def by_sklearn(columns: Floats, y: Floats, C: float) -> Floats:
    fit = LogisticRegression(C=C, tol=1e-12, max_iter=10_000).fit(columns[1:].T, y)
    return np.append(fit.intercept_, fit.coef_)


def test_each_ridge_of_a_path_equals_sklearn() -> None:
    columns, y = drawn()
    path = fit_logistic(columns, y, ridges_of(100.0, 2.0, 0.01))
    for found, C in zip(path, (0.01, 0.5, 100.0), strict=True):
        np.testing.assert_allclose(found.coefficients, by_sklearn(columns, y, C), atol=1e-6)


def test_many_chunks_equal_sklearn_and_threads_have_no_effect() -> None:
    columns, y = drawn(70_001)
    one, three = (fit_logistic(columns, y, ridges_of(2.0), n_threads=n)[0] for n in (1, 3))
    np.testing.assert_allclose(one.coefficients, by_sklearn(columns, y, 0.5), atol=1e-5)
    assert one.coefficients.tolist() == three.coefficients.tolist()
    assert one.loss == three.loss


def test_the_start_has_no_effect_though_it_overshoots() -> None:
    columns, y = drawn()
    far = fit_logistic(columns, y, ridges_of(2.0), start=np.array([30.0, -40, 20, 50, -10]))[0]
    np.testing.assert_allclose(far.coefficients, by_sklearn(columns, y, 0.5), atol=1e-6)


def test_parted_classes_stay_finite_under_a_ridge() -> None:
    columns, _ = drawn()
    fit = fit_logistic(columns, (columns[1] > 0).astype(np.float64), ridges_of(0.01))[0]
    np.testing.assert_allclose(fit.coefficients, by_sklearn(columns, (columns[1] > 0).astype(float), 100), rtol=1e-4)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_shares_may_stand_for_labels(share: float) -> None:
    assert fit_logistic(np.ones((1, 7)), np.full(7, share), np.zeros((1, 1)))[0].coefficients == pytest.approx(
        logit(share)
    )


def test_the_loss_is_that_of_its_definition() -> None:
    columns, y = drawn(40)
    fit = fit_logistic(columns, y, ridges_of(3.0))[0]
    p = 1 / (1 + np.exp(-fit.coefficients @ columns))
    expected = -np.sum(np.log(np.where(y == 1, p, 1 - p))) + 1.5 * np.sum(fit.coefficients[1:] ** 2)
    assert fit.loss == pytest.approx(expected)
