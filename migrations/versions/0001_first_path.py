"""Everything the first path needs"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


CURRENT_SCORES = """
CREATE VIEW current_scores AS
SELECT runs.dataset_id, runs.provisional, predictions.*
FROM predictions
JOIN scoring_runs AS runs ON runs.id = predictions.run_id
WHERE runs.id IN (
    SELECT DISTINCT ON (dataset_id) id
    FROM scoring_runs
    WHERE kind = 'batch' AND current AND published_at IS NOT NULL
    ORDER BY dataset_id, published_at DESC, id DESC
)
"""


def upgrade() -> None:
    op.execute("CREATE SCHEMA IF NOT EXISTS data")
    op.execute("CREATE SCHEMA IF NOT EXISTS mlflow")
    op.execute("CREATE SEQUENCE version_numbers AS integer")
    op.execute("CREATE SEQUENCE prediction_ids")
    op.create_table(
        "bundles",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_bundles")),
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("id_column", sa.Text(), nullable=False),
        sa.Column("label_column", sa.Text(), nullable=False),
        sa.Column("positive_value", sa.Text(), nullable=False),
        sa.Column("as_of_column", sa.Text(), nullable=True),
        sa.Column("horizon_days", sa.Integer(), nullable=True),
        sa.Column("lead_days", sa.Integer(), server_default="0", nullable=False),
        sa.Column("grace_days", sa.Integer(), server_default="0", nullable=False),
        sa.Column("exclude_columns", sa.JSON(), nullable=False),
        sa.Column("source_table", sa.Text(), nullable=True),
        sa.Column("defaults", sa.JSON(), nullable=False),
        sa.Column("split_seed", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('snapshots')", name=op.f("ck_datasets_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
        sa.UniqueConstraint("name", name=op.f("uq_datasets_name")),
    )
    op.create_table(
        "predictions",
        sa.Column("run_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "id",
            sa.BigInteger(),
            server_default=sa.text("nextval('prediction_ids')"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("churn_probability", sa.Double(), nullable=False),
        sa.Column("risk_tier", sa.String(length=20), nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("scored_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.CheckConstraint("risk_tier IN ('high', 'medium', 'low')", name=op.f("ck_predictions_risk_tier")),
        sa.CheckConstraint(
            "churn_probability >= 0 AND churn_probability <= 1", name=op.f("ck_predictions_churn_probability")
        ),
        sa.PrimaryKeyConstraint("run_id", "id", name=op.f("pk_predictions")),
        postgresql_partition_by="LIST (run_id)",
    )
    op.create_index(op.f("ix_predictions_account_id"), "predictions", ["account_id"], unique=False)
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=True),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=20), server_default="queued", nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("progress", sa.Double(), server_default="0", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("problem", sa.JSON(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name=op.f("ck_jobs_status")
        ),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_jobs_dataset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_dataset_id_id"), "jobs", ["dataset_id", "id"], unique=False)
    op.create_index(op.f("ix_jobs_kind_id"), "jobs", ["kind", "id"], unique=False)
    op.create_index(op.f("ix_jobs_status_id"), "jobs", ["status", "id"], unique=False)
    op.create_table(
        "outcomes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("churned", sa.Boolean(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("reported_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_outcomes_dataset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcomes")),
    )
    op.create_index(
        op.f("ix_outcomes_dataset_id_account_id_id"), "outcomes", ["dataset_id", "account_id", "id"], unique=False
    )
    op.create_table(
        "parts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.Column("data_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_parts_dataset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parts")),
    )
    op.create_table(
        "revisions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data_hash", sa.String(length=64), nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.Column("n_accounts", sa.BigInteger(), nullable=False),
        sa.Column("n_labelled", sa.BigInteger(), nullable=False),
        sa.Column("n_churned", sa.BigInteger(), nullable=False),
        sa.Column("instants", sa.JSON(), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_revisions_dataset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revisions")),
        sa.UniqueConstraint("dataset_id", "number", name=op.f("uq_revisions_dataset_id_number")),
    )
    op.create_table(
        "sides",
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("side", sa.String(length=10), nullable=False),
        sa.CheckConstraint("side IN ('train', 'validation', 'test')", name=op.f("ck_sides_side")),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_sides_dataset_id")),
        sa.PrimaryKeyConstraint("dataset_id", "account_id", name=op.f("pk_sides")),
    )
    op.create_table(
        "revision_parts",
        sa.Column("revision_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("part_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["part_id"], ["parts.id"], name=op.f("fk_revision_parts_part_id")),
        sa.ForeignKeyConstraint(["revision_id"], ["revisions.id"], name=op.f("fk_revision_parts_revision_id")),
        sa.PrimaryKeyConstraint("revision_id", "position", name=op.f("pk_revision_parts")),
    )
    op.create_table(
        "trainings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("revision_id", sa.BigInteger(), nullable=False),
        sa.Column("mlflow_run", sa.Text(), nullable=True),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("split", sa.JSON(), nullable=False),
        sa.Column("data_hash", sa.String(length=64), nullable=False),
        sa.Column("features_hash", sa.String(length=64), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_trainings_dataset_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_trainings_job_id")),
        sa.ForeignKeyConstraint(["revision_id"], ["revisions.id"], name=op.f("fk_trainings_revision_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trainings")),
        sa.UniqueConstraint("job_id", name=op.f("uq_trainings_job_id")),
    )
    op.create_index(op.f("ix_trainings_dataset_id"), "trainings", ["dataset_id"], unique=False)
    op.create_table(
        "trained_models",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("training_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("model_type", sa.String(length=20), nullable=False),
        sa.Column("recipe_hash", sa.String(length=64), nullable=False),
        sa.Column("bundle_sha256", sa.String(length=64), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("reference_scores", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("role IN ('primary', 'baseline')", name=op.f("ck_trained_models_role")),
        sa.ForeignKeyConstraint(["bundle_sha256"], ["bundles.sha256"], name=op.f("fk_trained_models_bundle_sha256")),
        sa.ForeignKeyConstraint(["training_id"], ["trainings.id"], name=op.f("fk_trained_models_training_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trained_models")),
        sa.UniqueConstraint("training_id", "role", name=op.f("uq_trained_models_training_id_role")),
    )
    op.create_table(
        "versions",
        sa.Column(
            "version",
            sa.Integer(),
            server_default=sa.text("nextval('version_numbers')"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("trained_model_id", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("mlflow_name", sa.Text(), nullable=False),
        sa.Column("mlflow_version", sa.Text(), nullable=True),
        sa.Column("registered_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("registered_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_versions_dataset_id")),
        sa.ForeignKeyConstraint(["trained_model_id"], ["trained_models.id"], name=op.f("fk_versions_trained_model_id")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_versions")),
        sa.UniqueConstraint("trained_model_id", name=op.f("uq_versions_trained_model_id")),
    )
    op.create_index(op.f("ix_versions_dataset_id"), "versions", ["dataset_id"], unique=False)
    op.create_table(
        "evaluations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("revision_id", sa.BigInteger(), nullable=False),
        sa.Column("bundle_sha256", sa.String(length=64), nullable=False),
        sa.Column("champion_version", sa.Integer(), nullable=True),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("advisory", sa.Boolean(), nullable=False),
        sa.Column("rule", sa.String(length=20), nullable=False),
        sa.Column("recommendation", sa.String(length=10), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("judgement", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "recommendation IN ('promote', 'hold', 'reject')", name=op.f("ck_evaluations_recommendation")
        ),
        sa.ForeignKeyConstraint(
            ["champion_version"], ["versions.version"], name=op.f("fk_evaluations_champion_version")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_evaluations_job_id")),
        sa.ForeignKeyConstraint(["revision_id"], ["revisions.id"], name=op.f("fk_evaluations_revision_id")),
        sa.ForeignKeyConstraint(["version"], ["versions.version"], name=op.f("fk_evaluations_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluations")),
        sa.UniqueConstraint("job_id", name=op.f("uq_evaluations_job_id")),
    )
    op.create_index(op.f("ix_evaluations_version_id"), "evaluations", ["version", "id"], unique=False)
    op.create_table(
        "scoring_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("revision_id", sa.BigInteger(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=True),
        sa.Column("month", sa.String(length=7), nullable=True),
        sa.Column("current", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("provisional", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("n_scored", sa.BigInteger(), nullable=True),
        sa.Column("tiers", sa.JSON(), nullable=True),
        sa.Column("warnings", sa.JSON(), nullable=True),
        sa.Column("feature_counts", sa.JSON(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('batch', 'online')", name=op.f("ck_scoring_runs_kind")),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_scoring_runs_dataset_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_scoring_runs_job_id")),
        sa.ForeignKeyConstraint(["revision_id"], ["revisions.id"], name=op.f("fk_scoring_runs_revision_id")),
        sa.ForeignKeyConstraint(["version"], ["versions.version"], name=op.f("fk_scoring_runs_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scoring_runs")),
        sa.UniqueConstraint("job_id", name=op.f("uq_scoring_runs_job_id")),
    )
    op.create_index(
        op.f("ix_scoring_runs_dataset_id_published_at"), "scoring_runs", ["dataset_id", "published_at"], unique=False
    )
    op.create_index(
        "uq_scoring_runs_online_month",
        "scoring_runs",
        ["dataset_id", "version", "month", "provisional"],
        unique=True,
        postgresql_where=sa.text("kind = 'online'"),
    )
    op.create_table(
        "monitoring_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("report_date", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("health_status", sa.String(length=20), nullable=False),
        sa.Column("n_drifted_features", sa.Integer(), nullable=False),
        sa.Column("n_critical_features", sa.Integer(), nullable=False),
        sa.Column("prediction_drift_score", sa.Double(), nullable=True),
        sa.Column("performance_degradation", sa.Double(), nullable=True),
        sa.Column("recommended_actions", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "health_status IN ('healthy', 'warning', 'critical', 'insufficient')",
            name=op.f("ck_monitoring_log_health_status"),
        ),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_monitoring_log_dataset_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_monitoring_log_job_id")),
        sa.ForeignKeyConstraint(["run_id"], ["scoring_runs.id"], name=op.f("fk_monitoring_log_run_id")),
        sa.ForeignKeyConstraint(["version"], ["versions.version"], name=op.f("fk_monitoring_log_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_monitoring_log")),
        sa.UniqueConstraint("job_id", name=op.f("uq_monitoring_log_job_id")),
    )
    op.create_index(op.f("ix_monitoring_log_dataset_id"), "monitoring_log", ["dataset_id"], unique=False)
    op.create_table(
        "promotions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.String(length=20), nullable=False),
        sa.Column("action", sa.String(length=10), nullable=False),
        sa.Column("from_version", sa.Integer(), nullable=True),
        sa.Column("to_version", sa.Integer(), nullable=False),
        sa.Column("anchor_version", sa.Integer(), nullable=True),
        sa.Column("evaluation_id", sa.BigInteger(), nullable=True),
        sa.Column("rule", sa.String(length=20), nullable=True),
        sa.Column("forced", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("provisional", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("action IN ('promote', 'rollback')", name=op.f("ck_promotions_action")),
        sa.CheckConstraint("stage IN ('Production', 'Staging')", name=op.f("ck_promotions_stage")),
        sa.ForeignKeyConstraint(["anchor_version"], ["versions.version"], name=op.f("fk_promotions_anchor_version")),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_promotions_dataset_id")),
        sa.ForeignKeyConstraint(["evaluation_id"], ["evaluations.id"], name=op.f("fk_promotions_evaluation_id")),
        sa.ForeignKeyConstraint(["from_version"], ["versions.version"], name=op.f("fk_promotions_from_version")),
        sa.ForeignKeyConstraint(["to_version"], ["versions.version"], name=op.f("fk_promotions_to_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotions")),
    )
    op.create_index(
        op.f("ix_promotions_dataset_id_stage_id"), "promotions", ["dataset_id", "stage", "id"], unique=False
    )
    op.execute(CURRENT_SCORES)


def downgrade() -> None:
    op.execute("DROP VIEW current_scores")
    op.drop_index(op.f("ix_promotions_dataset_id_stage_id"), table_name="promotions")
    op.drop_table("promotions")
    op.drop_index(op.f("ix_monitoring_log_dataset_id"), table_name="monitoring_log")
    op.drop_table("monitoring_log")
    op.drop_index(
        "uq_scoring_runs_online_month", table_name="scoring_runs", postgresql_where=sa.text("kind = 'online'")
    )
    op.drop_index(op.f("ix_scoring_runs_dataset_id_published_at"), table_name="scoring_runs")
    op.drop_table("scoring_runs")
    op.drop_index(op.f("ix_evaluations_version_id"), table_name="evaluations")
    op.drop_table("evaluations")
    op.drop_index(op.f("ix_versions_dataset_id"), table_name="versions")
    op.drop_table("versions")
    op.drop_table("trained_models")
    op.drop_index(op.f("ix_trainings_dataset_id"), table_name="trainings")
    op.drop_table("trainings")
    op.drop_table("revision_parts")
    op.drop_table("sides")
    op.drop_table("revisions")
    op.drop_table("parts")
    op.drop_index(op.f("ix_outcomes_dataset_id_account_id_id"), table_name="outcomes")
    op.drop_table("outcomes")
    op.drop_index(op.f("ix_jobs_status_id"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_kind_id"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_dataset_id_id"), table_name="jobs")
    op.drop_table("jobs")
    op.drop_table("workers")
    op.drop_index(op.f("ix_predictions_account_id"), table_name="predictions")
    op.drop_table("predictions")
    op.drop_table("datasets")
    op.drop_table("bundles")
    op.execute("DROP SEQUENCE prediction_ids")
    op.execute("DROP SEQUENCE version_numbers")
    op.execute("DROP SCHEMA data CASCADE")
    op.execute("DROP SCHEMA mlflow CASCADE")
