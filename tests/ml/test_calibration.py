import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss as sklearn_log_loss

from app.ml.calibration import (
    Beta,
    Calibrator,
    Isotonic,
    Platt,
    calibrator_from_json,
    choose_calibrator,
    fit_beta,
    fit_isotonic,
    fit_line,
    fit_platt,
)
from app.ml.frame import Floats


def drawn(n: int, *, slope: float = 0.6, intercept: float = -1.0, seed: int = 0) -> tuple[Floats, Floats]:
    """Margins whose truth is expit(intercept + slope margin)."""
    rng = np.random.default_rng(seed)
    margins = rng.normal(size=n) * 2
    return margins, (rng.random(n) < expit(intercept + slope * margins)).astype(np.float64)


def platt_targets(y: Floats) -> Floats:
    n_churned, n_stayed = y.sum(), (1 - y).sum()
    targets: Floats = np.where(y == 1, (n_churned + 1) / (n_churned + 2), 1 / (n_stayed + 2))
    return targets


def fitted_by_statsmodels(columns: Floats, targets: Floats) -> Floats:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = sm.GLM(targets, sm.add_constant(columns), family=sm.families.Binomial()).fit(tol=1e-14)
    params: Floats = np.asarray(fit.params, dtype=np.float64)
    return params


def test_platt_equals_statsmodels() -> None:
    margins, y = drawn(700)
    intercept, slope = fitted_by_statsmodels(margins, platt_targets(y))
    found = fit_platt(margins, y)
    assert (found.intercept, found.slope) == pytest.approx((intercept, slope), abs=1e-8)


def test_where_platt_starts_has_no_effect() -> None:
    margins, y = drawn(700)
    far = fit_platt(margins, y, start=Platt(5.0, -9.0))
    assert (far.slope, far.intercept) == pytest.approx((fit_platt(margins, y).slope, fit_platt(margins, y).intercept))


def test_beta_equals_statsmodels() -> None:
    margins, y = drawn(3000, seed=2)
    p = expit(margins)
    intercept, a, b = fitted_by_statsmodels(np.column_stack([np.log(p), -np.log1p(-p)]), platt_targets(y))
    assert min(a, b) > 0, "the constraint must not bind in this example"
    found = fit_beta(margins, y)
    assert (found.intercept, found.a, found.b) == pytest.approx((intercept, a, b), abs=1e-7)


def test_isotonic_equals_sklearn() -> None:
    margins, y = drawn(2000)
    theirs = IsotonicRegression().fit(margins, y).predict(margins)
    np.testing.assert_allclose(fit_isotonic(margins, y).apply(margins), np.clip(theirs, 0.5 / 2000, 1 - 0.5 / 2000))


def test_separable_margins_stay_finite() -> None:
    margins = np.array([-2.0, -1.0, 1.0, 2.0])
    p = fit_platt(margins, np.array([0.0, 0.0, 1.0, 1.0])).apply(margins)
    assert p.min() > 0.1
    assert p.max() < 0.9


@pytest.mark.parametrize("margins", [np.zeros(8), np.array([1.0, 1, 1, 1, 0, 0, 0, 0])])
def test_a_margin_that_says_nothing_or_the_opposite_gives_the_rate(margins: Floats) -> None:
    y = np.array([0.0, 0, 0, 1, 1, 1, 1, 0])
    assert fit_platt(margins, y).apply(margins) == pytest.approx([0.5] * 8)


def test_the_mean_is_kept() -> None:
    margins, y = drawn(5000)
    for fit in (fit_platt, fit_beta, fit_isotonic):
        calibrator: Calibrator = fit(margins, y)
        assert calibrator.apply(margins).mean() == pytest.approx(y.mean(), abs=1e-3)


def test_the_simplest_wins_where_the_truth_is_a_line() -> None:
    margins, y = drawn(8000)
    found = choose_calibrator(margins, y, np.arange(8000) % 5)
    assert found.calibrator.kind == "platt"
    assert set(found.losses) == {"platt", "beta", "isotonic"}


def test_isotonic_needs_a_thousand_churners() -> None:
    margins, y = drawn(2000)
    assert y.sum() < 1000
    assert set(choose_calibrator(margins, y, np.arange(2000) % 5).losses) == {"platt", "beta"}


def test_a_bent_truth_gets_a_richer_calibrator() -> None:
    rng = np.random.default_rng(5)
    margins = rng.normal(size=20_000) * 2
    y = (rng.random(20_000) < np.where(margins > 0, 0.8, 0.05)).astype(np.float64)
    assert choose_calibrator(margins, y, np.arange(20_000) % 5).calibrator.kind == "isotonic"


@pytest.mark.parametrize("calibrator", [Platt(0.5, -1.0), Beta(0.4, 0.9, -1.0), Isotonic((-1.0, 2.0), (0.1, 0.6))])
def test_a_calibrator_never_falls_and_survives_its_json(calibrator: Calibrator) -> None:
    assert calibrator_from_json(calibrator.to_json()) == calibrator
    p = calibrator.apply(np.linspace(-40, 40, 1000))
    assert (np.diff(p) >= 0).all()
    assert p.min() >= 0
    assert p.max() <= 1


def test_platt_by_hand() -> None:
    assert logit(Platt(2.0, -1.0).apply(np.array([0.25, 1.0]))) == pytest.approx([-0.5, 1.0])


def test_beta_with_equal_coefficients_is_platt() -> None:
    margins = np.linspace(-5, 5, 20)
    np.testing.assert_allclose(Beta(0.7, 0.7, 0.3).apply(margins), Platt(0.7, 0.3).apply(margins), rtol=1e-12)


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "platt", "slope": -1.0, "intercept": 0.0},
        {"kind": "platt", "slope": True, "intercept": 0.0},
        {"kind": "beta", "a": 1.0, "b": float("inf"), "intercept": 0.0},
        {"kind": "isotonic", "knots": [0.0, 0.0], "probabilities": [0.1, 0.2]},
        {"kind": "isotonic", "knots": [0.0, 1.0], "probabilities": [0.2, 0.1]},
        {"kind": "isotonic", "knots": [], "probabilities": []},
        {"kind": "spline"},
    ],
)
def test_a_calibrator_that_falls_or_makes_no_sense_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"calibrator|knots|finite"):
        calibrator_from_json(data)


@pytest.mark.parametrize(
    ("rates", "held"),
    [((0.05, 0.6, 0.6, 0.5), {"b"}), ((0.4, 0.3, 0.4, 0.9), {"a"}), ((0.6, 0.5, 0.4, 0.3), {"a", "b"})],
    ids=["levels off", "rises late", "falls"],
)
def test_beta_that_would_fall_is_the_best_that_does_not(rates: tuple[float, ...], held: set[str]) -> None:
    """Against a bounded search of the same loss."""
    rng = np.random.default_rng(3)
    margins = rng.normal(size=400) * 1.5
    y = (rng.random(400) < np.array(rates)[np.searchsorted([-1.5, 0, 1.5], margins)]).astype(np.float64)
    columns = np.column_stack([log_expit(margins), -log_expit(-margins), np.ones(400)])
    targets = platt_targets(y)

    def loss(coefficients: Floats) -> float:
        score = columns @ coefficients
        return float(np.mean(np.logaddexp(0, score) - targets * score))

    bounds = [(0, None), (0, None), (None, None)]
    best = min(minimize(loss, start, bounds=bounds, tol=1e-12).fun for start in np.eye(3))
    found = fit_beta(margins, y)
    assert {name for name in "ab" if getattr(found, name) == 0} == held
    assert loss(np.array([found.a, found.b, found.intercept])) == pytest.approx(best, abs=1e-7)


def test_the_loss_of_a_line_is_that_of_the_labels() -> None:
    margins, y = drawn(700)
    found = fit_line(margins, y)
    assert found.loss == pytest.approx(sklearn_log_loss(y, found.platt.apply(margins)), abs=1e-12)


def test_a_calibrator_that_is_sure_and_wrong_has_a_finite_loss() -> None:
    """One account far beyond all others, which stayed: 1 - p is 0 in double precision."""
    rng = np.random.default_rng(5)
    y = np.tile([0.0, 1.0], 100)
    margins = y + rng.normal(size=200)
    margins[0] = 1e4
    losses = choose_calibrator(margins, y, np.arange(200) // 2 % 5).losses
    assert losses["platt"] == pytest.approx(34.5 / 200, abs=0.8)  # -log(1e-15), once
    assert np.isfinite(list(losses.values())).all()
