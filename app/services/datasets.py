"""Datasets: named sources of features and labels, and their revisions."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions
from app.errors import DatasetExists, DatasetInUse, FieldError, InvalidRequest, NotFound
from app.schemas.common import Page, decode_cursor, page_of
from app.schemas.datasets import DatasetDetail, DatasetOut, DatasetPatch, RevisionDetail, RevisionOut
from app.schemas.described import DatasetIn
from app.schemas.jobs import ENDED
from app.schemas.query import QueryIn
from app.services.fact_sources import copy_fact_sources, require_fact_sources
from app.services.policy import require_defaults
from app.services.query_check import check_queries
from app.services.query_revisions import QueryCopies
from app.services.revisions import get_revision, lock_revisions, newest_revision
from app.services.source_tables import copy_source, require_source
from app.settings import Settings
from app.tables import Dataset, Job, Revision

SHOWN_REVISIONS = 20
RequireOperator = Callable[[FieldError], None]  # raises, naming the part, where the caller is not the operator
_BAR = FieldError("/defaults/evaluation", "is the gate's bar, which only the operator sets, changes or removes")
_CREATE_HINT = "Make one with POST /datasets, then upload rows with PUT /datasets/{name}/rows."


def _at_the_store(part: FieldError) -> None:
    """Let pass: who calls the services themselves can open the store, and so is the operator (decision 0006)."""


class Datasets:
    """Describes datasets and finds their revisions."""

    def __init__(self, sessions: Sessions, settings: Settings) -> None:
        self._sessions = sessions
        self._settings = settings

    async def create(
        self, body: DatasetIn, *, actor: str, require_operator: RequireOperator = _at_the_store
    ) -> DatasetOut:
        """Describe a source; rows come later, by upload, from its table or by its queries, which are tried out now."""
        dataset = Dataset(**body.columns(), defaults=body.defaults.given(), created_by=actor)
        if dataset.defaults.get("evaluation"):
            require_operator(_BAR)
        require_defaults(dataset, self._settings)
        understood = None
        if isinstance(body, QueryIn):
            understood = await check_queries(dataset, body, self._settings, now=await self._now())
        try:
            async with self._sessions.begin() as session:
                if dataset.source_table is not None:
                    await require_source(session, dataset)
                if dataset.kind == "events":
                    await require_fact_sources(session, dataset)
                session.add(dataset)
                await session.flush()
                await session.refresh(dataset)
        except IntegrityError as error:
            raise DatasetExists(f"There is a dataset {body.name} already.", name=body.name) from error
        return DatasetOut.model_validate(dataset).model_copy(update={"understood": understood})

    async def list_datasets(self, *, limit: int, cursor: str | None) -> Page[DatasetOut]:
        """Datasets by name."""
        query = select(Dataset).order_by(Dataset.name).limit(limit + 1)
        if position := decode_cursor(cursor, str):
            query = query.where(Dataset.name > position[0])
        async with self._sessions() as session:
            found = (await session.scalars(query)).all()
        return page_of([DatasetOut.model_validate(each) for each in found], limit, lambda last: last.name)

    async def get(self, name: str) -> DatasetDetail:
        """A dataset with its newest revision."""
        async with self._sessions() as session:
            dataset = await self.resolve(session, name)
            revisions = await _newest_revisions(session, dataset, SHOWN_REVISIONS)
        newest = revision_detail(revisions[0]) if revisions else None
        told = DatasetOut.model_validate(dataset).model_dump()
        return DatasetDetail(**told, revision=newest, revisions=[revision_out(each) for each in revisions])

    async def update(
        self, name: str, body: DatasetPatch, *, require_operator: RequireOperator = _at_the_store
    ) -> DatasetOut:
        """Replace sections of the defaults; versions trained before keep what they were trained with.

        The bar is compared under the lock of the row, so it is what the caller leaves as it is, or changes.
        """
        async with self._sessions.begin() as session:
            query = select(Dataset).where(Dataset.name == name).with_for_update()
            dataset = (await session.scalars(query)).first() or await self.resolve(session, name)
            sections = {**dataset.defaults, **body.defaults.given()}
            bar_before = dataset.defaults.get("evaluation") or None
            dataset.defaults = {section: given for section, given in sections.items() if given}
            if dataset.defaults.get("evaluation") != bar_before:
                require_operator(_BAR)
            require_defaults(dataset, self._settings)
        return DatasetOut.model_validate(dataset)

    async def delete(self, name: str, *, require_operator: RequireOperator = _at_the_store) -> None:
        """Forget a description that nothing rests on yet, so that a slip in it can be mended; ended jobs stay.

        A bar would be forgotten with it, and the dataset could be described anew without one.
        """
        in_use = DatasetInUse(f"Dataset {name} has rows, or a job, outcomes or a policy that refer to it.")
        try:
            async with self._sessions.begin() as session:
                dataset = await self.resolve(session, name)
                if dataset.defaults.get("evaluation"):
                    require_operator(FieldError("path/name", "has a bar of its own, in `defaults.evaluation`"))
                await lock_revisions(session, dataset)
                if await newest_revision(session, dataset) is not None:
                    raise in_use
                ended = update(Job).where(Job.dataset_id == dataset.id, Job.status.in_(ENDED))
                await session.execute(ended.values(dataset_id=None))
                await session.delete(dataset)
        except IntegrityError as error:
            raise in_use from error

    async def list_revisions(self, name: str, *, limit: int, cursor: str | None) -> Page[RevisionOut]:
        """Revisions, the newest first."""
        position = decode_cursor(cursor, int)
        async with self._sessions() as session:
            dataset = await self.resolve(session, name)
            found = await _newest_revisions(session, dataset, limit + 1, below=position[0] if position else None)
        return page_of([revision_out(each) for each in found], limit, lambda last: last.number)

    async def resolve(self, session: AsyncSession, name: str | None) -> Dataset:
        """The dataset of this name; without one, the only one there is.

        Raises
        ------
        NotFound
            where there is none, or none of this name.
        InvalidRequest
            where no name is given and there are several; it names them.

        """
        if name is not None:
            found = (await session.scalars(select(Dataset).where(Dataset.name == name))).first()
            if found is None:
                raise NotFound(f"There is no dataset {name}.", hint=f"GET /datasets lists them. {_CREATE_HINT}")
            return found
        some = (await session.scalars(select(Dataset).order_by(Dataset.name).limit(21))).all()
        if not some:
            raise NotFound("There is no dataset yet.", hint=_CREATE_HINT)
        if len(some) > 1:
            raise _ambiguous([each.name for each in some])
        return some[0]

    async def fix_revision(
        self, dataset_id: int, *, to: Literal["train", "score"] = "train", now: datetime | None = None
    ) -> Revision:
        """The newest revision, which a job works on as it starts.

        Where the dataset reads a table or queries, what they say is copied now, into a new revision if that is new.
        """
        async with self._sessions.begin() as session:
            dataset = await session.get_one(Dataset, dataset_id)
            if dataset.source_table is None and dataset.kind == "snapshots":
                return await get_revision(session, dataset)
        if dataset.kind == "events":
            return await copy_fact_sources(self._sessions, dataset)
        if dataset.kind == "query":
            copies, now = QueryCopies(self._sessions, self._settings, dataset), now or await self._now()
            return await (copies.for_training(now) if to == "train" else copies.for_scoring(now))
        return await copy_source(self._sessions, dataset)

    async def renew_labels(self, dataset: Dataset, instants: Collection[datetime], *, now: datetime) -> None:
        """Take in what is known by now of accounts that were scored at these instants, where a query tells."""
        if dataset.kind == "query":
            await QueryCopies(self._sessions, self._settings, dataset).with_labels(instants, now)

    async def _now(self) -> datetime:
        async with self._sessions() as session:
            return (await session.execute(select(func.now()))).scalar_one()


def _ambiguous(names: Sequence[str]) -> InvalidRequest:
    listed = ", ".join(names[:20]) + (" ..." if len(names) > 20 else "")
    return InvalidRequest(
        f"There are several datasets, so name one: {listed}.",
        hint="Give `dataset`.",
        errors=[FieldError("/dataset", "is needed while there are several")],
        datasets=list(names[:20]),
    )


async def _newest_revisions(
    session: AsyncSession, dataset: Dataset, limit: int, *, below: int | None = None
) -> Sequence[Revision]:
    query = select(Revision).where(Revision.dataset_id == dataset.id).order_by(Revision.number.desc()).limit(limit)
    if below is not None:
        query = query.where(Revision.number < below)
    return (await session.scalars(query)).all()


def revision_out(revision: Revision) -> RevisionOut:
    """What is told of a revision in lists."""
    return RevisionOut.model_validate(_told(revision))


def revision_detail(revision: Revision) -> RevisionDetail:
    """All that is told of a revision."""
    return RevisionDetail.model_validate(
        _told(revision) | {"columns": revision.columns, "instants": revision.instants, "facts": revision.facts}
    )


def _told(revision: Revision) -> dict[str, object]:
    names = ("number", "n_rows", "n_accounts", "n_labelled", "n_churned", "data_hash", "created_at", "created_by")
    rate = revision.n_churned / revision.n_labelled if revision.n_labelled else None
    return {name: getattr(revision, name) for name in names} | {"churn_rate": rate}
