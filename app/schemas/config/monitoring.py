"""When drift and decay become a warning."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from app.schemas.config.base import Config, Number, Whole


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
