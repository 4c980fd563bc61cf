"""How scores become tiers and reasons."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.schemas.config.base import Config, Number, Share, Whole


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
