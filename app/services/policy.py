"""The policy in force: which bar the gate holds up for a dataset while nobody asks for another."""

from collections.abc import Mapping
from typing import Any

from app.schemas.config import EvaluationConfig
from app.tables import Dataset


def policy_in_force(dataset: Dataset, settings_layer: Mapping[str, Any]) -> EvaluationConfig:
    """The dataset's own default, then the settings, then the code."""
    return EvaluationConfig.layered(dataset.defaults.get("evaluation", {}), settings_layer)


def effective_evaluation(
    request: Mapping[str, Any], dataset: Dataset, settings_layer: Mapping[str, Any]
) -> EvaluationConfig:
    """The policy in force with what this request asks for laid over it."""
    return EvaluationConfig.layered(request, dataset.defaults.get("evaluation", {}), settings_layer)
