"""What scoring takes and answers: batches, single scores, the list of accounts by risk."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from app.schemas.common import VERSION_PATTERN, AccountId, BodyIn, BodyOut, Explanations, Name
from app.schemas.config import ScoringConfig

VersionChoice = Annotated[
    str, Field(pattern=VERSION_PATTERN, description="A version's number, or `champion`, `challenger`, `latest`.")
]
TierName = Literal["high", "medium", "low"]
Value = StrictBool | StrictInt | StrictFloat | StrictStr | None
FeatureName = Annotated[str, Field(min_length=1, max_length=200)]

SAMPLE_ACCOUNT = "A0000017"  # of the business of `make demo`: a customer at its end, so it can be scored


class BatchIn(BodyIn):
    """Score every active account of a dataset."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"version": "champion", "scoring": {"tiers": {"kind": "relative"}, "n_reasons": 3}}]
        }
    )

    dataset: Name | None = None
    version: VersionChoice = "champion"
    scoring: ScoringConfig = ScoringConfig()


class Reason(BodyOut):
    """What moved this account's score: a feature, its value, and by how much."""

    feature: str
    value: str | None = Field(description="As people read it; null where missing.")
    contribution: float = Field(description="SHAP value: what it adds to the model's margin before calibration.")
    unit: str = "log-odds"
    text: str = Field(description="The same in plain words.")


class TierOut(BodyOut):
    """One risk tier of a run."""

    tier: TierName
    n: int
    share: float = Field(description="Of all accounts scored, 0..1.")
    from_probability: float | None = Field(description="Accounts at or above this churn probability are in the tier.")
    mean_probability: float | None = Field(description="Mean churn probability, so the churn rate to expect.")
    expected_churners: float = Field(description="The sum of the churn probabilities.")
    share_of_churners: float | None = Field(description="Of all churners to expect, the share in this tier, 0..1.")


class TierWarningOut(BodyOut):
    """What to know of a run; where its tier policy does not choose, two that would: send one as `scoring.tiers`."""

    sentence: str
    alternatives: list[dict[str, Any]]


class RunOut(BodyOut):
    """A scoring run of all active accounts."""

    id: int
    dataset: str
    version: int
    revision: int
    job_id: int | None
    status: Literal["running", "published"]
    current: bool = Field(description="Its version was the champion when it was published.")
    provisional: bool
    as_of: datetime | None = Field(description="The newest instant of the accounts' rows; null in undated data.")
    n_scored: int | None
    tiers: list[TierOut] | None
    warnings: list[TierWarningOut] | None
    scoring: ScoringConfig
    started_at: datetime
    published_at: datetime | None


class ScoreOut(BodyOut):
    """A stored score of one account."""

    account_id: str
    churn_probability: float = Field(description="Calibrated, 0..1.")
    risk_tier: TierName
    reasons: list[Reason]
    explanations: Explanations
    version: int
    run_id: int
    kind: Literal["batch", "online"]
    current: bool
    provisional: bool
    as_of: datetime
    scored_at: datetime


class AccountScoresOut(BodyOut):
    """What was said about an account."""

    account_id: str
    dataset: str
    newest: ScoreOut
    current: ScoreOut | None = Field(description="Its score in the dataset's current run; null where it isn't in it.")
    history: list[ScoreOut] = Field(description="Newest first, single scores included.")


class AccountIn(BodyIn):
    """An account to score, by its features or by what the dataset knows of it."""

    account_id: AccountId
    features: dict[FeatureName, Value] | None = Field(
        default=None,
        max_length=2000,
        description="Values by feature name; those left out are missing. "
        "Without it the account's newest row in the dataset's newest revision is taken.",
    )


class ScoreIn(BodyIn):
    """Accounts to score at once."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"dataset": "saas", "accounts": [{"account_id": SAMPLE_ACCOUNT}]}]}
    )

    dataset: Name | None = None
    version: VersionChoice = "champion"
    accounts: list[AccountIn] = Field(min_length=1, max_length=1000)


class RowProblem(BodyOut):
    """Why one account was not scored."""

    code: Literal[
        "unknown_account", "inactive_account", "churned_account", "unknown_feature", "wrong_type", "rows_do_not_fit"
    ]
    detail: str
    feature: str | None = None


class AccountScoreOut(BodyOut):
    """A single score, or why there is none."""

    account_id: str
    churn_probability: float | None = None
    risk_tier: TierName | None = None
    reasons: list[Reason] = []
    as_of: datetime | None = None
    revision: int | None = Field(default=None, description="Where the features came from; null where they were given.")
    problem: RowProblem | None = None


class TierLimits(BodyOut):
    """The cut-offs single scores were given their tier by."""

    high: float
    medium: float
    source: str = Field(description="`policy`, `run <id>` (capacity: the newest current run's) or `default`.")


class ScoresOut(BodyOut):
    """Single scores, in the order of the request."""

    dataset: str
    version: int
    provisional: bool
    run_id: int | None = Field(description="Where they are stored; null where no account could be scored.")
    scored_at: datetime
    tiers: TierLimits
    explanations: Explanations
    scores: list[AccountScoreOut]


class FeatureOut(BodyOut):
    """A feature a version reads."""

    name: str
    kind: Literal["numeric", "boolean", "categorical"]
    levels: list[str] | None = Field(description="Levels known at training; others are taken as unseen.")
    minimum: float | None = Field(description="Smallest value in the newest revision.")
    maximum: float | None
    missing_share: float | None = Field(description="Of the newest revision's rows, 0..1.")


class ScoreSchemaOut(BodyOut):
    """What `POST /score` can be given for a version; everything may be left out."""

    dataset: str
    version: int
    features: list[FeatureOut]
