"""How a model is trained: folds, split, search, explanations, and what MLflow is told."""

import posixpath
import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StrictBool, WithJsonSchema, model_validator

from app.schemas.config.base import Config, Number, Whole

FeatureName = Annotated[str, Field(min_length=1, max_length=200)]


def _require_usable_tag(key: str) -> str:
    """Tags go to MLflow, which would refuse one only after the training; its rule, and not a name that we write."""
    if key in OUR_TAGS or key.startswith(RESERVED_PREFIXES):
        raise ValueError(f"'{key}' is reserved, as are dataset, revision and all that begin with holdfast_ or mlflow.")
    if not re.fullmatch(r"[/\w.\- :]+", key):
        raise ValueError(f"'{key}' is no tag: letters, digits, spaces and . _ - : / only")
    if posixpath.normpath(key) != key or key == "." or key.startswith(("/", "..")):
        raise ValueError(f"'{key}' is no tag: as a path it would lead elsewhere")
    return key


OUR_TAGS = ("dataset", "revision")
RESERVED_PREFIXES = ("holdfast_", "mlflow.")
TagKey = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_require_usable_tag)]
Tag = Annotated[str, Field(max_length=500)]


MAX_TRIALS = 1000  # of one search, however many seconds it has
MAX_SEARCH_SECONDS = 86_400.0


def _require_scalar(value: Any) -> Any:
    """A number that is one, or a word."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e18
    if not is_number and not (isinstance(value, str) and len(value) <= 100):
        raise ValueError("a finite number or a word is needed")
    return value


Choice = Annotated[
    Any, AfterValidator(_require_scalar), WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}]})
]
ParamName = Annotated[str, Field(pattern=r"^[A-Za-z_]{1,50}$")]


class SearchRange(Config):
    """The values of one parameter that a search may try: from `low` to `high`, or one of `choices`."""

    low: Number | None = Field(default=None, description="The least value; whole where the parameter is.")
    high: Number | None = Field(default=None, description="The greatest value, included.")
    log: StrictBool = Field(default=False, description="Whether equal ratios are equally likely, not equal steps.")
    choices: Annotated[list[Choice], Field(min_length=1, max_length=50)] | None = Field(
        default=None, description="Numbers or words to choose from, instead of a range."
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("give low and high, or choices, not both")
            if len(set(self.choices)) < len(self.choices):
                raise ValueError("each choice must be there once")
        elif self.low is None or self.high is None or self.low >= self.high:
            raise ValueError("give choices, or low and high, low below high")
        elif self.log and self.low <= 0:
            raise ValueError("low must be above 0 where log is true")
        return self


class SearchConfig(Config):
    """How long to search for parameters, and among which; at least one of the two budgets must be given."""

    n_trials: Annotated[Whole, Field(ge=1, le=MAX_TRIALS)] | None = Field(
        default=None, description="The config as asked is the first of them."
    )
    seconds: Annotated[Number, Field(gt=0, le=MAX_SEARCH_SECONDS)] | None = Field(
        default=None, description="The first trial is made whatever it takes, the last one dropped in its midst."
    )
    space: Annotated[dict[ParamName, SearchRange], Field(min_length=1, max_length=30)] | None = Field(
        default=None, description="Parameters of the configured kind of model; by default a few that matter."
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.n_trials is None and self.seconds is None:
            raise ValueError("give n_trials, seconds or both: a search must end")
        return self


class TrainingConfig(Config):
    """How to train: folds, split, search, explanations, and the MLflow experiment."""

    section = "training"

    experiment: Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")] | None = Field(
        default=None, description="MLflow's experiment; by default the dataset's name."
    )
    n_folds: Annotated[Whole, Field(ge=2, le=20)] = Field(
        default=5, description="Of the cross-validation: stratified, whole accounts together."
    )
    split: Literal["random", "temporal"] | None = Field(
        default=None, description="By default by time, where two or more instants have matured."
    )
    search: SearchConfig | None = Field(
        default=None, description="Search for better parameters of the model before it is fitted."
    )
    shap: bool = Field(default=True, description="Explain the training: SHAP summary and pictures.")
    exclude_features: list[FeatureName] = Field(
        default_factory=list, max_length=1000, description="Columns to leave out."
    )
    accept_leaks: list[Annotated[str, Field(min_length=1, max_length=300)]] = Field(
        default_factory=list,
        max_length=1000,
        description="Names of certain leaks (`GET /datasets/{name}/leaks`) that shall not stop the training.",
    )
    tags: dict[TagKey, Tag] = Field(default_factory=dict, max_length=50, description="Of the MLflow run.")
