"""Which model parameters a caller may set, and in which range: everything else is refused up front."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.schemas.config import ModelConfig, ModelType

MAX_ROUNDS = 10_000


class ParamsError(ValueError):
    """A model parameter that can't be used.

    Attributes
    ----------
    key : the parameter as the caller wrote it, such as 'xgboost_params.max_depth'
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}" if key else reason)
        self.key = key
        self.reason = reason


@dataclass(frozen=True)
class _Range:
    """A number from `low` to `high`, both included; whole where `whole`, null where `tunable`."""

    low: float
    high: float
    whole: bool = False
    tunable: bool = False

    def complaint(self, value: object) -> str | None:
        if value is None and self.tunable:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "must be a number"
        if not self.low <= value <= self.high:
            return f"must be at least {self.low:g} and at most {self.high:g}"
        if self.whole and value != int(value):
            return "must be a whole number"
        return None


@dataclass(frozen=True)
class _Choice:
    options: tuple[str, ...]

    def complaint(self, value: object) -> str | None:
        return None if value in self.options else f"must be one of {', '.join(self.options)}"


_SHARE = _Range(0.05, 1)  # of rows or columns; less leaves small data with none
_WEIGHT = _Range(0, 1e6)
_BOTH_BOOSTERS: Mapping[str, _Range | _Choice] = {
    "learning_rate": _Range(1e-4, 1),
    "n_estimators": _Range(1, MAX_ROUNDS, whole=True),
    "scale_pos_weight": _Range(1e-4, 1e4),
    "subsample": _SHARE,
    "colsample_bytree": _SHARE,
    "min_child_weight": _WEIGHT,
    "reg_alpha": _WEIGHT,
    "reg_lambda": _WEIGHT,
    "max_bin": _Range(2, 1024, whole=True),
}
_XGBOOST: Mapping[str, _Range | _Choice] = {
    **_BOTH_BOOSTERS,
    "max_depth": _Range(1, 16, whole=True),  # exact SHAP of a tree costs 2^depth
    "colsample_bylevel": _SHARE,
    "colsample_bynode": _SHARE,
    "gamma": _WEIGHT,
    "max_delta_step": _WEIGHT,
    "max_leaves": _Range(0, 4096, whole=True),
    "grow_policy": _Choice(("depthwise", "lossguide")),
}
_LIGHTGBM: Mapping[str, _Range | _Choice] = {
    **_BOTH_BOOSTERS,
    "max_depth": _Range(1, 16, whole=True),
    "num_leaves": _Range(2, 4096, whole=True),
    "min_child_samples": _Range(2, 1e6, whole=True),
    "min_split_gain": _WEIGHT,
    "subsample_freq": _Range(0, MAX_ROUNDS, whole=True),
    "path_smooth": _WEIGHT,
}
_LOGISTIC: Mapping[str, _Range | _Choice] = {
    "C": _Range(1e-6, 1e6, tunable=True),
    "max_iter": _Range(1, 10_000, whole=True),
}
_FOREST: Mapping[str, _Range | _Choice] = {
    "n_estimators": _Range(1, 2_000, whole=True),
    "max_depth": _Range(1, 16, whole=True),
    "min_samples_leaf": _Range(1, 1e6, whole=True),
    "subsample": _SHARE,
    "max_features": _SHARE,
}
_NETWORK: Mapping[str, _Range | _Choice] = {
    "hidden_units": _Range(1, 256, whole=True),
    "n_epochs": _Range(1, 500, whole=True),
    "learning_rate": _Range(1e-5, 0.1),
    "batch_size": _Range(16, 100_000, whole=True),
    "alpha": _WEIGHT,
}
_BLEND: Mapping[str, _Range | _Choice] = {
    "booster": _Choice((ModelType.XGBOOST.value, ModelType.LIGHTGBM.value)),
    "shallow_max_depth": _Range(1, 4, whole=True),
    "shallow_n_estimators": _BOTH_BOOSTERS["n_estimators"],
    "shallow_learning_rate": _BOTH_BOOSTERS["learning_rate"],
}
_KNOWN = {
    ModelType.XGBOOST: _XGBOOST,
    ModelType.LIGHTGBM: _LIGHTGBM,
    ModelType.LOGISTIC: _LOGISTIC,
    ModelType.RANDOM_FOREST: _FOREST,
    ModelType.MLP: _NETWORK,
    ModelType.BLEND: _BLEND,
}


def validate_params(model: ModelConfig) -> None:
    """Refuse parameters, of any kind of model in the config, that are unknown, mistyped or out of range.

    Raises
    ------
    ParamsError
        A ValueError with the `key` it complains of.

    Examples
    --------
    >>> validate_params(ModelConfig(xgboost_params={"max_depth": 4}))
    """
    for model_type, known in _KNOWN.items():
        for name, value in model.params(model_type).items():
            key = f"{model_type.value}_params.{name}"
            if name not in known:
                raise ParamsError(key, _unknown(name, known))
            complaint = known[name].complaint(value)
            if complaint:
                raise ParamsError(key, complaint)


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"perhaps you mean {near[0]}" if near else f"known are {', '.join(sorted(known))}"
    return f"is not a parameter that can be set; {hint}"


def effective_params(model: ModelConfig, model_type: ModelType) -> dict[str, Any]:
    """Validated parameters with whole numbers as int, so that 6 and 6.0 give the same model and hash."""
    validate_params(model)
    known = _KNOWN.get(model_type, {})
    return {name: _plain(value, known[name]) for name, value in sorted(model.params(model_type).items())}


def asked_params(model: ModelConfig, model_type: ModelType) -> dict[str, Any]:
    """The effective parameters of everything that is fitted for this kind: with the kind itself, the recipe.

    A blend's own stand beside those of its booster and of its logistic regression, under the names they have in the
    config; where kinds are compared those of all stand there.
    """
    if model_type is ModelType.AUTO:
        own, parts = {}, tuple(_KNOWN)
    else:
        own, parts = effective_params(model, model_type), ()
    if model_type is ModelType.BLEND:
        parts = (ModelType(own["booster"]), ModelType.LOGISTIC)
    return own | {f"{part.value}_params": effective_params(model, part) for part in parts}


def shallow_config(model: ModelConfig, booster: ModelType) -> ModelConfig:
    """The config of a blend's shallow booster: that of its booster, save depth, rounds and learning rate."""
    blend = effective_params(model, ModelType.BLEND)
    shallow = {name: blend[f"shallow_{name}"] for name in ("max_depth", "n_estimators", "learning_rate")}
    name = f"{booster.value}_params"
    return model.model_copy(update={name: {**getattr(model, name), **shallow}})


def _plain(value: Any, rule: _Range | _Choice) -> Any:
    if isinstance(rule, _Choice) or value is None:
        return value
    return int(value) if rule.whole else float(value)
