"""Facts of events; leaks and the information end of a training"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.drop_constraint(op.f("ck_datasets_kind"), "datasets")
    op.create_check_constraint(op.f("ck_datasets_kind"), "datasets", "kind IN ('snapshots', 'events', 'query')")
    op.add_column("datasets", sa.Column("spec", sa.JSON(), nullable=True))
    op.add_column("revisions", sa.Column("facts", sa.JSON(), nullable=True))
    op.add_column("trainings", sa.Column("information_end", sa.DateTime(timezone=True), nullable=True))
    op.add_column("trainings", sa.Column("leaks", sa.JSON(), server_default="[]", nullable=False))
    op.alter_column("trainings", "leaks", server_default=None)  # for the rows of before only
    op.create_table(
        "fact_tables",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("fact", sa.String(length=20), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("fact IN ('accounts', 'subscriptions', 'events')", name=op.f("ck_fact_tables_fact")),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_fact_tables_dataset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fact_tables")),
    )
    op.create_index(op.f("ix_fact_tables_dataset_id"), "fact_tables", ["dataset_id"])
    op.create_table(
        "fact_uploads",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("fact_table_id", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("revision_id", sa.BigInteger(), nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["fact_table_id"], ["fact_tables.id"], name=op.f("fk_fact_uploads_fact_table_id")),
        sa.ForeignKeyConstraint(["revision_id"], ["revisions.id"], name=op.f("fk_fact_uploads_revision_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fact_uploads")),
        sa.UniqueConstraint("fact_table_id", "sha256", name=op.f("uq_fact_uploads_fact_table_id_sha256")),
    )


def downgrade() -> None:
    op.drop_table("fact_uploads")
    op.drop_table("fact_tables")
    op.drop_column("trainings", "leaks")
    op.drop_column("trainings", "information_end")
    op.drop_column("revisions", "facts")
    op.drop_column("datasets", "spec")
    op.drop_constraint(op.f("ck_datasets_kind"), "datasets")
    op.create_check_constraint(op.f("ck_datasets_kind"), "datasets", "kind IN ('snapshots')")
