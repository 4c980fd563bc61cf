"""The five config models: request bodies, CLI options, settings and Python arguments alike."""

import posixpath
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    WithJsonSchema,
    model_validator,
)


def _refuse_bool(value: object) -> object:
    """JSON's `true` is no number, although Python's is."""
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    return value


Number = Annotated[float, BeforeValidator(_refuse_bool)]
Whole = Annotated[int, BeforeValidator(_refuse_bool)]
Share = Annotated[Number, Field(ge=0, le=1)]

BOOSTER_DEFAULTS: Mapping[str, Any] = {
    "max_depth": 6,
    "learning_rate": 0.1,
    "n_estimators": 100,
    "scale_pos_weight": 3,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
}
LOGISTIC_DEFAULTS: Mapping[str, Any] = {"C": None, "max_iter": 1000}  # no C: tuned
FOREST_DEFAULTS: Mapping[str, Any] = {
    "n_estimators": 100,
    "max_depth": 10,
    "min_samples_leaf": 10,
    "subsample": 0.63,  # as many distinct rows as a bootstrap draws, 1 - 1/e
    "max_features": 0.2,  # of the columns, drawn anew at each split
}
NETWORK_DEFAULTS: Mapping[str, Any] = {
    "hidden_units": 32,
    "n_epochs": 40,
    "learning_rate": 0.003,
    "batch_size": 256,
    "alpha": 3.0,
}
BLEND_DEFAULTS: Mapping[str, Any] = {
    "booster": "xgboost",
    "shallow_max_depth": 3,
    "shallow_n_estimators": 600,
    "shallow_learning_rate": 0.05,
}


class Config(BaseModel):
    """Frozen, no unknown fields, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())
    section: ClassVar[str] = ""  # what requests, datasets' defaults and settings call it

    @classmethod
    def layered(cls, *layers: Mapping[str, Any]) -> Self:
        """Merge partial configs, the first one strongest, field by field, over the defaults in code."""
        merged: dict[str, Any] = {}
        for layer in reversed(layers):
            _merge(merged, layer)
        return cls.model_validate(merged)


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Lay `over` upon `base`; a nested object is merged too, unless its `kind` changes."""
    for key, value in over.items():
        below = base.get(key)
        same_kind = isinstance(below, dict) and isinstance(value, Mapping) and below.get("kind") == value.get("kind")
        if isinstance(below, dict) and isinstance(value, Mapping) and (same_kind or "kind" not in value):
            base[key] = dict(below)
            _merge(base[key], value)
        else:
            base[key] = value


class ModelType(StrEnum):
    """The kinds of model that can be trained; `auto` compares them all."""

    XGBOOST = "xgboost"
    LIGHTGBM = "lightgbm"
    LOGISTIC = "logistic"
    RANDOM_FOREST = "random_forest"
    MLP = "mlp"
    BLEND = "blend"
    AUTO = "auto"


_DEFAULTS: Mapping[ModelType, Mapping[str, Any]] = {
    ModelType.XGBOOST: BOOSTER_DEFAULTS,
    ModelType.LIGHTGBM: BOOSTER_DEFAULTS,
    ModelType.LOGISTIC: LOGISTIC_DEFAULTS,
    ModelType.RANDOM_FOREST: FOREST_DEFAULTS,
    ModelType.MLP: NETWORK_DEFAULTS,
    ModelType.BLEND: BLEND_DEFAULTS,
    ModelType.AUTO: {},
}


class ModelConfig(Config):
    """Which model to fit, with which parameters; each `*_params` is merged key by key over the defaults."""

    section = "model"

    model_type: ModelType = ModelType.XGBOOST
    xgboost_params: dict[str, Any] = Field(default_factory=dict)
    lightgbm_params: dict[str, Any] = Field(default_factory=dict)
    logistic_params: dict[str, Any] = Field(default_factory=dict)
    random_forest_params: dict[str, Any] = Field(default_factory=dict)
    mlp_params: dict[str, Any] = Field(default_factory=dict)
    blend_params: dict[str, Any] = Field(
        default_factory=dict, description="Its booster, and its logistic regression, also take their own parameters."
    )
    seed: Annotated[Whole, Field(ge=0, le=2**31 - 1)] = 42

    def params(self, model_type: ModelType | None = None) -> dict[str, Any]:
        """The effective parameters of `model_type` (by default the configured one)."""
        kind = model_type or self.model_type
        own: dict[str, Any] = getattr(self, f"{kind.value}_params", {})  # auto has none of its own
        return {**_DEFAULTS[kind], **own}


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

    low: Number | None = None
    high: Number | None = None
    log: StrictBool = Field(default=False, description="Whether equal ratios are equally likely, not equal steps.")
    choices: Annotated[list[Choice], Field(min_length=1, max_length=50)] | None = None

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

    experiment: Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")] | None = None
    n_folds: Annotated[Whole, Field(ge=2, le=20)] = 5
    split: Literal["random", "temporal"] | None = None  # by time, where two or more instants have matured
    search: SearchConfig | None = Field(
        default=None, description="Search for better parameters of the model before it is fitted."
    )
    shap: bool = True
    exclude_features: list[FeatureName] = Field(default_factory=list, max_length=1000)
    accept_leaks: list[Annotated[str, Field(min_length=1, max_length=300)]] = Field(
        default_factory=list,
        max_length=1000,
        description="Names of certain leaks (`GET /datasets/{name}/leaks`) that shall not stop the training.",
    )
    tags: dict[TagKey, Tag] = Field(default_factory=dict, max_length=50)


class ProbabilityCut(Config):
    """Accounts at or above this probability are flagged."""

    kind: Literal["probability"] = "probability"
    value: Share


class TierCut(Config):
    """Accounts in this tier or above are flagged, by the default tier policy."""

    kind: Literal["tier"] = "tier"
    value: Literal["high", "medium"]


class TopShareCut(Config):
    """The share of accounts with the highest scores is flagged; None means the churn rate of the development rows."""

    kind: Literal["top_share"] = "top_share"
    value: Annotated[Number, Field(gt=0, le=1)] | None = None


Cutoff = Annotated[ProbabilityCut | TierCut | TopShareCut, Field(discriminator="kind")]


class ProfitConfig(Config):
    """What contacting an account is assumed to bring, in units of money; none of it can be seen in the data."""

    value_per_account: Annotated[Number, Field(gt=0)] = Field(description="Lost with an account that churns.")
    contact_cost: Annotated[Number, Field(ge=0)] = Field(description="Of contacting one account.")
    save_rate: Annotated[Number, Field(gt=0, le=1)] = Field(
        description="Share of those who would churn, and stay because they are contacted."
    )
    capacity: Annotated[Number, Field(gt=0, le=1)] | None = Field(
        default=None, description="Share of the accounts that can be contacted."
    )
    require: Literal["positive", "not_below_production"] | None = Field(
        default=None, description="Makes the profit at capacity a check of the gate."
    )
    max_loss: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="Per account judged: what `not_below_production` lets pass."
    )

    @model_validator(mode="after")
    def _judged_at_a_capacity(self) -> Self:
        if self.require is not None and self.capacity is None:
            raise ValueError("the profit is judged at a capacity: state the share that can be contacted")
        return self


class SegmentsConfig(Config):
    """Ask that the model works in each segment: per level of a category, per bin of a number."""

    features: list[FeatureName] = Field(min_length=1, max_length=10)
    min_auc: Share = 0.6
    max_mean_error: Share = 0.05


class ListStabilityConfig(Config):
    """Ask that the accounts on production's list mostly stay on it."""

    cutoff: Cutoff = TopShareCut(value=0.1)
    min_stay: Share = 0.5


class LeakSuspicionConfig(Config):
    """Ask that the probes suspect no leak, and that no single feature has nearly all importance."""

    max_importance_share: Share = 0.8


class EvaluationConfig(Config):
    """The bar of the gate; what it means is in the documentation of each check."""

    section = "evaluation"

    min_auc: Share = 0.70
    min_precision: Share | None = None
    min_recall: Share | None = None
    cutoff: Cutoff = TopShareCut()
    min_improvement_over_baseline: Annotated[Number, Field(ge=-1, le=1)] = 0.0
    min_improvement_over_production: Annotated[Number, Field(ge=-1, le=1)] = 0.0
    not_worse_margin: Annotated[Number, Field(ge=0, le=0.5)] = 0.01
    promotion_rule: Literal["better", "not_worse", "no_harm"] | None = None
    min_calibration_slope: Annotated[Number, Field(gt=0)] = 0.8
    max_calibration_slope: Annotated[Number, Field(gt=0)] = 1.25
    max_calibration_mean_error: Share = 0.01
    max_score_psi: Annotated[Number, Field(gt=0)] = 0.25
    min_rank_agreement: Annotated[Number, Field(ge=-1, le=1)] = 0.6
    n_top_features: Annotated[Whole, Field(ge=2, le=100)] = 10
    confidence: Annotated[Number, Field(ge=0.5, lt=1)] = 0.95
    evidence: Literal["auto", "test_side"] = "auto"  # auto: refit in folds where the test side has too few churners
    profit: ProfitConfig | None = None
    segments: SegmentsConfig | None = None
    list_stability: ListStabilityConfig | None = None
    leak_suspicion: LeakSuspicionConfig | None = None


class ProbabilityTiers(Config):
    """High and medium by calibrated churn probability."""

    kind: Literal["probability"] = "probability"
    high: Share = 0.70
    medium: Share = 0.40

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.medium > self.high:
            raise ValueError("medium must not be above high")
        return self


class CapacityTiers(Config):
    """High is the `high` riskiest accounts, medium the `medium` next: counts (whole, from 1) or shares (below 1)."""

    kind: Literal["capacity"] = "capacity"
    high: Annotated[Number, Field(gt=0)]
    medium: Annotated[Number, Field(gt=0)]

    @model_validator(mode="after")
    def _same_unit(self) -> Self:
        if (self.high < 1) != (self.medium < 1):
            raise ValueError("give both high and medium as counts, or both as shares below 1")
        if self.high >= 1 and (self.high % 1 or self.medium % 1):
            raise ValueError("counts are whole numbers")
        if self.high < 1 and self.high + self.medium > 1:
            raise ValueError("the shares of high and medium together are above 1")
        return self


class RelativeTiers(Config):
    """High and medium as multiples of the churn rate of the development rows."""

    kind: Literal["relative"] = "relative"
    high: Annotated[Number, Field(gt=0)] = 3.0
    medium: Annotated[Number, Field(gt=0)] = 1.5

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.medium > self.high:
            raise ValueError("medium must not be above high")
        return self


Tiers = Annotated[ProbabilityTiers | CapacityTiers | RelativeTiers, Field(discriminator="kind")]


class ScoringConfig(Config):
    """How scores become tiers and reasons."""

    section = "scoring"

    tiers: Tiers = ProbabilityTiers()
    n_reasons: Annotated[Whole, Field(ge=0, le=20)] = 3
    chunk_size: Annotated[Whole, Field(ge=100, le=200_000)] = 100_000  # reasons cost seconds a chunk, of any size


class MonitoringConfig(Config):
    """When drift and decay become a warning."""

    section = "monitoring"

    psi_warning: Annotated[Number, Field(gt=0)] = 0.1  # Siddiqi 2006, credit-scoring convention
    psi_critical: Annotated[Number, Field(gt=0)] = 0.25  # Siddiqi 2006
    min_sample: Annotated[Whole, Field(ge=20)] = 200
    false_discovery_rate: Annotated[Number, Field(gt=0, lt=0.5)] = 0.05
    auc_drop_warning: Annotated[Number, Field(gt=0, lt=0.5)] = 0.03
    auc_drop_critical: Annotated[Number, Field(gt=0, lt=0.5)] = 0.08
    calibration_mean_warning: Annotated[Number, Field(gt=0, lt=1)] = 0.03

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.psi_critical < self.psi_warning or self.auc_drop_critical < self.auc_drop_warning:
            raise ValueError("a critical limit must not be below its warning limit")
        return self


CONFIGS: tuple[type[Config], ...] = (ModelConfig, TrainingConfig, EvaluationConfig, ScoringConfig, MonitoringConfig)
