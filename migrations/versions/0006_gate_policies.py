"""Documents of the gate's policy; curves of an evaluation"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "gate_policies",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=True),
        sa.Column("evaluation", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_gate_policies_dataset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gate_policies")),
    )
    op.create_index(op.f("ix_gate_policies_dataset_id_id"), "gate_policies", ["dataset_id", "id"])
    op.add_column("evaluations", sa.Column("curves", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("evaluations", "curves")
    op.drop_table("gate_policies")
