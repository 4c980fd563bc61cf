"""What the registry of versions takes and answers."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from app.schemas.common import BIGINT_MAX, BodyIn, BodyOut, Explanations
from app.schemas.promotions import Stage

Role = Literal["primary", "baseline"]
_SINCE = "Null in trainings of earlier releases."
Description = Annotated[str, Field(min_length=1, max_length=2000, description="What this version is, in words.")]


class RegisterIn(BodyIn):
    """Make a model of a finished training a version."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"job_id": 1, "model": "primary", "description": "weekly model"}]}
    )

    job_id: Annotated[int, Field(strict=True, ge=1, le=BIGINT_MAX, description="The training's job.")]
    model: Role = Field(default="primary", description="The model asked for, or its baseline.")
    description: Description | None = None


class VerdictOut(BodyOut):
    """The newest evaluation that counts, in short."""

    evaluation_id: int
    recommendation: Literal["promote", "hold", "reject"]
    provisional: bool
    rule: str
    champion_version: int | None = Field(description="What it was compared with.")
    roc_auc: float | None = Field(description="On the rows it was judged on.")
    roc_auc_interval: tuple[float, float] | None
    created_at: datetime


class StagePeriodOut(BodyOut):
    """A time that a version was in a stage."""

    stage: Stage
    since: datetime
    until: datetime | None = Field(description="Null while it is there.")
    promotion_id: int = Field(description="The entry of the ledger that brought it there.")
    action: Literal["promote", "rollback"]
    forced: bool
    provisional: bool
    actor: str
    reason: str | None


class VersionOut(BodyOut):
    """A version: what it is, where it stands, how good it was."""

    version: int
    dataset: str
    stage: Stage | None = Field(description="Production (the champion), Staging (the challenger), or neither.")
    provisional: bool = Field(description="It is the champion on an estimate that too few churners stand behind.")
    confirmed: bool | None = Field(
        description="Of a provisional champion: whether its newest verdict since, on outcomes that have matured, "
        "promotes it without the proviso; null until there is one."
    )
    model_type: str
    explanations: Explanations
    role: Role
    description: str | None
    verdict: VerdictOut | None
    test_roc_auc: float | None
    test_pr_auc: float | None
    validation_roc_auc: float | None
    mean_fold_roc_auc: float | None
    revision: int
    job_id: int
    experiment: str
    mlflow_run: str | None
    mlflow_name: str
    mlflow_version: str | None = Field(description="MLflow's own number; null until a job has told it.")
    bundle_sha256: str
    registered_at: datetime
    registered_by: str
    stages: list[StagePeriodOut] = Field(description="Where it has stood, and when; the newest first.")


class RegisteredOut(VersionOut):
    """A version, and whether this call made it."""

    created: bool
    next: list[str] = Field(description="Calls to make next.")


class VersionDetailOut(VersionOut):
    """A version with everything that went into it and is known of it."""

    parameters: dict[str, Any] = Field(description="The effective parameters of the model.")
    config: dict[str, Any] = Field(description="The effective configs of the training.")
    split: dict[str, Any]
    features: list[dict[str, Any]] = Field(description="Names and kinds, in order.")
    metrics: dict[str, Any] = Field(description="By side, and of each fold.")
    intervals: dict[str, Any] | None = Field(
        description="By side, 95 % intervals of its figures, clustered by account. " + _SINCE
    )
    cross_validation: dict[str, Any] | None = Field(
        description="Mean and standard deviation of each figure over the folds. " + _SINCE
    )
    rolling_origins: dict[str, Any] | None = Field(
        description="In dated data, scores at instants of models that knew only what was known then; else a reason. "
        + _SINCE
    )
    calibration: dict[str, Any] | None = Field(
        description="By side, before and after calibration: line, mean error, Brier score and skill, reliability "
        "table, with 95 % intervals. " + _SINCE
    )
    baselines: list[dict[str, Any]] | None = Field(
        description="Logistic regression, the base rate and the best single rule on the test side, next to the "
        "model where it flags as many accounts, and in words which is better. " + _SINCE
    )
    importances: dict[str, float]
    shap: dict[str, Any] | None
    n_rounds: int
    search: dict[str, Any] | None = Field(description="How the parameters were found, where they were searched for.")
    kind_choice: dict[str, Any] | None = Field(
        description="Where `auto` compared kinds: how each did on held-out rows, and why this one was taken."
    )
    components: list[dict[str, Any]] = Field(description="Of a blend: kind, weight and rounds of each of its models.")
    calibrator: dict[str, Any]
    losses_by_c: dict[str, float] = Field(
        description="Of a logistic regression without a given C: the out-of-fold log-loss under each C that was tried."
    )
    tiers: list[dict[str, Any]]
    tier_warnings: list[dict[str, Any]]
    warnings: list[str]
    development_churn_rate: float
    libraries: dict[str, str]
    recipe_hash: str
    features_hash: str
    data_hash: str
    training_data_hash: str


class Difference(BodyOut):
    """A thing that both versions have, differently."""

    name: str
    a: Any
    b: Any


class MetricRow(BodyOut):
    """A figure on the test side of each version's own revision."""

    name: str
    a: float | None
    b: float | None
    difference: float | None = Field(description="b minus a.")


class PairedMetricRow(MetricRow):
    """A figure of both versions on the same rows; null where one of them has none."""

    interval: tuple[float, float] | None = Field(description="Of the difference, paired, clustered by account.")


class PairedOut(BodyOut):
    """Both versions on the rows that both were judged on, which are fair to both."""

    n: int
    n_churners: int
    n_accounts: int
    confidence: float
    evaluation_a: int
    evaluation_b: int
    revision_a: int
    revision_b: int
    metrics: list[PairedMetricRow]


class CompareRow(BodyOut):
    """A line of the comparison as a table."""

    part: Literal["metric", "paired metric", "parameter", "feature", "data", "tier move", "account"]
    name: str
    a: Any = None
    b: Any = None
    difference: float | None = None
    interval_low: float | None = None
    interval_high: float | None = None


class CompareOut(BodyOut):
    """Two versions of a dataset side by side."""

    a: VersionOut
    b: VersionOut
    metrics: list[MetricRow]
    same_rows: bool = Field(description="Both were judged on the same test rows, so the figures compare.")
    paired: PairedOut | None = Field(description="The figures to compare by: on the same rows, with intervals.")
    paired_missing: str | None = Field(description="Why there are none.")
    parameters: list[Difference]
    features_only_in_a: list[str]
    features_only_in_b: list[str]
    data: list[Difference]
    score_shift: dict[str, Any] | None = Field(
        description="How scores moved between the newest published runs of both on the same rows, how many move from "
        "tier to tier, and those that move furthest; null without such runs."
    )
    next: list[str] = Field(description="Calls that would fill what is null.")

    def rows(self) -> Iterator[CompareRow]:
        """All of it but the two versions themselves as one table, for spreadsheets."""
        for metric in self.metrics:
            yield CompareRow(part="metric", **metric.model_dump())
        for paired in self.paired.metrics if self.paired else ():
            low, high = paired.interval or (None, None)
            figures = paired.model_dump(exclude={"interval"})
            yield CompareRow(part="paired metric", interval_low=low, interval_high=high, **figures)
        for each in self.parameters:
            yield CompareRow(part="parameter", **each.model_dump())
        for name in self.features_only_in_a:
            yield CompareRow(part="feature", name=name, a=True, b=False)
        for name in self.features_only_in_b:
            yield CompareRow(part="feature", name=name, a=False, b=True)
        for each in self.data:
            yield CompareRow(part="data", **each.model_dump())
        shift = self.score_shift or {"tier_moves": [], "movers": []}
        for move in shift["tier_moves"]:
            yield CompareRow(part="tier move", name=f"{move['from']} to {move['to']}", b=move["n"])
        for mover in shift["movers"]:
            difference = mover["p_b"] - mover["p_a"]
            name, p_a, p_b = mover["account_id"], mover["p_a"], mover["p_b"]
            yield CompareRow(part="account", name=name, a=p_a, b=p_b, difference=difference)
