"""What monitoring takes and answers: checks, drift, outcomes."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, StrictBool

from app.schemas.common import BIGINT_MAX, AccountId, BodyIn, BodyOut, Name
from app.schemas.config import MonitoringConfig, Whole

Health = Literal["healthy", "warning", "critical", "insufficient"]
State = Literal["healthy", "warning", "critical", "significant_below_floor", "insufficient"]


def _refuse_number(value: object) -> object:
    """A number would be read as seconds since 1970, which nobody means."""
    if isinstance(value, str | datetime):
        return value
    raise ValueError("a text such as 2026-01-31T00:00:00Z is needed")


Instant = Annotated[AwareDatetime, BeforeValidator(_refuse_number)]


class MonitorIn(BodyIn):
    """Check the champion: drift, tiers, realised performance."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"save": True}]})

    dataset: Name | None = None
    run: Annotated[Whole, Field(ge=1, le=BIGINT_MAX)] | None = Field(
        default=None, description="A published scoring run; by default the newest one of the champion."
    )
    save: bool = Field(default=False, description="Also write a row in `monitoring_log`.")
    monitoring: MonitoringConfig = MonitoringConfig()


class OutcomeIn(BodyIn):
    """What one account was seen to have done."""

    account_id: AccountId
    churned: StrictBool
    observed_at: Instant = Field(description="When it was seen; with a time zone, not in the future.")


class OutcomesIn(BodyIn):
    """Outcomes, in the order they became known; of two reports the newer wins."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"outcomes": [{"account_id": "A000042", "churned": False, "observed_at": "2026-01-31T00:00:00Z"}]}
            ]
        }
    )

    dataset: Name | None = None
    outcomes: list[OutcomeIn] = Field(min_length=1, max_length=10_000)


class OutcomesOut(BodyOut):
    """What was kept."""

    dataset: str
    n_stored: int
    n_churned: int
    n_unmatched: int = Field(description="Of accounts that were never scored here: kept, and of no effect until then.")


class FeatureDriftOut(BodyOut):
    """How far one feature, or the score, has moved from the version's reference profile."""

    name: str
    state: State
    psi: float = Field(description="Bias-corrected, in nats; about 0 without drift, may be negative.")
    p_value: float
    q_value: float = Field(description="Benjamini-Hochberg over the features.")
    smallest_detectable_psi: float | None = Field(description="Null where only one bin is left to compare.")
    n_bins: int
    missing_before: float
    missing_after: float
    unseen: float = Field(description="Share of accounts with a level that no reference row had.")


class TierShiftOut(BodyOut):
    """A tier of the run against what training promised."""

    tier: Literal["high", "medium", "low"]
    n: int
    share: float
    expected_share: float | None = Field(description="Of the reference scores, under the run's cut-offs.")


class RealisedOut(BodyOut):
    """What came of the accounts one run scored."""

    run_id: int
    published_at: datetime
    n: int = Field(description="Matured accounts whose outcome is known.")
    n_churners: int
    n_immature: int = Field(description="Accounts whose outcome can't be known yet: in no figure.")
    n_unreported: int = Field(description="Matured accounts that nobody has reported on: in no figure.")
    n_known_before: int = Field(
        description="Accounts whose outcome stood in the data as they were scored: in no figure."
    )
    auc: float | None
    auc_interval: tuple[float, float] | None
    auc_at_gate: float | None
    mean_predicted: float | None
    churn_rate: float | None
    calibration_slope: float | None = Field(description="1 is right; below, scores are too extreme.")


class MonitorOut(BodyOut):
    """A verdict on the model in use."""

    job_id: int
    dataset: str
    version: int
    provisional: bool
    run_id: int
    report_date: datetime
    health_status: Health
    drift_status: Health
    performance_status: Health
    n_drifted_features: int
    n_critical_features: int
    prediction_drift_score: float | None
    performance_degradation: float | None = Field(description="AUC at the gate minus realised; null when unknown.")
    recommended_actions: list[str]
    n_reference: int
    n_scored: int
    score_drift: FeatureDriftOut | None
    features: list[FeatureDriftOut]
    tiers: list[TierShiftOut]
    realised: list[RealisedOut] = Field(description="Per run of this version, newest first.")
    judged_run_id: int | None = Field(description="The run whose realised figures gave the performance verdict.")
    saved: bool
    monitoring: MonitoringConfig


class CheckOut(BodyOut):
    """A row of `monitoring_log`."""

    id: int
    report_date: datetime
    health_status: Health
    n_drifted_features: int
    n_critical_features: int
    prediction_drift_score: float | None
    performance_degradation: float | None
    recommended_actions: str
    dataset: str
    version: int
    run_id: int
    job_id: int


class DriftOut(BodyOut):
    """The newest check, feature by feature, the furthest first."""

    job_id: int
    dataset: str
    version: int
    run_id: int
    report_date: datetime
    health_status: Health
    score: FeatureDriftOut | None
    features: list[FeatureDriftOut]
