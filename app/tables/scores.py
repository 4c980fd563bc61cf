"""What a version said of accounts, what they did, and what was made of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, Sequence, String, select, text
from sqlalchemy.orm import Mapped, column_property, mapped_column

from app.tables.base import Table, identity, now, one_of
from app.tables.models import TrainedModel, Version

PREDICTION_IDS = Sequence("prediction_ids", metadata=Table.metadata)


class ScoringRun(Table):
    """One scoring of a dataset by a version; readers see it once `published_at` is set."""

    __tablename__ = "scoring_runs"
    __table_args__ = (
        one_of("kind", "batch", "online"),
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

    id: Mapped[int] = identity()
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
    started_at: Mapped[datetime] = now()
    published_at: Mapped[datetime | None]
    model_type: Mapped[str] = column_property(  # read with the run; it has no column of its own
        select(TrainedModel.model_type)
        .join(Version, Version.trained_model_id == TrainedModel.id)
        .where(Version.version == version.column)  # type: ignore[attr-defined]  # here still a MappedColumn
        .correlate_except(TrainedModel, Version)
        .scalar_subquery()
    )


class Prediction(Table):
    """A stored score; partitioned by run, each partition a table `data.predictions_<run_id>`."""

    __tablename__ = "predictions"
    __table_args__ = (
        one_of("risk_tier", "high", "medium", "low"),
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

    id: Mapped[int] = identity()
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    account_id: Mapped[str]
    churned: Mapped[bool]
    observed_at: Mapped[datetime]
    reported_at: Mapped[datetime] = now()
    reported_by: Mapped[str]


class MonitoringLog(Table):
    """A saved monitor verdict."""

    __tablename__ = "monitoring_log"
    __table_args__ = (one_of("health_status", "healthy", "warning", "critical", "insufficient"),)

    id: Mapped[int] = identity()
    report_date: Mapped[datetime] = now()
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
