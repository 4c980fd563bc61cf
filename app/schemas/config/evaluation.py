"""The bar of the gate."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.schemas.config.base import Config, Number, Share, Whole
from app.schemas.config.training import FeatureName

MOST_MONEY = 1e12  # of one account, in any currency; its squares are summed over rows and must stay finite


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

    value_per_account: Annotated[Number, Field(gt=0, le=MOST_MONEY)] = Field(
        description="Lost with an account that churns."
    )
    contact_cost: Annotated[Number, Field(ge=0, le=MOST_MONEY)] = Field(description="Of contacting one account.")
    save_rate: Annotated[Number, Field(gt=0, le=1)] = Field(
        description="Share of those who would churn, and stay because they are contacted."
    )
    capacity: Annotated[Number, Field(gt=0, le=1)] | None = Field(
        default=None, description="Share of the accounts that can be contacted."
    )
    require: Literal["positive", "not_below_production"] | None = Field(
        default=None, description="Makes the profit at capacity a check of the gate."
    )
    max_loss: Annotated[Number, Field(ge=0, le=MOST_MONEY)] = Field(
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
