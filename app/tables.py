"""The whole schema: one class per table; timestamps are timestamptz in UTC, filled by the database's clock."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    String,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {
        datetime: DateTime(timezone=True),
        str: Text,
        int: BigInteger,
        float: Double,
        bytes: LargeBinary,
        dict[str, Any]: JSON,  # not jsonb: an answer keeps the order its author gave it
        list[Any]: JSON,
    }


VERSIONS = Sequence("version_numbers", metadata=Table.metadata)
PREDICTION_IDS = Sequence("prediction_ids", metadata=Table.metadata)


def _identity() -> Mapped[int]:
    return mapped_column(BigInteger, Identity(), primary_key=True)


def _now() -> Mapped[datetime]:
    return mapped_column(server_default=func.now())


def _one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class Dataset(Table):
    """A named source of features and labels."""

    __tablename__ = "datasets"
    __table_args__ = (_one_of("kind", "snapshots"),)

    id: Mapped[int] = _identity()
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    id_column: Mapped[str]
    label_column: Mapped[str]
    positive_value: Mapped[str]
    as_of_column: Mapped[str | None]
    horizon_days: Mapped[int | None] = mapped_column(Integer)
    lead_days: Mapped[int] = mapped_column(Integer, server_default="0")
    grace_days: Mapped[int] = mapped_column(Integer, server_default="0")
    exclude_columns: Mapped[list[Any]] = mapped_column(default=list)
    source_table: Mapped[str | None]
    defaults: Mapped[dict[str, Any]] = mapped_column(default=dict)
    split_seed: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = _now()
    created_by: Mapped[str]


class Revision(Table):
    """An immutable state of a dataset's rows: an ordered list of parts."""

    __tablename__ = "revisions"
    __table_args__ = (UniqueConstraint("dataset_id", "number"),)

    id: Mapped[int] = _identity()
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    number: Mapped[int] = mapped_column(Integer)
    data_hash: Mapped[str] = mapped_column(String(64))
    n_rows: Mapped[int]
    n_accounts: Mapped[int]
    n_labelled: Mapped[int]
    n_churned: Mapped[int]
    instants: Mapped[list[Any]] = mapped_column(default=list)
    columns: Mapped[list[Any]]
    created_at: Mapped[datetime] = _now()
    created_by: Mapped[str]


class Part(Table):
    """One upload (or copy of a source table): a table `data.part_<id>`, never changed after it was filled."""

    __tablename__ = "parts"

    id: Mapped[int] = _identity()
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    n_rows: Mapped[int]
    data_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = _now()


class RevisionPart(Table):
    """Which parts make a revision; a row of a later position replaces an earlier one."""

    __tablename__ = "revision_parts"

    revision_id: Mapped[int] = mapped_column(ForeignKey("revisions.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    part_id: Mapped[int] = mapped_column(ForeignKey("parts.id"))


class Side(Table):
    """The side of the random split an account was dealt to, for ever."""

    __tablename__ = "sides"
    __table_args__ = (_one_of("side", "train", "validation", "test"),)

    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(primary_key=True)
    side: Mapped[str] = mapped_column(String(10))


class Job(Table):
    """Long work: its request, state and result; the queue carries only the id."""

    __tablename__ = "jobs"
    __table_args__ = (
        _one_of("status", "queued", "running", "succeeded", "failed", "cancelled"),
        Index(None, "status", "id"),
        Index(None, "kind", "id"),
        Index(None, "dataset_id", "id"),
    )

    id: Mapped[int] = _identity()
    kind: Mapped[str] = mapped_column(String(30))
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("datasets.id"))
    params: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(20), server_default="queued")
    step: Mapped[str | None]
    progress: Mapped[float] = mapped_column(server_default="0")
    attempt: Mapped[int] = mapped_column(Integer, server_default="0")
    cancel_requested: Mapped[bool] = mapped_column(Boolean, server_default="false")
    result: Mapped[dict[str, Any] | None]
    problem: Mapped[dict[str, Any] | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = _now()
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]


class Worker(Table):
    """A worker that is alive while its heartbeat is young."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime] = _now()
    heartbeat_at: Mapped[datetime] = _now()


class Bundle(Table):
    """The bytes of everything needed to score with a model."""

    __tablename__ = "bundles"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    bytes: Mapped[bytes]
    created_at: Mapped[datetime] = _now()


class Training(Table):
    """A finished training: what went in, and where its MLflow run is."""

    __tablename__ = "trainings"

    id: Mapped[int] = _identity()
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), unique=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), index=True)
    revision_id: Mapped[int] = mapped_column(ForeignKey("revisions.id"))
    mlflow_run: Mapped[str | None]
    experiment: Mapped[str]
    config: Mapped[dict[str, Any]]
    split: Mapped[dict[str, Any]]
    data_hash: Mapped[str] = mapped_column(String(64))
    features_hash: Mapped[str] = mapped_column(String(64))
    warnings: Mapped[list[Any]]
    created_at: Mapped[datetime] = _now()


class TrainedModel(Table):
    """One fitted model of a training: the primary one or its baseline."""

    __tablename__ = "trained_models"
    __table_args__ = (UniqueConstraint("training_id", "role"), _one_of("role", "primary", "baseline"))

    id: Mapped[int] = _identity()
    training_id: Mapped[int] = mapped_column(ForeignKey("trainings.id"))
    role: Mapped[str] = mapped_column(String(10))
    model_type: Mapped[str] = mapped_column(String(20))
    recipe_hash: Mapped[str] = mapped_column(String(64))
    bundle_sha256: Mapped[str] = mapped_column(ForeignKey("bundles.sha256"))
    report: Mapped[dict[str, Any]]
    # Sorted out-of-fold probabilities of the profile's rows, as little-endian float32: what the gate measures the
    # scores of the active accounts against.
    reference_scores: Mapped[bytes] = mapped_column(deferred=True)


class Version(Table):
    """A registered model: an integer from one sequence, never reused."""

    __tablename__ = "versions"

    version: Mapped[int] = mapped_column(
        Integer, VERSIONS, server_default=VERSIONS.next_value(), primary_key=True, autoincrement=False
    )
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), index=True)
    trained_model_id: Mapped[int] = mapped_column(ForeignKey("trained_models.id"), unique=True)
    description: Mapped[str | None]
    mlflow_name: Mapped[str]
    mlflow_version: Mapped[str | None]
    registered_at: Mapped[datetime] = _now()
    registered_by: Mapped[str]


class Evaluation(Table):
    """A verdict of the gate on a version, with everything it rests on."""

    __tablename__ = "evaluations"
    __table_args__ = (_one_of("recommendation", "promote", "hold", "reject"), Index(None, "version", "id"))

    id: Mapped[int] = _identity()
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), unique=True)
    version: Mapped[int] = mapped_column(ForeignKey("versions.version"))
    revision_id: Mapped[int] = mapped_column(ForeignKey("revisions.id"))
    bundle_sha256: Mapped[str] = mapped_column(String(64))
    champion_version: Mapped[int | None] = mapped_column(ForeignKey("versions.version"))
    config: Mapped[dict[str, Any]]
    advisory: Mapped[bool]
    rule: Mapped[str] = mapped_column(String(20))
    recommendation: Mapped[str] = mapped_column(String(10))
    provisional: Mapped[bool]
    judgement: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = _now()


class Promotion(Table):
    """The ledger of what was in which stage, and why; only ever appended to."""

    __tablename__ = "promotions"
    __table_args__ = (
        _one_of("stage", "Production", "Staging"),
        _one_of("action", "promote", "rollback"),
        Index(None, "dataset_id", "stage", "id"),
    )

    id: Mapped[int] = _identity()
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    stage: Mapped[str] = mapped_column(String(20))
    action: Mapped[str] = mapped_column(String(10))
    from_version: Mapped[int | None] = mapped_column(ForeignKey("versions.version"))
    to_version: Mapped[int] = mapped_column(ForeignKey("versions.version"))
    anchor_version: Mapped[int | None] = mapped_column(ForeignKey("versions.version"))
    evaluation_id: Mapped[int | None] = mapped_column(ForeignKey("evaluations.id"))
    rule: Mapped[str | None] = mapped_column(String(20))
    forced: Mapped[bool] = mapped_column(server_default="false")
    provisional: Mapped[bool] = mapped_column(server_default="false")
    reason: Mapped[str | None]
    actor: Mapped[str]
    created_at: Mapped[datetime] = _now()


class ScoringRun(Table):
    """One scoring of a dataset by a version; readers see it once `published_at` is set."""

    __tablename__ = "scoring_runs"
    __table_args__ = (
        _one_of("kind", "batch", "online"),
        Index(None, "dataset_id", "published_at"),
        Index(
            "uq_scoring_runs_online_month",
            "dataset_id",
            "version",
            "month",
            "provisional",
            unique=True,
            postgresql_where=text("kind = 'online'"),
        ),
    )

    id: Mapped[int] = _identity()
    kind: Mapped[str] = mapped_column(String(10))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id"), unique=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    version: Mapped[int] = mapped_column(ForeignKey("versions.version"))
    revision_id: Mapped[int] = mapped_column(ForeignKey("revisions.id"))
    as_of: Mapped[datetime | None]
    month: Mapped[str | None] = mapped_column(String(7))
    current: Mapped[bool] = mapped_column(server_default="false")
    provisional: Mapped[bool] = mapped_column(server_default="false")
    config: Mapped[dict[str, Any]]
    n_scored: Mapped[int | None]
    tiers: Mapped[list[Any] | None]
    warnings: Mapped[list[Any] | None]
    feature_counts: Mapped[dict[str, Any] | None]
    started_at: Mapped[datetime] = _now()
    published_at: Mapped[datetime | None]


class Prediction(Table):
    """A stored score; partitioned by run, each partition a table `data.predictions_<run_id>`."""

    __tablename__ = "predictions"
    __table_args__ = (
        _one_of("risk_tier", "high", "medium", "low"),
        CheckConstraint("churn_probability >= 0 AND churn_probability <= 1", name="churn_probability"),
        Index(None, "account_id"),
        {"postgresql_partition_by": "LIST (run_id)"},
    )

    run_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(
        BigInteger, PREDICTION_IDS, server_default=PREDICTION_IDS.next_value(), primary_key=True, autoincrement=False
    )
    account_id: Mapped[str]
    churn_probability: Mapped[float]
    risk_tier: Mapped[str] = mapped_column(String(20))
    model_version: Mapped[int] = mapped_column(Integer)
    scored_at: Mapped[datetime]
    as_of: Mapped[datetime]
    reasons: Mapped[list[Any]]


class Outcome(Table):
    """What an account was reported to have done; the newest report wins, older ones are kept."""

    __tablename__ = "outcomes"
    __table_args__ = (Index(None, "dataset_id", "account_id", "id"),)

    id: Mapped[int] = _identity()
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    account_id: Mapped[str]
    churned: Mapped[bool]
    observed_at: Mapped[datetime]
    reported_at: Mapped[datetime] = _now()
    reported_by: Mapped[str]


class MonitoringLog(Table):
    """A saved monitor verdict."""

    __tablename__ = "monitoring_log"
    __table_args__ = (_one_of("health_status", "healthy", "warning", "critical", "insufficient"),)

    id: Mapped[int] = _identity()
    report_date: Mapped[datetime] = _now()
    health_status: Mapped[str] = mapped_column(String(20))
    n_drifted_features: Mapped[int] = mapped_column(Integer)
    n_critical_features: Mapped[int] = mapped_column(Integer)
    prediction_drift_score: Mapped[float | None]
    performance_degradation: Mapped[float | None]
    recommended_actions: Mapped[str]
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), index=True)
    version: Mapped[int] = mapped_column(ForeignKey("versions.version"))
    run_id: Mapped[int] = mapped_column(ForeignKey("scoring_runs.id"))
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), unique=True)
    report: Mapped[dict[str, Any]]
