"""Baselines next to the model: figures against scikit-learn, verdicts on planted rows."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as theirs

from app.ml.baselines import Baseline, compare
from app.ml.frame import Feature, FeatureKind, Frame
from app.ml.split import deal_sides
from app.ml.trainer import FittedModel, TrainingResult
from app.schemas.config import ModelConfig, ModelType
from tests.ml.planted import Data


def by_name(fitted: FittedModel) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in fitted.baselines}


def test_every_report_has_every_baseline_that_is_not_itself(trained: TrainingResult) -> None:
    kind = trained.primary.bundle.kind.value
    assert list(by_name(trained.primary)) == [name for name in ("logistic", "base_rate", "single_rule") if name != kind]
    own = trained.baseline.bundle.kind.value
    assert list(by_name(trained.baseline)) == [name for name in ("base_rate", "single_rule") if name != own]


def test_figures_of_the_rule_are_scikit_learns(trained: TrainingResult, data: Data) -> None:
    found, y = by_name(trained.primary)["single_rule"], data.y_test
    rule, features = found["rule"], data.frame.features.filter(pa.array(data.sides == "test"))
    assert (rule["feature"], rule["operator"], rule["or_missing"]) == ("contract", "is not", False)
    assert rule["value"] == "annual"
    flagged = np.array([value != "annual" for value in features["contract"].to_pylist()])
    assert found["n_flagged"] == flagged.sum()
    assert found["metrics"]["precision"] == pytest.approx(theirs.precision_score(y, flagged))
    assert found["metrics"]["recall"] == pytest.approx(theirs.recall_score(y, flagged))
    assert found["metrics"]["lift"] == pytest.approx(theirs.precision_score(y, flagged) / y.mean())
    p = np.where(flagged, rule["rates"][1], rule["rates"][0])
    assert found["metrics"]["roc_auc"] == pytest.approx(theirs.roc_auc_score(y, p))
    assert found["metrics"]["log_loss"] == pytest.approx(theirs.log_loss(y, p))
    assert found["metrics"]["brier"] == pytest.approx(theirs.brier_score_loss(y, p))
    for name in ("roc_auc", "precision", "recall", "lift"):
        low, high = found["intervals"][name]
        assert low < found["metrics"][name] < high


def test_the_model_flags_as_many_as_the_rule(trained: TrainingResult, data: Data) -> None:
    found, y, p = by_name(trained.primary)["single_rule"], data.y_test, trained.primary.test_probabilities
    top = np.argsort(-p, kind="stable")[: found["n_flagged"]]
    assert found["model"]["n_flagged"] == found["n_flagged"]
    assert found["model"]["metrics"]["precision"] == pytest.approx(y[top].mean(), abs=0.02)  # ties in another order
    assert found["auc_gain"] == pytest.approx(theirs.roc_auc_score(y, p) - found["metrics"]["roc_auc"])
    assert found["recall_gain"] == pytest.approx(found["model"]["metrics"]["recall"] - found["metrics"]["recall"])


def test_the_base_rate_says_one_number(trained: TrainingResult, data: Data) -> None:
    found, y = (
        by_name(trained.baseline if "base_rate" not in by_name(trained.primary) else trained.primary),
        data.y_test,
    )
    base = found["base_rate"]["metrics"]
    assert (base["roc_auc"], base["precision"]) == (0.5, None)
    assert base["log_loss"] == pytest.approx(theirs.log_loss(y, np.full(y.size, trained.development_churn_rate)))


def rule_world(n: int, seed: int, *, risk: tuple[float, float]) -> Data:
    """All there is to know is whether an account had three tickets; noise beside it."""
    rng = np.random.default_rng(seed)
    tickets = rng.integers(0, 6, n).astype(np.float64)
    churned = (rng.random(n) < np.where(tickets >= 3, risk[1], risk[0])).astype(np.float64)
    accounts = [f"a{i}" for i in range(n)]
    table = pa.table({"tickets_90d": tickets, "noise": rng.normal(size=n)})
    features = (Feature("tickets_90d", FeatureKind.NUMERIC), Feature("noise", FeatureKind.NUMERIC))
    return Data(Frame(pa.array(accounts), table, churned), deal_sides(accounts, churned, seed=seed), features)


def test_a_rule_that_is_all_there_is_is_called_as_good() -> None:
    found = rule_world(4000, 3, risk=(0.1, 0.4)).train(ModelConfig(model_type=ModelType.LOGISTIC))
    rule = by_name(found.primary)["single_rule"]
    assert rule["rule"]["words"] == "tickets 90d >= 3"
    assert rule["as_good"]
    assert rule["sentence"].startswith("The single rule “tickets 90d >= 3” is as good as the model, and simpler")
    base = by_name(found.baseline)
    assert list(base) == ["single_rule"]
    assert base["single_rule"]["sentence"].startswith("The model is worse than the single rule")


def test_a_model_of_noise_is_no_better_than_the_base_rate() -> None:
    found = rule_world(3000, 2, risk=(0.2, 0.2)).train(ModelConfig(model_type=ModelType.LOGISTIC))
    base = by_name(found.primary)["base_rate"]
    assert base["auc_gain_interval"][0] <= 0
    assert not base["sentence"].startswith("The model beats")


def test_a_few_churners_can_tell_nothing() -> None:
    y = np.zeros(100)
    y[:5] = 1
    p = np.linspace(0.9, 0.1, 100)
    [found] = compare(p, [Baseline("base_rate", "the base rate", np.full(100, 0.05))], y, 0.05, None)
    assert not found["as_good"]
    assert "too few test rows" in found["sentence"]


def test_a_list_as_good_needs_no_model() -> None:
    rng = np.random.default_rng(3)
    flagged = rng.random(1000) < 0.3
    y = (rng.random(1000) < np.where(flagged, 0.6, 0.1)).astype(np.float64)
    p = np.where(flagged, 0.6, 0.1) + rng.uniform(0, 1e-6, 1000)
    [found] = compare(p, [Baseline("single_rule", "the rule", p, flagged)], y, 0.25, None)
    assert found["recall_gain"] == 0
    assert found["sentence"].endswith("such a list needs no model.")


def test_scores_that_are_equal_are_listed_up_to_the_length_of_the_rule() -> None:
    """Otherwise a model with few distinct scores would be compared by a shorter list."""
    rng = np.random.default_rng(4)
    flagged = np.arange(400) < 100
    y = (rng.random(400) < np.where(flagged, 0.6, 0.2)).astype(np.float64)
    p = np.where(flagged, 0.5, 0.3)
    [found] = compare(np.full(400, 0.3), [Baseline("single_rule", "the rule", p, flagged)], y, 0.25, None)
    assert (found["n_flagged"], found["model"]["n_flagged"]) == (100, 100)
