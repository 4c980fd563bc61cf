"""The policy in force: the request, the dataset, the settings, the code, the first one strongest."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.errors import InvalidRequest
from app.schemas.config import EvaluationConfig, ModelConfig, MonitoringConfig
from app.schemas.gate import PolicyIn
from app.services import policy
from app.services.policy import in_force
from app.settings import Settings
from app.tables import Dataset


def make_dataset(**defaults: object) -> Dataset:
    return Dataset(name="d", defaults=defaults)


def test_the_nearest_layer_that_names_a_field_wins() -> None:
    settings = Settings(evaluation={"min_auc": 0.6, "min_recall": 0.1, "n_top_features": 5})
    dataset = make_dataset(evaluation={"min_auc": 0.65, "min_recall": 0.2})
    found = in_force(EvaluationConfig, dataset, settings, EvaluationConfig(min_auc=0.8))
    assert (found.min_auc, found.min_recall, found.n_top_features, found.confidence) == (0.8, 0.2, 5, 0.95)


def test_layers_that_are_right_alone_and_wrong_together_are_refused() -> None:
    dataset = make_dataset(monitoring={"psi_warning": 0.2})
    with pytest.raises(InvalidRequest) as caught:
        in_force(MonitoringConfig, dataset, Settings(), MonitoringConfig(psi_critical=0.15))
    assert [each.pointer for each in caught.value.errors] == ["/monitoring"]
    assert "warning" in caught.value.detail


def test_slopes_are_ordered_over_all_layers_and_old_documents_are_still_read() -> None:
    dataset = make_dataset(evaluation={"max_calibration_slope": 2})
    asked = EvaluationConfig(min_calibration_slope=1.5)
    assert in_force(EvaluationConfig, dataset, Settings(), asked).min_calibration_slope == 1.5
    with pytest.raises(InvalidRequest, match="min_calibration_slope must not be above"):
        in_force(EvaluationConfig, make_dataset(), Settings(), asked)
    with pytest.raises(ValidationError, match="must not be above"):
        PolicyIn.model_validate({"evaluation": {"min_calibration_slope": 2}, "reason": "a slip"})
    stored = {"min_calibration_slope": 2.0, "max_calibration_slope": 1.0}
    assert EvaluationConfig.model_validate(stored).max_calibration_slope == 1.0


def test_a_parameter_out_of_range_is_pointed_at() -> None:
    with pytest.raises(InvalidRequest) as caught:
        in_force(ModelConfig, make_dataset(), Settings(), ModelConfig(xgboost_params={"max_depth": 99}))
    assert [each.pointer for each in caught.value.errors] == ["/model/xgboost_params/max_depth"]


def test_no_service_asks_for_the_bar_past_the_stored_policy() -> None:
    services = Path(policy.__file__).parent
    asking = [
        path.name for path in services.glob("*.py") if re.search(r"\bin_force\(\s*EvaluationConfig", path.read_text())
    ]
    assert asking == ["policy.py"], "ask `gate_in_force`, or the operator's document is passed over"
