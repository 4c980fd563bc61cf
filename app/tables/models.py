"""A version's life: training, bundle, registration, verdicts, stages."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, Sequence, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.tables.base import Table, identity, now, one_of

VERSIONS = Sequence("version_numbers", metadata=Table.metadata)


class Bundle(Table):
    """The bytes of everything needed to score with a model."""

    __tablename__ = "bundles"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    bytes: Mapped[bytes]
    created_at: Mapped[datetime] = now()


class Training(Table):
    """A finished training: what went in, and where its MLflow run is."""

    __tablename__ = "trainings"

    id: Mapped[int] = identity()
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), unique=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), index=True)
    revision_id: Mapped[int] = mapped_column(ForeignKey("revisions.id"))
    mlflow_run: Mapped[str | None]
    experiment: Mapped[str]
    config: Mapped[dict[str, Any]]
    split: Mapped[dict[str, Any]]
    information_end: Mapped[datetime | None]  # before it, rows are not fair to what was trained here
    data_hash: Mapped[str] = mapped_column(String(64))
    features_hash: Mapped[str] = mapped_column(String(64))
    warnings: Mapped[list[Any]]
    leaks: Mapped[list[Any]] = mapped_column(default=list)  # what the probes found: see app.ml.leaks
    created_at: Mapped[datetime] = now()


class TrainedModel(Table):
    """One fitted model of a training: the primary one or its baseline."""

    __tablename__ = "trained_models"
    __table_args__ = (UniqueConstraint("training_id", "role"), one_of("role", "primary", "baseline"))

    id: Mapped[int] = identity()
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
    registered_at: Mapped[datetime] = now()
    registered_by: Mapped[str]


class Evaluation(Table):
    """A verdict of the gate on a version, with everything it rests on."""

    __tablename__ = "evaluations"
    __table_args__ = (one_of("recommendation", "promote", "hold", "reject"), Index(None, "version", "id"))

    id: Mapped[int] = identity()
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
    curves: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)  # see app.ml.curves; None: from before these
    created_at: Mapped[datetime] = now()


class StoredEvidence(Table):
    """What an evaluation was judged by, so that it can be judged again; those of before it was kept have none."""

    __tablename__ = "evidence"

    evaluation_id: Mapped[int] = mapped_column(ForeignKey("evaluations.id"), primary_key=True, autoincrement=False)
    content: Mapped[bytes | None] = mapped_column(deferred=True)  # see app.ml.evidence_bytes; None: too many rows
    churner_keys: Mapped[bytes] = mapped_column(deferred=True)  # sorted int64, little-endian


class Promotion(Table):
    """The ledger of what was in which stage, and why; only ever appended to."""

    __tablename__ = "promotions"
    __table_args__ = (
        one_of("stage", "Production", "Staging"),
        one_of("action", "promote", "rollback"),
        Index(None, "dataset_id", "stage", "id"),
    )

    id: Mapped[int] = identity()
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
    created_at: Mapped[datetime] = now()
