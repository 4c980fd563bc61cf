"""What the registry of versions takes and answers."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from app.schemas.common import BIGINT_MAX, BodyIn, BodyOut, Explanations
from app.schemas.promotions import Stage

Role = Literal["primary", "baseline"]
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
    created_at: datetime


class VersionOut(BodyOut):
    """A version: what it is, where it stands, how good it was."""

    version: int
    dataset: str
    stage: Stage | None = Field(description="Production (the champion), Staging (the challenger), or neither.")
    provisional: bool = Field(description="It is the champion on an estimate that too few churners stand behind.")
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
    importances: dict[str, float]
    shap: dict[str, Any] | None
    n_rounds: int
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


class CompareOut(BodyOut):
    """Two versions of a dataset side by side."""

    a: VersionOut
    b: VersionOut
    metrics: list[MetricRow]
    same_rows: bool = Field(description="Both were judged on the same test rows, so the figures compare.")
    parameters: list[Difference]
    features_only_in_a: list[str]
    features_only_in_b: list[str]
    data: list[Difference]
    score_shift: dict[str, Any] | None = Field(
        description="How scores moved between the newest published runs of both on the same rows; null without them."
    )
    next: list[str] = Field(description="Calls that would fill what is null.")
