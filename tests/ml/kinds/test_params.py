import pytest

from app.ml.kinds.params import ParamsError, effective_params, validate_params
from app.schemas.config import ModelConfig, ModelType


@pytest.mark.parametrize(
    ("params", "key"),
    [
        ({"xgboost_params": {"objective": "reg:squarederror"}}, "xgboost_params.objective"),
        ({"xgboost_params": {"nthread": 64}}, "xgboost_params.nthread"),
        ({"xgboost_params": {"n_estimators": 10_001}}, "xgboost_params.n_estimators"),
        ({"xgboost_params": {"n_estimators": 1.5}}, "xgboost_params.n_estimators"),
        ({"xgboost_params": {"max_depth": "6"}}, "xgboost_params.max_depth"),
        ({"xgboost_params": {"max_depth": 100}}, "xgboost_params.max_depth"),
        ({"xgboost_params": {"subsample": 0}}, "xgboost_params.subsample"),
        ({"xgboost_params": {"learning_rate": True}}, "xgboost_params.learning_rate"),
        ({"xgboost_params": {"learning_rate": float("nan")}}, "xgboost_params.learning_rate"),
        ({"xgboost_params": {"grow_policy": ["depthwise"]}}, "xgboost_params.grow_policy"),
        ({"lightgbm_params": {"forcedsplits_filename": "/etc/passwd"}}, "lightgbm_params.forcedsplits_filename"),
        ({"lightgbm_params": {"device_type": "gpu"}}, "lightgbm_params.device_type"),
        ({"lightgbm_params": {"num_leaves": 1}}, "lightgbm_params.num_leaves"),
        ({"lightgbm_params": {"max_bin": 10**9}}, "lightgbm_params.max_bin"),
        ({"logistic_params": {"C": 0}}, "logistic_params.C"),
        ({"logistic_params": {"C": 5e-324}}, "logistic_params.C"),  # its inverse is no number
        ({"xgboost_params": {"scale_pos_weight": 1e-300}}, "xgboost_params.scale_pos_weight"),
        ({"logistic_params": {"max_iter": None}}, "logistic_params.max_iter"),
        ({"xgboost_params": {"max_depth": None}}, "xgboost_params.max_depth"),
        ({"logistic_params": {"solver": "saga"}}, "logistic_params.solver"),
        ({"blend_params": {"booster": "logistic"}}, "blend_params.booster"),
        ({"blend_params": {"shallow_max_depth": 5}}, "blend_params.shallow_max_depth"),
    ],
)
def test_unknown_or_harmful_parameters_are_refused_by_name(params: dict[str, dict[str, object]], key: str) -> None:
    with pytest.raises(ParamsError) as refused:
        validate_params(ModelConfig.model_validate(params))
    assert refused.value.key == key


def test_a_slip_of_the_pen_gets_a_hint() -> None:
    with pytest.raises(ParamsError, match="perhaps you mean max_depth"):
        validate_params(ModelConfig(xgboost_params={"maxdepth": 3}))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "must be a number"),
        ("many", "must be a number"),
        (1e308, "must be at least 1 and at most 16"),
        (10**400, "must be at least 1 and at most 16"),
        (float("nan"), "must be at least 1 and at most 16"),
        (2.5, "must be a whole number"),
    ],
)
def test_what_is_wrong_with_a_number_is_what_is_said(value: object, words: str) -> None:
    with pytest.raises(ParamsError) as refused:
        validate_params(ModelConfig(xgboost_params={"max_depth": value}))
    assert refused.value.reason == words


@pytest.mark.parametrize("model_type", list(ModelType))
def test_the_defaults_are_fine(model_type: ModelType) -> None:
    assert effective_params(ModelConfig(), model_type) == ModelConfig().params(model_type)


def test_6_and_6_point_0_are_the_same_model() -> None:
    a = effective_params(ModelConfig(xgboost_params={"max_depth": 6.0, "gamma": 1}), ModelType.XGBOOST)
    b = effective_params(ModelConfig(xgboost_params={"max_depth": 6, "gamma": 1.0}), ModelType.XGBOOST)
    assert [(name, repr(value)) for name, value in a.items()] == [(name, repr(value)) for name, value in b.items()]
