"""The gate's policy as a versioned document, of a dataset or of all that have none; it only grows."""

from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions, take_lock
from app.errors import StalePolicy
from app.schemas.common import Page, decode_cursor, page_of
from app.schemas.gate import PolicyIn, PolicyInForceOut, PolicyOut
from app.services.datasets import Datasets
from app.services.etags import etag, is_newest
from app.services.policy import find_policy, gate_in_force
from app.settings import Settings
from app.tables import Dataset, GatePolicy

POLICY_LOCK = 0x706F6C  # space of the locks under which the documents of a dataset, or of all, grow
FOR_ALL = 0  # no dataset has this id


class GatePolicies:
    """Owns the documents."""

    def __init__(self, sessions: Sessions, settings: Settings, *, datasets: Datasets) -> None:
        self._sessions = sessions
        self._settings = settings
        self._datasets = datasets

    async def show(self, dataset_name: str | None) -> PolicyInForceOut:
        """The bar in force, for a dataset or for those without a document of their own."""
        async with self._sessions() as session:
            dataset = await self._find_dataset(session, dataset_name)
            document = await find_policy(session, dataset)
            return PolicyInForceOut(
                dataset=dataset_name,
                source=_source(document),
                evaluation=await gate_in_force(session, dataset, self._settings),
                document=_out(document, dataset_name if document.dataset_id else None) if document else None,
                head=await _head(session, dataset),
                datasets_with_their_own=await _with_their_own(session),
            )

    async def put(self, body: PolicyIn, *, if_match: str | None, actor: str) -> PolicyOut:
        """Append a document; concurrent calls queue on the lock, and one that looked at an older state is told."""
        async with self._sessions.begin() as session:
            dataset = await self._find_dataset(session, body.dataset)
            await take_lock(session, POLICY_LOCK, dataset.id if dataset else FOR_ALL)
            head = await _head(session, dataset)
            if not is_newest(head, if_match):
                raise StalePolicy(f"The newest document is {etag(head)} now, not what If-Match names.")
            document = GatePolicy(
                dataset_id=dataset.id if dataset else None,
                evaluation=body.evaluation.model_dump(mode="json"),
                reason=body.reason,
                actor=actor,
            )
            session.add(document)
            await session.flush()
            await session.refresh(document)
        return _out(document, body.dataset)

    async def list_versions(self, dataset_name: str | None, *, limit: int, cursor: str | None) -> Page[PolicyOut]:
        """The documents, newest first; all of them, or a dataset's own."""
        query: Select[GatePolicy, str | None] = select(GatePolicy, Dataset.name).outerjoin(Dataset)
        query = query.order_by(GatePolicy.id.desc()).limit(limit + 1)
        if position := decode_cursor(cursor, int):
            query = query.where(GatePolicy.id < position[0])
        async with self._sessions() as session:
            if dataset := await self._find_dataset(session, dataset_name):
                query = query.where(GatePolicy.dataset_id == dataset.id)
            rows = (await session.execute(query)).all()
        return page_of([_out(*row) for row in rows], limit, lambda last: last.number)

    async def _find_dataset(self, session: AsyncSession, name: str | None) -> Dataset | None:
        return None if name is None else await self._datasets.resolve(session, name)


async def _head(session: AsyncSession, dataset: Dataset | None) -> int:
    """The number of the newest document of a dataset, or of those for all; 0 where there is none."""
    query = select(GatePolicy.id).order_by(GatePolicy.id.desc()).limit(1)
    own = GatePolicy.dataset_id.is_(None) if dataset is None else GatePolicy.dataset_id == dataset.id
    return (await session.scalars(query.where(own))).first() or 0


async def _with_their_own(session: AsyncSession) -> list[str]:
    query = select(Dataset.name).where(Dataset.id.in_(select(GatePolicy.dataset_id))).order_by(Dataset.name)
    names: Sequence[str] = (await session.scalars(query)).all()
    return list(names)


def _source(document: GatePolicy | None) -> str:
    if document is None:
        return "defaults"
    return "all_datasets" if document.dataset_id is None else "dataset"


def _out(document: GatePolicy, dataset: str | None) -> PolicyOut:
    return PolicyOut(
        number=document.id,
        dataset=dataset,
        evaluation=document.evaluation,
        reason=document.reason,
        actor=document.actor,
        created_at=document.created_at,
    )
