"""What a search may vary: a few ranges that matter for each kind of model, or the caller's own, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.ml.kinds.params import ParamsError, effective_params
from app.schemas.config import ModelConfig, ModelType, SearchConfig, SearchRange


class SpaceError(ParamsError):
    """A space that can't be searched.

    Attributes
    ----------
    key : the place within the config of the search, such as 'space.max_depth.low'; empty for the whole
    """


@dataclass(frozen=True)
class Dimension:
    """The values of one parameter: from `low` to `high`, both included, or one of `choices`.

    Attributes
    ----------
    low, high : int where only whole numbers count; None where there are choices
    log : whether equal ratios are equally likely, not equal steps
    """

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()

    def holds(self, value: Any) -> bool:
        """Whether a value, which may be None, is one of them."""
        if self.low is None or self.high is None:
            return value in self.choices
        return value is not None and self.low <= value <= self.high

    def to_json(self) -> dict[str, Any]:
        """As a caller would write it."""
        if self.choices:
            return {"choices": list(self.choices)}
        return {"low": self.low, "high": self.high, "log": self.log}


Space = Mapping[str, Dimension]

# `n_estimators` is the most rounds that are looked at: the recipe finds the number itself.
_BOOSTERS: Space = {
    "learning_rate": Dimension(0.02, 0.3, log=True),
    "n_estimators": Dimension(100, 400, log=True),
    "max_depth": Dimension(2, 10),
    "subsample": Dimension(0.5, 1.0),
    "colsample_bytree": Dimension(0.3, 1.0),
}
# A kind of model is searched where it has an entry: its learner then is fitted fold by fold by the parameters alone.
DEFAULT_SPACES: Mapping[str, Space] = {
    "xgboost": {
        **_BOOSTERS,
        "min_child_weight": Dimension(1.0, 100.0, log=True),
        "reg_lambda": Dimension(0.1, 100.0, log=True),
    },
    "lightgbm": {
        **_BOOSTERS,
        "num_leaves": Dimension(4, 128, log=True),
        "min_child_samples": Dimension(5, 200, log=True),
        "reg_lambda": Dimension(0.0, 20.0),
    },
    "logistic": {"C": Dimension(1e-4, 100.0, log=True)},
    "random_forest": {
        "max_depth": Dimension(3, 16),
        "min_samples_leaf": Dimension(1, 100, log=True),
        "max_features": Dimension(0.05, 1.0, log=True),
        "subsample": Dimension(0.3, 1.0),
    },
    "mlp": {
        "hidden_units": Dimension(4, 128, log=True),
        "n_epochs": Dimension(10, 100, log=True),
        "learning_rate": Dimension(0.0003, 0.03, log=True),
        "alpha": Dimension(0.01, 100.0, log=True),
    },
}
# What the libraries take where a parameter is not given, by their documentation: so the config as asked is a point.
_NOT_GIVEN: Mapping[str, Mapping[str, Any]] = {
    "xgboost": {"min_child_weight": 1.0, "reg_lambda": 1.0, "reg_alpha": 0.0, "gamma": 0.0},
    "lightgbm": {"num_leaves": 31, "min_child_samples": 20, "reg_lambda": 0.0, "reg_alpha": 0.0},
}


def resolve_space(model: ModelConfig, search: SearchConfig) -> Space:
    """The space of the configured kind of model, every end and choice of which the model accepts.

    Raises
    ------
    SpaceError
        Where a parameter is unknown or a value of it out of range, or such a kind is not searched.

    Examples
    --------
    >>> search = SearchConfig(n_trials=9, space={"max_depth": SearchRange(low=2, high=5)})
    >>> resolve_space(ModelConfig(), search)
    {'max_depth': Dimension(low=2, high=5, log=False, choices=())}
    """
    kind = model.model_type
    if kind.value not in DEFAULT_SPACES:
        raise SpaceError("", f"{kind.value} is not searched; that is done for {', '.join(DEFAULT_SPACES)}")
    if search.space is None:
        return DEFAULT_SPACES[kind.value]
    return {name: _checked(kind, name, values) for name, values in search.space.items()}


def _checked(kind: ModelType, name: str, values: SearchRange) -> Dimension:
    if values.choices is not None:
        choices = [_plain(kind, name, value, f"choices.{at}") for at, value in enumerate(values.choices)]
        return Dimension(choices=tuple(choices))
    low, high = _plain(kind, name, values.low, "low"), _plain(kind, name, values.high, "high")
    return Dimension(low, high, log=values.log)


def _plain(kind: ModelType, name: str, value: Any, place: str) -> Any:
    """The value as the model would take it: whole numbers as int."""
    try:
        return effective_params(with_params(ModelConfig(model_type=kind), {name: value}), kind)[name]
    except ParamsError as error:
        raise SpaceError(f"space.{name}.{place}", error.reason) from error


def with_params(model: ModelConfig, params: Mapping[str, Any]) -> ModelConfig:
    """The config with other parameters of its kind laid over its own."""
    field = f"{model.model_type.value}_params"
    return model.model_copy(update={field: {**getattr(model, field), **params}})


def point_of(model: ModelConfig, space: Space) -> dict[str, Any]:
    """Where in the space the config as asked lies, as far as its values are known."""
    known = {**_NOT_GIVEN.get(model.model_type.value, {}), **effective_params(model, model.model_type)}
    return {name: known[name] for name in space if name in known}
