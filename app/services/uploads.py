"""Uploads: a file becomes a part and a revision, or nothing at all."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions
from app.errors import RowsAreBuilt, RowsComeFromQuery, RowsComeFromTable, UnsupportedMedia
from app.schemas.datasets import RowsOut
from app.services.datasets import Datasets, revision_detail
from app.services.part_loading import load_part
from app.services.part_tables import part_table, revision_columns
from app.services.revisions import label_others, lock_revisions, make_revision, newest_revision
from app.services.upload_files import RowFile, open_rows, spool
from app.services.upload_plan import LabelTally, UploadPlan, fit_plan, infer_plan, special_columns
from app.tables import Dataset, Part, Revision

AT_ONCE = 2  # uploads worked on by one process; more wait on disk, so that memory and connections stay bounded
_NOT_FILES = ("application/json", "multipart/")


class Uploads:
    """Takes files of rows in."""

    def __init__(self, sessions: Sessions, datasets: Datasets, *, max_upload_bytes: int) -> None:
        self._sessions = sessions
        self._datasets = datasets
        self._max_bytes = max_upload_bytes
        self._places = asyncio.Semaphore(AT_ONCE)

    async def replace(self, name: str, stream: AsyncIterator[bytes], *, media_type: str, actor: str) -> RowsOut:
        """A new revision that holds the rows of this file alone."""
        return await self._take(name, stream, media_type=media_type, actor=actor, append=False)

    async def append(self, name: str, stream: AsyncIterator[bytes], *, media_type: str, actor: str) -> RowsOut:
        """A new revision that holds these rows and those before; of the same account and instant the new row counts."""
        return await self._take(name, stream, media_type=media_type, actor=actor, append=True)

    async def _take(
        self, name: str, stream: AsyncIterator[bytes], *, media_type: str, actor: str, append: bool
    ) -> RowsOut:
        async with self._sessions() as session:
            dataset = await self._datasets.resolve(session, name)
        _require_rows(dataset)
        require_media(media_type)
        async with spool(stream, self._max_bytes) as path, self._places:
            warnings, part, revision = await self._store(dataset, path, actor=actor, append=append)
        told = revision_detail(revision).model_dump()
        return RowsOut(**told, dataset=name, n_rows_uploaded=part.n_rows, warnings=warnings)

    async def _store(
        self, dataset: Dataset, path: Path, *, actor: str, append: bool
    ) -> tuple[list[str], Part, Revision]:
        """All or nothing: one transaction makes table, rows and revision, under the lock of the dataset.

        The rows are looked at before it begins, save those of an append, which must fit what they are laid upon.
        """
        file = await asyncio.to_thread(open_rows, path, special_columns(dataset))
        async with self._sessions() as session:
            newest = await newest_revision(session, dataset)
        inferred = None if append and newest else await asyncio.to_thread(_infer, dataset, file, newest)
        async with self._sessions.begin() as session:
            await lock_revisions(session, dataset)
            upon = await newest_revision(session, dataset) if append else None
            plan = inferred if inferred and upon is None else _fit(dataset, file, upon)
            part, tally = await load_part(session, plan, LabelTally(dataset, others=label_others(upon)))
            if upon is None:
                tally.require_positive()
            revision = await make_revision(
                session, dataset, part, upon=upon, columns=plan.columns, others=tally.others, actor=actor
            )
            future = await _warn_of_future(session, dataset, part)
        return [*plan.warnings, *future], part, revision


def _require_rows(dataset: Dataset) -> None:
    if dataset.kind == "query":
        raise RowsComeFromQuery(f"Dataset {dataset.name} reads its own queries; rows can't be sent to it.")
    if dataset.source_table is not None:
        raise RowsComeFromTable(f"Dataset {dataset.name} reads {dataset.source_table}; rows can't be sent to it.")
    if dataset.kind == "events":
        detail = f"The rows of {dataset.name} are built of facts; they can't be sent to it."
        hint = f"Send the facts: PUT or POST /datasets/{dataset.name}/facts/events, and accounts, and subscriptions."
        raise RowsAreBuilt(detail, hint=hint)


def require_media(media_type: str) -> None:
    """Refuse a body that is announced as something that no file of rows is."""
    if media_type.lower().startswith(_NOT_FILES):
        raise UnsupportedMedia("The body must be the file itself: text/csv or application/vnd.apache.parquet.")


async def _warn_of_future(session: AsyncSession, dataset: Dataset, part: Part) -> list[str]:
    """A row is as good as its date: one of tomorrow is most often a slip, yet it is the newest of its account."""
    table = f"data.{part_table(part.id)}"
    query = f"SELECT count(*) AS n, max(as_of) AS latest FROM {table} WHERE as_of > now()"  # noqa: S608 - a name of ours
    found = (await session.execute(text(query))).one()
    if not found.n:
        return []
    return [
        f"{found.n:,} of these rows are dated in the future, the latest {found.latest:%Y-%m-%d %H:%M} UTC: is "
        f"{dataset.as_of_column} right? They are taken as the newest of their accounts."
    ]


def _infer(dataset: Dataset, file: RowFile, newest: Revision | None) -> UploadPlan:
    return infer_plan(dataset, file, revision_columns(newest) if newest else [])


def _fit(dataset: Dataset, file: RowFile, upon: Revision | None) -> UploadPlan:
    return fit_plan(dataset, file, revision_columns(upon) if upon else [])
