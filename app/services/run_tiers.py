"""The risk tiers of a run: cut-offs by the policy, sizes counted in the database."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import copy_out
from app.ml.tiers import TIERS, TierRow, tier_cutoffs, tier_warnings
from app.schemas.config import CapacityTiers, ProbabilityTiers, Tiers
from app.services.run_tables import run_table
from app.services.runs import find_current_run

ABOVE_ALL = (2.0, 2.0)  # above every probability: the tiers of a capacity policy are dealt once all scores are known


@dataclass(frozen=True)
class SettledTiers:
    """The tiers of a filled run, as they are stored with it."""

    tiers: list[dict[str, Any]]
    warnings: list[dict[str, Any]]
    n_scored: int


@dataclass(frozen=True)
class Cutoffs:
    """From which probability on an account is high, and at least medium, and where that comes from."""

    high: float
    medium: float
    source: str


def known_cutoffs(policy: Tiers, base_rate: float) -> tuple[float, float]:
    """The cut-offs that can be told before the last account was scored."""
    return ABOVE_ALL if isinstance(policy, CapacityTiers) else tier_cutoffs(np.empty(0), policy, base_rate)


async def settle_tiers(session: AsyncSession, run_id: int, policy: Tiers, base_rate: float) -> SettledTiers:
    """Deal what had to wait for all scores, count each tier and say where the policy does not choose."""
    cutoffs = known_cutoffs(policy, base_rate)
    if isinstance(policy, CapacityTiers):
        cutoffs = tier_cutoffs(await _probabilities(session, run_id), policy, base_rate)
        await _deal(session, run_id, cutoffs)
    rows = await _count(session, run_id)
    warnings = [warning.to_json() for warning in tier_warnings(rows, base_rate)]
    return SettledTiers(_plain(rows, cutoffs), warnings, sum(row.n for row in rows))


async def _probabilities(session: AsyncSession, run_id: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Eight bytes an account, the one thing of a run that is ever held whole."""
    query = f"SELECT churn_probability FROM data.{run_table(run_id)}"  # noqa: S608 - an integer
    found = await copy_out(await session.connection(), query, schema=pa.schema([("p", pa.float64())]))
    return np.asarray(found["p"].to_numpy(), dtype=np.float64)


async def _deal(session: AsyncSession, run_id: int, cutoffs: tuple[float, float]) -> None:
    """All were stored as low, so only the others are written again."""
    query = f"""
        UPDATE data.{run_table(run_id)}
        SET risk_tier = CASE WHEN churn_probability >= :high THEN 'high' ELSE 'medium' END
        WHERE churn_probability >= :medium
    """  # noqa: S608 - an integer
    await session.execute(text(query), {"high": cutoffs[0], "medium": cutoffs[1]})


async def _count(session: AsyncSession, run_id: int) -> list[TierRow]:
    query = f"""
        SELECT risk_tier, count(*), avg(churn_probability) FROM data.{run_table(run_id)} GROUP BY risk_tier
    """  # noqa: S608 - an integer
    found = {tier: (int(n), float(mean)) for tier, n, mean in await session.execute(text(query))}
    n_all = sum(n for n, _ in found.values())
    return [_tier_row(tier, *found.get(tier, (0, None)), n_all=n_all) for tier in TIERS]


def _tier_row(tier: str, n: int, mean: float | None, *, n_all: int) -> TierRow:
    """What became of the accounts is not known yet."""
    share = n / n_all if n_all else 0.0
    return TierRow(tier, n, share, mean, n_labelled=0, churn_rate=None, interval=None, share_of_churners=None)


def _plain(rows: list[TierRow], cutoffs: tuple[float, float]) -> list[dict[str, Any]]:
    """Expected figures, by the calibrated probabilities."""
    expected = [row.n * (row.mean_probability or 0.0) for row in rows]
    return [
        {
            "tier": row.tier,
            "n": row.n,
            "share": row.share,
            "from_probability": from_probability,
            "mean_probability": row.mean_probability,
            "expected_churners": churners,
            "share_of_churners": churners / sum(expected) if sum(expected) else None,
        }
        for row, churners, from_probability in zip(rows, expected, (*cutoffs, 0.0), strict=True)
    ]


async def cutoffs_in_force(session: AsyncSession, dataset_id: int, policy: Tiers, base_rate: float) -> Cutoffs:
    """Cut-offs for accounts scored one by one.

    A capacity policy says nothing of a single account: the cut-offs that it led to in the newest current run hold,
    and before the first one those of the code.
    """
    if not isinstance(policy, CapacityTiers):
        return Cutoffs(*known_cutoffs(policy, base_rate), source="policy")
    run = await find_current_run(session, dataset_id)
    if run is None or not run.tiers:
        return Cutoffs(ProbabilityTiers().high, ProbabilityTiers().medium, source="default")
    return Cutoffs(run.tiers[0]["from_probability"], run.tiers[1]["from_probability"], source=f"run {run.id}")
