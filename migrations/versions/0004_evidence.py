"""The evidence of evaluations"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "evidence",
        sa.Column("evaluation_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("churner_keys", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["evaluation_id"], ["evaluations.id"], name=op.f("fk_evidence_evaluation_id")),
        sa.PrimaryKeyConstraint("evaluation_id", name=op.f("pk_evidence")),
    )


def downgrade() -> None:
    op.drop_table("evidence")
