"""What a search for parameters has tried."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.tables.base import Table, now, one_of


class SearchTrial(Table):
    """One trial of a training's search, written as it ends, so that another attempt at the job goes on from it."""

    __tablename__ = "search_trials"
    __table_args__ = (one_of("state", "complete", "pruned", "failed"),)

    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)  # 0 is the config as asked
    params: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(10))
    log_loss: Mapped[float | None]
    fold_losses: Mapped[list[Any]]
    n_rounds: Mapped[int | None] = mapped_column(Integer)
    seconds: Mapped[float]
    rows_hash: Mapped[str] = mapped_column(String(64))  # of the rows it was tried on
    error: Mapped[str | None]
    created_at: Mapped[datetime] = now()
