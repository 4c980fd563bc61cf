"""Questions to the ledger of promotions, each on the caller's session; the newest entry of a stage is what counts."""

from collections.abc import Sequence

from sqlalchemy import and_, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.db import take_lock
from app.schemas.promotions import Stage
from app.tables import Evaluation, Promotion, Revision

PROMOTION_LOCK = 0x6C6564  # space of the locks under which a dataset's ledger grows


async def lock_ledger(session: AsyncSession, dataset_id: int) -> None:
    """Let one promotion of a dataset happen at a time; held until the transaction ends."""
    await take_lock(session, PROMOTION_LOCK, dataset_id)


async def find_head(session: AsyncSession, dataset_id: int, stage: Stage) -> Promotion | None:
    """The newest entry of a stage."""
    query = select(Promotion).where(Promotion.dataset_id == dataset_id, Promotion.stage == stage)
    return (await session.execute(query.order_by(Promotion.id.desc()).limit(1))).scalar_one_or_none()


async def find_champion(session: AsyncSession, dataset_id: int) -> Promotion | None:
    """What is in Production."""
    return await find_head(session, dataset_id, "Production")


async def find_challenger(session: AsyncSession, dataset_id: int) -> Promotion | None:
    """What is in Staging; a version that has become the champion has left it, for good."""
    staged = await find_head(session, dataset_id, "Staging")
    champion = await find_champion(session, dataset_id)
    if staged is None or (champion and staged.to_version == champion.to_version):
        return None
    return None if await find_vacated(session, [staged.id]) else staged


async def find_vacated(session: AsyncSession, entries: Sequence[int]) -> set[int]:
    """Of these entries of Staging those whose version has been in Production since."""
    later = aliased(Promotion)
    same = and_(later.dataset_id == Promotion.dataset_id, later.to_version == Promotion.to_version)
    query = select(Promotion.id).join(later, and_(same, later.stage == "Production", later.id > Promotion.id))
    return set((await session.scalars(query.where(Promotion.id.in_(entries)))).all())


async def find_last_promoted(session: AsyncSession, dataset_id: int, version: int) -> Promotion | None:
    """The newest entry that brought a version to Production by a promotion, not by a rollback."""
    query = select(Promotion).where(
        Promotion.dataset_id == dataset_id,
        Promotion.stage == "Production",
        Promotion.action == "promote",
        Promotion.to_version == version,
    )
    return (await session.execute(query.order_by(Promotion.id.desc()).limit(1))).scalar_one_or_none()


async def find_newest_verdict(session: AsyncSession, version: int) -> Evaluation | None:
    """The newest evaluation of a version that counts: advisory ones don't."""
    query = select(Evaluation).where(Evaluation.version == version, Evaluation.advisory.is_(False))
    return (await session.execute(query.order_by(Evaluation.id.desc()).limit(1))).scalar_one_or_none()


async def find_newer_rows(session: AsyncSession, verdict: Evaluation) -> int | None:
    """The newest revision on which a verdict that counts was given on the same version, where it is a newer one."""
    judged, own = aliased(Revision), aliased(Revision)
    query = select(func.max(judged.number)).join(Evaluation, Evaluation.revision_id == judged.id)
    query = query.where(Evaluation.version == verdict.version, Evaluation.advisory.is_(False))
    this = select(own.number).where(own.id == verdict.revision_id).scalar_subquery()
    return await session.scalar(query.where(judged.number > this))


async def list_champions(session: AsyncSession) -> dict[int, Promotion]:
    """What is in Production, by dataset: one query for all, cheap enough to ask each second."""
    query = select(Promotion).where(Promotion.stage == "Production").ext(distinct_on(Promotion.dataset_id))
    query = query.order_by(Promotion.dataset_id, Promotion.id.desc())
    return {entry.dataset_id: entry for entry in (await session.execute(query)).scalars()}
