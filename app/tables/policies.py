"""The documents of the gate's policy."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.tables.base import Table, identity, now


class GatePolicy(Table):
    """A version of the gate's policy, of one dataset or of all that have none of their own; only ever appended to."""

    __tablename__ = "gate_policies"
    __table_args__ = (Index(None, "dataset_id", "id"),)

    id: Mapped[int] = identity()  # its number: over all datasets, so that a number means one document
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("datasets.id"))
    evaluation: Mapped[dict[str, Any]]
    reason: Mapped[str]
    actor: Mapped[str]
    created_at: Mapped[datetime] = now()
