"""Datasets, the revisions of their rows, and the sides of accounts."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.tables.base import Table, identity, now, one_of


class Dataset(Table):
    """A named source of features and labels."""

    __tablename__ = "datasets"
    __table_args__ = (one_of("kind", "snapshots", "events", "query"),)

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
    # Of `events` and `query`: everything else that their description says. The columns above then name those of the
    # rows that are built.
    spec: Mapped[dict[str, Any] | None]
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
    facts: Mapped[dict[str, Any] | None]  # of `events`: for each kind of fact its table and what was counted
    created_at: Mapped[datetime] = now()
    created_by: Mapped[str]


class FactTable(Table):
    """Facts of one kind: a table `data.facts_<id>`, to which rows are only ever added."""

    __tablename__ = "fact_tables"
    __table_args__ = (one_of("fact", "accounts", "subscriptions", "events"),)

    id: Mapped[int] = identity()
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), index=True)
    fact: Mapped[str] = mapped_column(String(20))
    columns: Mapped[list[Any]]  # attributes of accounts: their names, kinds, and where they are kept
    created_at: Mapped[datetime] = now()


class FactUpload(Table):
    """A file of facts that was taken in: the same file sent again adds nothing."""

    __tablename__ = "fact_uploads"
    __table_args__ = (UniqueConstraint("fact_table_id", "sha256"),)

    id: Mapped[int] = identity()
    fact_table_id: Mapped[int] = mapped_column(ForeignKey("fact_tables.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    revision_id: Mapped[int] = mapped_column(ForeignKey("revisions.id"))
    n_rows: Mapped[int]
    created_at: Mapped[datetime] = now()


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
