"""When each version was in which stage, read off the ledger."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.schemas.models import StagePeriodOut
from app.tables import Promotion


async def read_periods(session: AsyncSession, dataset_ids: Collection[int]) -> dict[int, list[StagePeriodOut]]:
    """By version, the newest first."""
    query = select(Promotion).where(Promotion.dataset_id.in_(dataset_ids)).order_by(Promotion.id)
    ledgers: dict[int, list[Promotion]] = defaultdict(list)
    for entry in await session.scalars(query):
        ledgers[entry.dataset_id].append(entry)
    found: dict[int, list[StagePeriodOut]] = defaultdict(list)
    for ledger in ledgers.values():
        for at, entry in enumerate(ledger):
            found[entry.to_version].insert(0, _period(entry, ledger[at + 1 :]))
    return found


def _period(entry: Promotion, later: Sequence[Promotion]) -> StagePeriodOut:
    ends = next((each for each in later if _ends(each, entry)), None)
    return StagePeriodOut(
        stage=entry.stage,
        since=entry.created_at,
        until=ends.created_at if ends else None,
        promotion_id=entry.id,
        action=entry.action,
        forced=entry.forced,
        provisional=entry.provisional,
        actor=entry.actor,
        reason=entry.reason,
    )


def _ends(later: Promotion, entry: Promotion) -> bool:
    """Another takes its place, or, of the challenger, it becomes the champion."""
    crowned = entry.stage == "Staging" and later.stage == "Production" and later.to_version == entry.to_version
    return later.stage == entry.stage or crowned
