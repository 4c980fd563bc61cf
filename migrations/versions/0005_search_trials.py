"""Trials of a search for parameters"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "search_trials",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("log_loss", sa.Double(), nullable=True),
        sa.Column("fold_losses", sa.JSON(), nullable=False),
        sa.Column("n_rounds", sa.Integer(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("rows_hash", sa.String(length=64), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('complete', 'pruned', 'failed')", name=op.f("ck_search_trials_state")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_search_trials_job_id")),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_search_trials")),
    )


def downgrade() -> None:
    op.drop_table("search_trials")
