"""Calibration figures before and after, against scikit-learn and a bootstrap of accounts."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as theirs

from app.ml.calibration_report import calibration_figures
from app.ml.trainer import TrainingResult
from app.schemas.config import ModelConfig, ModelType
from app.services.training_report import model_report
from tests.ml.dated import GAP, dated
from tests.ml.planted import Data


def test_the_report_is_of_the_test_rows_before_and_after(trained: TrainingResult, data: Data) -> None:
    y, fitted = data.y_test, trained.primary
    rate = trained.development_churn_rate
    after = fitted.calibration["test"]["after"]
    base = theirs.brier_score_loss(y, np.full(y.size, rate))
    assert after["brier"] == pytest.approx(theirs.brier_score_loss(y, fitted.test_probabilities))
    assert after["brier_skill"] == pytest.approx(1 - after["brier"] / base)
    assert after["slope"] == fitted.metrics["test"]["calibration_slope"]
    assert after["mean_error"] == pytest.approx(fitted.test_probabilities.mean() - y.mean())
    assert sum(row["n"] for row in after["reliability"]) == y.size
    low, high = after["slope_interval"]
    assert low < after["slope"] < high


def test_the_weight_of_churners_shows_before_calibration_and_not_after(boosted: TrainingResult) -> None:
    """`scale_pos_weight` 3 makes raw probabilities too high; out of fold the calibrator makes them right on average."""
    for side in ("validation", "test"):
        found = boosted.primary.calibration[side]
        assert found["before"]["mean_error_interval"][0] > 0.05
        assert abs(found["after"]["mean_error"]) < 0.05
        assert found["after"]["brier"] < found["before"]["brier"]


def test_intervals_of_recurring_accounts_are_those_of_a_bootstrap_of_accounts() -> None:
    rng = np.random.default_rng(5)
    accounts = np.repeat(np.arange(250), 4)
    p = np.clip(rng.beta(2, 5, 250)[accounts], 0.02, 0.98)
    y = (rng.random(250)[accounts] < p).astype(np.float64)  # an account churns at all its instants or at none
    found = calibration_figures(y, p, 0.3, accounts)
    drawn: list[dict[str, Any]] = []
    for _ in range(300):
        rows = (rng.integers(0, 250, 250)[:, np.newaxis] * 4 + np.arange(4)).ravel()
        drawn.append(calibration_figures(y[rows], p[rows], 0.3, None))
    for name in ("slope", "intercept", "mean_error", "brier_skill"):
        width = np.diff(np.quantile([each[name] for each in drawn], [0.025, 0.975]))[0]
        low, high = found[f"{name}_interval"]
        assert high - low == pytest.approx(width, rel=0.2)


def test_figures_that_one_class_can_not_tell_are_none() -> None:
    found = calibration_figures(np.zeros(5), np.full(5, 0.1), 0.1, None)
    assert found["slope"] is None
    assert found["slope_interval"] is None
    assert found["brier"] == pytest.approx(0.01)


def test_intervals_are_wider_where_accounts_recur_on_a_side() -> None:
    """The test side of these rows has two instants per account."""
    data = dated()
    fitted = data.train(ModelConfig(model_type=ModelType.LOGISTIC), gap=GAP).primary
    report = model_report(fitted, data.features)
    assert set(report["intervals"]) == set(report["calibration"]) == {"validation", "test"}
    low, high = report["intervals"]["test"]["roc_auc"]
    assert low < report["metrics"]["test"]["roc_auc"] < high


def test_cross_validation_is_told_with_its_spread(trained: TrainingResult, data: Data) -> None:
    report = model_report(trained.primary, data.features)
    found, folds = report["cross_validation"], report["metrics"]["folds"]
    for name in ("roc_auc", "pr_auc", "log_loss", "brier", "precision", "calibration_slope"):
        values = [fold[name] for fold in folds]
        assert found["mean"][name] == pytest.approx(np.mean(values))
        assert found["sd"][name] == pytest.approx(np.std(values, ddof=1))
    assert (found["n_folds"], found["mean"]["roc_auc"]) == (5, report["mean_fold_roc_auc"])
