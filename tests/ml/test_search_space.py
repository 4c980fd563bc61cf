from typing import Any

import pytest
from pydantic import ValidationError

from app.ml.kinds.params import effective_params
from app.ml.search_space import DEFAULT_SPACES, Dimension, SpaceError, point_of, resolve_space, with_params
from app.schemas.config import ModelConfig, ModelType, SearchConfig, TrainingConfig


def resolve(space: dict[str, Any], model_type: ModelType = ModelType.XGBOOST) -> dict[str, Dimension]:
    search = SearchConfig.model_validate({"n_trials": 5, "space": space})
    return dict(resolve_space(ModelConfig(model_type=model_type), search))


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"space": {"max_depth": {"low": 2, "high": 4}}},
        {"n_trials": 0},
        {"n_trials": 1001},
        {"n_trials": 2.5},
        {"n_trials": True},
        {"seconds": 0},
        {"seconds": float("inf")},
        {"seconds": 86401},
        {"n_trials": 5, "space": {}},
        {"n_trials": 5, "space": {"max_depth": {}}},
        {"n_trials": 5, "space": {"max_depth": {"low": 4}}},
        {"n_trials": 5, "space": {"max_depth": {"low": 4, "high": 4}}},
        {"n_trials": 5, "space": {"max_depth": {"low": 4, "high": 2}}},
        {"n_trials": 5, "space": {"max_depth": {"low": float("nan"), "high": 2}}},
        {"n_trials": 5, "space": {"gamma": {"low": 0, "high": 2, "log": True}}},
        {"n_trials": 5, "space": {"gamma": {"low": 1, "high": 2, "log": 1}}},
        {"n_trials": 5, "space": {"max_depth": {"low": 2, "high": 4, "choices": [2]}}},
        {"n_trials": 5, "space": {"max_depth": {"choices": []}}},
        {"n_trials": 5, "space": {"max_depth": {"choices": [2, 2.0]}}},
        {"n_trials": 5, "space": {"max_depth": {"choices": [True]}}},
        {"n_trials": 5, "space": {"max_depth": {"choices": [float("nan")]}}},
        {"n_trials": 5, "space": {"max_depth": {"choices": [[2]]}}},
        {"n_trials": 5, "space": {"max_depth": {"choices": list(range(51))}}},
        {"n_trials": 5, "space": {"max_depth": {"low": 2, "high": 4, "step": 2}}},
        {"n_trials": 5, "space": {"a/b": {"low": 2, "high": 4}}},
        {"n_trials": 5, "space": {f"p_{'x' * at}": {"low": 2, "high": 4} for at in range(31)}},
    ],
)
def test_a_search_that_cannot_be_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainingConfig.model_validate({"search": config})


@pytest.mark.parametrize(
    ("space", "key"),
    [
        ({"objective": {"choices": ["reg:squarederror"]}}, "space.objective.choices.0"),
        ({"nthread": {"low": 1, "high": 64}}, "space.nthread.low"),
        ({"max_depth": {"low": 0, "high": 4}}, "space.max_depth.low"),
        ({"max_depth": {"low": 2, "high": 100}}, "space.max_depth.high"),
        ({"max_depth": {"low": 2, "high": 4.5}}, "space.max_depth.high"),
        ({"max_depth": {"choices": [2, 3.5]}}, "space.max_depth.choices.1"),
        ({"max_depth": {"choices": [2, "three"]}}, "space.max_depth.choices.1"),
        ({"subsample": {"low": 0, "high": 1}}, "space.subsample.low"),
        ({"n_estimators": {"low": 10, "high": 1e9}}, "space.n_estimators.high"),
        ({"grow_policy": {"low": 1, "high": 2}}, "space.grow_policy.low"),
        ({"grow_policy": {"choices": ["depthwise", "wild"]}}, "space.grow_policy.choices.1"),
    ],
)
def test_parameters_and_values_that_the_model_does_not_take_are_refused(space: dict[str, Any], key: str) -> None:
    with pytest.raises(SpaceError) as refused:
        resolve(space)
    assert refused.value.key == key


def test_whole_numbers_stay_whole() -> None:
    found = resolve({"max_depth": {"low": 2.0, "high": 4}, "gamma": {"low": 0, "high": 1}})
    assert [repr(end) for end in (found["max_depth"].low, found["max_depth"].high)] == ["2", "4"]
    assert [repr(end) for end in (found["gamma"].low, found["gamma"].high)] == ["0.0", "1.0"]
    assert resolve({"max_depth": {"choices": [2.0, 5]}})["max_depth"] == Dimension(choices=(2, 5))


def test_the_space_is_that_of_the_kind() -> None:
    with pytest.raises(SpaceError):
        resolve({"num_leaves": {"low": 4, "high": 8}})
    assert resolve({"num_leaves": {"low": 4, "high": 8}}, ModelType.LIGHTGBM)["num_leaves"] == Dimension(4, 8)


@pytest.mark.parametrize("model_type", [ModelType.BLEND, ModelType.AUTO])
def test_kinds_that_are_fitted_of_others_are_not_searched(model_type: ModelType) -> None:
    with pytest.raises(SpaceError, match=f"^{model_type} is not searched") as refused:
        resolve({"max_depth": {"low": 2, "high": 4}}, model_type)
    assert refused.value.key == ""


@pytest.mark.parametrize("model_type", DEFAULT_SPACES)
def test_the_ends_of_the_default_spaces_are_accepted_by_the_model(model_type: str) -> None:
    model = ModelConfig(model_type=ModelType(model_type))
    for name, values in DEFAULT_SPACES[model_type].items():
        for end in (values.low, values.high):
            assert repr(effective_params(with_params(model, {name: end}), model.model_type)[name]) == repr(end)


def test_the_point_of_a_config_is_what_it_says_over_what_the_library_takes() -> None:
    model = ModelConfig(xgboost_params={"reg_lambda": 5})
    space = resolve(
        {name: {"low": 1, "high": 9} for name in ("reg_lambda", "min_child_weight")}
        | {"max_bin": {"low": 9, "high": 99}}
    )
    assert point_of(model, space) == {"reg_lambda": 5.0, "min_child_weight": 1.0}
