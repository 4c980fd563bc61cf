"""Jobs and the workers that do them."""

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.tables.base import Table, identity, now, one_of


class Job(Table):
    """Long work: its request, state and result; the queue carries only the id."""

    __tablename__ = "jobs"
    __table_args__ = (
        one_of("status", "queued", "running", "succeeded", "failed", "cancelled"),
        Index(None, "status", "id"),
        Index(None, "kind", "id"),
        Index(None, "dataset_id", "id"),
    )

    id: Mapped[int] = identity()
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
    created_at: Mapped[datetime] = now()
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]


class Worker(Table):
    """A worker that is alive while its heartbeat is young."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime] = now()
    heartbeat_at: Mapped[datetime] = now()
