"""Layering and limits of the config models."""

import pytest
from pydantic import ValidationError

from app.schemas.config import (
    CapacityTiers,
    EvaluationConfig,
    ModelConfig,
    ModelType,
    MonitoringConfig,
    ProbabilityTiers,
    RelativeTiers,
    ScoringConfig,
    TrainingConfig,
)


def test_the_first_layer_wins_field_by_field() -> None:
    config = EvaluationConfig.layered({"min_auc": 0.8}, {"min_auc": 0.6, "min_recall": 0.3}, {"confidence": 0.9})
    assert (config.min_auc, config.min_recall, config.confidence) == (0.8, 0.3, 0.9)


def test_booster_parameters_merge_key_by_key() -> None:
    config = ModelConfig.layered({"xgboost_params": {"max_depth": 3}}, {"xgboost_params": {"subsample": 1.0}})
    params = config.params()
    assert (params["max_depth"], params["subsample"], params["scale_pos_weight"]) == (3, 1.0, 3)


def test_logistic_regression_knows_no_scale_pos_weight() -> None:
    assert "scale_pos_weight" not in ModelConfig(model_type=ModelType.LOGISTIC).params()


def test_a_nested_object_of_the_same_kind_merges() -> None:
    config = ScoringConfig.layered({"tiers": {"kind": "probability", "high": 0.9}}, {"tiers": {"kind": "probability"}})
    assert config.tiers == ProbabilityTiers(high=0.9, medium=0.4)


def test_a_nested_object_of_another_kind_replaces() -> None:
    config = ScoringConfig.layered(
        {"tiers": {"kind": "relative"}}, {"tiers": {"kind": "capacity", "high": 9, "medium": 9}}
    )
    assert config.tiers == RelativeTiers()


def test_layers_are_left_as_they_were() -> None:
    below = {"tiers": {"kind": "probability", "high": 0.8}}
    ScoringConfig.layered({"tiers": {"kind": "probability", "medium": 0.2}}, below)
    assert below == {"tiers": {"kind": "probability", "high": 0.8}}


@pytest.mark.parametrize(
    "layer",
    [
        {"min_auc": True},
        {"min_auc": float("nan")},
        {"min_auc": 1.2},
        {"unknown": 1},
        {"cutoff": {"kind": "top_share", "value": 0}},
        {"confidence": 1 - 2**-53},  # no number of churners would be enough
    ],
)
def test_what_is_no_bar_is_refused(layer: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EvaluationConfig.model_validate(layer)


@pytest.mark.parametrize(
    ("high", "medium"), [(0.5, 100), (100, 0.5), (10.5, 20), (0.7, 0.5)], ids=["mixed", "mixed too", "half", "above 1"]
)
def test_a_capacity_is_in_counts_or_in_shares(high: float, medium: float) -> None:
    with pytest.raises(ValidationError):
        CapacityTiers(high=high, medium=medium)


def test_medium_is_not_above_high() -> None:
    with pytest.raises(ValidationError):
        ProbabilityTiers(high=0.3, medium=0.4)


def test_critical_is_not_below_warning() -> None:
    with pytest.raises(ValidationError):
        MonitoringConfig(psi_warning=0.3, psi_critical=0.25)


@pytest.mark.parametrize(
    "key", ["holdfast_job", "holdfast_version", "dataset", "revision", "mlflow.user", "mlflow.runName", "mlflow."]
)
def test_a_tag_of_ours_or_of_mlflow_is_refused(key: str) -> None:
    with pytest.raises(ValidationError, match=f"'{key}' is reserved"):
        TrainingConfig(tags={"team": "x", key: "y"})


@pytest.mark.parametrize("key", ["a?b", "a=b", "größe%", "", "a\n", "/a", "a/", "a//b", ".", "..", "../a", "a/../b"])
def test_a_tag_that_mlflow_would_refuse_is_refused_before_a_training(key: str) -> None:
    with pytest.raises(ValidationError):
        TrainingConfig(tags={key: "y"})


def test_other_tags_are_taken() -> None:
    tags = {"team": "x", "cost centre": "7", "git.commit": "abc", "a/b:c-d_e": "", "größe": "1", "Dataset": "z"}
    assert TrainingConfig(tags=tags).tags == tags


@pytest.mark.parametrize("name", ["", " ", "\t\n"])
def test_an_experiment_has_a_name(name: str) -> None:
    with pytest.raises(ValidationError):
        TrainingConfig(experiment=name)


def test_a_config_is_frozen() -> None:
    config = TrainingConfig()
    with pytest.raises(ValidationError):
        config.n_folds = 3  # type: ignore[misc]  # what the test is about
