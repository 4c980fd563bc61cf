"""Which kind of model is fitted, and with which parameters."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from app.schemas.config.base import Config, Whole

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

    model_type: ModelType = Field(
        default=ModelType.XGBOOST,
        description="`blend` adds a booster, a shallow one and logistic regression; `auto` compares all kinds in the "
        "same folds and takes the simplest within one standard error of the best.",
    )
    xgboost_params: dict[str, Any] = Field(default_factory=dict, description="As XGBoost names them.")
    lightgbm_params: dict[str, Any] = Field(default_factory=dict, description="As XGBoost or LightGBM name them.")
    logistic_params: dict[str, Any] = Field(default_factory=dict, description="`C` (null: tuned) and `max_iter`.")
    random_forest_params: dict[str, Any] = Field(
        default_factory=dict,
        description="`n_estimators`, `max_depth`, `min_samples_leaf`, `subsample`, `max_features` (both shares).",
    )
    mlp_params: dict[str, Any] = Field(
        default_factory=dict, description="`hidden_units`, `n_epochs`, `learning_rate`, `batch_size`, `alpha`."
    )
    blend_params: dict[str, Any] = Field(
        default_factory=dict,
        description="`booster` (xgboost or lightgbm), `shallow_max_depth`, `shallow_n_estimators`, "
        "`shallow_learning_rate`. Its booster, and its logistic regression, also take their own parameters.",
    )
    seed: Annotated[Whole, Field(ge=0, le=2**31 - 1)] = Field(
        default=42, description="Of all that is random in the fit: the same seed gives the same bundle."
    )

    def params(self, model_type: ModelType | None = None) -> dict[str, Any]:
        """The effective parameters of `model_type` (by default the configured one)."""
        kind = model_type or self.model_type
        own: dict[str, Any] = getattr(self, f"{kind.value}_params", {})  # auto has none of its own
        return {**_DEFAULTS[kind], **own}
