"""Queries of the user's as a source of rows: copied into a revision when a job starts.

The last part of a revision holds the rows of the newest instant, which are scored and have no labels; the parts before
it hold matured instants: first those of the training, then those that were scored and have matured since.
"""

import tempfile
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions
from app.errors import NoActiveAccounts, NoRows, QueryChanged, QueryRefused
from app.schemas.query import QueryIn, read_query_spec
from app.services.part_loading import load_part
from app.services.part_tables import StoredColumn, part_ids, revision_columns
from app.services.query_schedule import matured_by, scored_instant, training_instants
from app.services.query_staging import QueryRows, StagedInstant, stage
from app.services.revisions import label_others, lock_revisions, make_revision, newest_revision, part_hash
from app.services.source_tables import SameRows, undo_same
from app.services.upload_plan import LabelTally, UploadPlan
from app.services.warehouse import open_warehouse
from app.settings import Settings
from app.tables import Dataset, Part, Revision


def spec_of(dataset: Dataset) -> QueryIn:
    """The description of a dataset of queries."""
    names = ("name", "kind", "id_column", "label_column", "positive_value", "exclude_columns", "split_seed")
    columns = {name: getattr(dataset, name) for name in (*names, "horizon_days", "lead_days", "grace_days")}
    return read_query_spec(columns, dataset.spec or {})


class QueryCopies:
    """Makes revisions of what the queries of one dataset say."""

    def __init__(self, sessions: Sessions, settings: Settings, dataset: Dataset) -> None:
        self._sessions = sessions
        self._settings = settings
        self._dataset = dataset
        self._spec = spec_of(dataset)

    async def for_training(self, now: datetime) -> Revision:
        """The matured instants of the schedule with their labels, and the newest instant without."""
        instants = training_instants(self._spec, now)
        with _folder() as folder:
            matured, scored = await self._read(Path(folder), matured=instants, scored=[scored_instant(now)])
            return await self._store_training(matured, scored)

    async def for_scoring(self, now: datetime) -> Revision:
        """The newest instant read anew, upon the matured instants as they were."""
        with _folder() as folder:
            _, scored = await self._read(Path(folder), matured=[], scored=[scored_instant(now)])
            if not scored:
                raise NoActiveAccounts(
                    f"features_sql of {self._dataset.name} returns no account at {scored_instant(now).isoformat()}.",
                    hint="Accounts are scored as of the beginning of the day, UTC; look at what the query says of it.",
                )
            return await self._store_scored(scored)

    async def with_labels(self, instants: Collection[datetime], now: datetime) -> None:
        """Labels of instants that were scored and have matured; nothing is read where all of them are known."""
        async with self._sessions() as session:
            newest = await newest_revision(session, self._dataset)
        known = {each["as_of"] for each in newest.instants if each["n_labelled"]} if newest else set()
        wanted = sorted({each for each in instants if each <= matured_by(self._spec, now)}, reverse=True)
        if all(each.isoformat() in known for each in wanted):
            return
        with _folder() as folder:
            matured, _ = await self._read(Path(folder), matured=wanted, scored=[])
            if matured:
                await self._store_matured(matured)

    async def _read(
        self, folder: Path, *, matured: Sequence[datetime], scored: Sequence[datetime]
    ) -> tuple[list[StagedInstant], list[StagedInstant]]:
        """Everything from one state of the warehouse; instants without rows are left out."""
        async with open_warehouse(self._spec, self._settings) as warehouse:
            with_labels = [
                await stage(warehouse, self._dataset, self._spec, each, folder, labelled=True) for each in matured
            ]
            without = [
                await stage(warehouse, self._dataset, self._spec, each, folder, labelled=False) for each in scored
            ]
        return [each for each in with_labels if each.n_rows], [each for each in without if each.n_rows]

    async def _store_training(self, matured: list[StagedInstant], scored: list[StagedInstant]) -> Revision:
        if not matured and not scored:
            raise QueryRefused(
                f"features_sql of {self._dataset.name} returns no row at any instant that was asked for."
            )
        columns = (matured or scored)[0].columns
        tally = LabelTally(self._dataset)
        try:
            async with self._sessions.begin() as session:
                await lock_revisions(session, self._dataset)
                newest = await newest_revision(session, self._dataset)
                parts = [await self._load(session, each, columns, tally) for each in (matured, scored) if each]
                with QueryRows(self._dataset, matured or scored).refusing():
                    tally.require_positive()
                for part in parts[:-1]:
                    part.data_hash = await part_hash(session, part, columns)
                beneath = [part.id for part in parts[:-1]]
                revision = await self._make(session, parts[-1], columns, tally, beneath=beneath)
                undo_same(session, newest, revision)
                return revision
        except SameRows as same:
            return same.revision

    async def _store_scored(self, scored: list[StagedInstant]) -> Revision:
        try:
            async with self._sessions.begin() as session:
                newest, columns, tally = await self._lay_upon(session, scored)
                before = await part_ids(session, newest)
                part = await self._load(session, scored, columns, tally)
                revision = await self._make(session, part, columns, tally, beneath=before[:-1] or before)
                undo_same(session, newest, revision)
                return revision
        except SameRows as same:
            return same.revision

    async def _store_matured(self, matured: list[StagedInstant]) -> None:
        async with self._sessions.begin() as session:
            newest, columns, tally = await self._lay_upon(session, matured)
            before = await part_ids(session, newest)
            part = await self._load(session, matured, columns, tally)
            await self._make(session, part, columns, tally, beneath=before[:1], above=before[1:][-1:])

    async def _lay_upon(
        self, session: AsyncSession, staged: list[StagedInstant]
    ) -> tuple[Revision, Sequence[StoredColumn], LabelTally]:
        """The newest revision, under the lock, with its columns, which what was read must have."""
        await lock_revisions(session, self._dataset)
        newest = await newest_revision(session, self._dataset)
        if newest is None:
            raise NoRows(f"Dataset {self._dataset.name} has no rows yet.", hint="Train first: POST /train.")
        columns = fit_columns(revision_columns(newest), staged[0].columns)
        return newest, columns, LabelTally(self._dataset, others=label_others(newest))

    async def _load(
        self, session: AsyncSession, staged: list[StagedInstant], columns: Sequence[StoredColumn], tally: LabelTally
    ) -> Part:
        rows = QueryRows(self._dataset, staged)
        with rows.refusing():
            part, _ = await load_part(session, UploadPlan(self._dataset, rows, tuple(columns)), tally)
        return part

    async def _make(
        self,
        session: AsyncSession,
        part: Part,
        columns: Sequence[StoredColumn],
        tally: LabelTally,
        *,
        beneath: Sequence[int],
        above: Sequence[int] = (),
    ) -> Revision:
        return await make_revision(
            session,
            self._dataset,
            part,
            upon=None,
            beneath=beneath,
            above=above,
            columns=columns,
            others=tally.others,
            actor="copied from the queries",
        )


def fit_columns(before: Sequence[StoredColumn], now: Sequence[StoredColumn]) -> list[StoredColumn]:
    """The columns as they are kept; new ones are left aside, for no version reads them.

    Raises
    ------
    QueryChanged
        Where one is lacking, or has become another kind.
    """
    kinds = {each.name: each.kind for each in now if each.column}
    for each in before:
        if each.column and kinds.get(each.name) is not each.kind:
            found = f"is {kinds[each.name]} now" if each.name in kinds else "is not returned any more"
            raise QueryChanged(f"features_sql: {each.name} {found}; it was {each.kind}.", column=each.name)
    return [replace(each, note=None) for each in before if each.column]


def _folder() -> AbstractContextManager[str]:
    return tempfile.TemporaryDirectory(prefix="holdfast-queries-")
