"""The bar of the gate."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

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

    features: list[FeatureName] = Field(min_length=1, max_length=10, description="Features that part the rows.")
    min_auc: Share = Field(default=0.6, description="Asked for in each segment.")
    max_mean_error: Share = Field(
        default=0.05, description="Mean probability against churn rate, as a share of 1; or its own error, if larger."
    )


class ListStabilityConfig(Config):
    """Ask that the accounts on production's list mostly stay on it."""

    cutoff: Cutoff = Field(default=TopShareCut(value=0.1), description="Who is on the list.")
    min_stay: Share = Field(default=0.5, description="Share of production's list that must stay.")


class LeakSuspicionConfig(Config):
    """Ask that the probes suspect no leak, and that no single feature has nearly all importance."""

    max_importance_share: Share = Field(default=0.8, description="Of all importance, for the leading feature.")


class EvaluationConfig(Config):
    """The bar of the gate; what it means is in the documentation of each check."""

    section = "evaluation"

    min_auc: Share = Field(default=0.70, description="The lower end of the interval must reach it.")
    min_precision: Share | None = Field(default=None, description="At `cutoff`; null asks for none.")
    min_recall: Share | None = Field(default=None, description="At `cutoff`; null asks for none.")
    cutoff: Cutoff = Field(
        default=TopShareCut(),
        description="Who is flagged, for precision and recall; by default as many as churned in the development rows.",
    )
    min_improvement_over_baseline: Annotated[Number, Field(ge=-1, le=1)] = Field(
        default=0.0, description="In AUC, over logistic regression on the same rows."
    )
    min_improvement_over_production: Annotated[Number, Field(ge=-1, le=1)] = Field(
        default=0.0, description="In AUC, over the champion on rows fair to both; asked for by the rule `better`."
    )
    not_worse_margin: Annotated[Number, Field(ge=0, le=0.5)] = Field(
        default=0.01, description="AUC below the champion that `not_worse` and `no_harm` let pass."
    )
    promotion_rule: Literal["better", "not_worse", "no_harm"] | None = Field(
        default=None,
        description="Null: `not_worse` where recipe and features are the champion's, else `better`. "
        "`no_harm` is weak evidence, and counts only where the policy sets it.",
    )
    min_calibration_slope: Annotated[Number, Field(gt=0)] = Field(
        default=0.8, description="Of the recalibration line; 1 is right, below 1 the probabilities are too extreme."
    )
    max_calibration_slope: Annotated[Number, Field(gt=0)] = Field(
        default=1.25, description="Above 1 the probabilities are too timid."
    )
    max_calibration_mean_error: Share = Field(
        default=0.01, description="Mean probability less churn rate: .01 is one point; or its own error, if larger."
    )
    max_score_psi: Annotated[Number, Field(gt=0)] = Field(
        default=0.25, description="Population stability index of today's scores against those of the training."
    )
    min_rank_agreement: Annotated[Number, Field(ge=-1, le=1)] = Field(
        default=0.6, description="Of the leading features across the folds; 1 is the same order in all."
    )
    n_top_features: Annotated[Whole, Field(ge=2, le=100)] = Field(
        default=10, description="Leading features whose order is compared."
    )
    confidence: Annotated[Number, Field(ge=0.5, le=0.9999)] = Field(
        default=0.95, description="Of the intervals that must pass, at the first look at a test side; each look adds."
    )
    evidence: Literal["auto", "test_side"] = Field(
        default="auto",
        description="`auto`: the recipe is refitted in folds where the test side has under 200 churners.",
    )
    profit: ProfitConfig | None = Field(
        default=None, description="Assumptions of the profit curve, and of a check where `require` is given."
    )
    segments: SegmentsConfig | None = Field(default=None, description="Turns the check `weak_segments` on.")
    list_stability: ListStabilityConfig | None = Field(default=None, description="Turns the check `list_stability` on.")
    leak_suspicion: LeakSuspicionConfig | None = Field(default=None, description="Turns the check `leak_suspicion` on.")


def require_passable(bar: EvaluationConfig) -> EvaluationConfig:
    """Refuse a bar that no model could pass; apart from the model: layers are partial, and old documents are read."""
    if bar.min_calibration_slope > bar.max_calibration_slope:
        raise ValueError("min_calibration_slope must not be above max_calibration_slope: no model could pass")
    return bar


WholeBar = Annotated[EvaluationConfig, AfterValidator(require_passable)]
