"""Datasets, the revisions of their rows, and the sides of accounts."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.tables.base import Table, identity, now, one_of


class Dataset(Table):
    """A named source of features and labels."""

    __tablename__ = "datasets"
    __table_args__ = (one_of("kind", "snapshots"),)

    id: Mapped[int] = identity()
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    id_column: Mapped[str]
    label_column: Mapped[str]
    positive_value: Mapped[str]
    as_of_column: Mapped[str | None]
    horizon_days: Mapped[int | None] = mapped_column(Integer)
    lead_days: Mapped[int] = mapped_column(Integer, server_default="0")
    grace_days: Mapped[int] = mapped_column(Integer, server_default="0")
    exclude_columns: Mapped[list[Any]] = mapped_column(default=list)
    source_table: Mapped[str | None]
    defaults: Mapped[dict[str, Any]] = mapped_column(default=dict)
    split_seed: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = now()
    created_by: Mapped[str]


class Revision(Table):
    """An immutable state of a dataset's rows: an ordered list of parts."""

    __tablename__ = "revisions"
    __table_args__ = (UniqueConstraint("dataset_id", "number"),)

    id: Mapped[int] = identity()
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    number: Mapped[int] = mapped_column(Integer)
    data_hash: Mapped[str] = mapped_column(String(64))
    n_rows: Mapped[int]
    n_accounts: Mapped[int]
    n_labelled: Mapped[int]
    n_churned: Mapped[int]
    instants: Mapped[list[Any]] = mapped_column(default=list)
    columns: Mapped[list[Any]]
    created_at: Mapped[datetime] = now()
    created_by: Mapped[str]


class Part(Table):
    """One upload (or copy of a source table): a table `data.part_<id>`, never changed after it was filled."""

    __tablename__ = "parts"

    id: Mapped[int] = identity()
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    n_rows: Mapped[int]
    data_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = now()


class RevisionPart(Table):
    """Which parts make a revision; a row of a later position replaces an earlier one."""

    __tablename__ = "revision_parts"

    revision_id: Mapped[int] = mapped_column(ForeignKey("revisions.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    part_id: Mapped[int] = mapped_column(ForeignKey("parts.id"))


class Side(Table):
    """The side of the random split an account was dealt to, for ever."""

    __tablename__ = "sides"
    __table_args__ = (one_of("side", "train", "validation", "test"),)

    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(primary_key=True)
    side: Mapped[str] = mapped_column(String(10))
