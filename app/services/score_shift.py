"""Runs of two versions on the same rows, and how scores moved from one to the other."""

import asyncio
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.db import copy_out
from app.ml.shift import measure_shift, tier_moves
from app.sql import read_query
from app.tables import ScoringRun

MAX_MOVERS = 100  # accounts that are named
_PAIRS = pa.schema([("p_a", pa.float64()), ("p_b", pa.float64()), ("tier_a", pa.string()), ("tier_b", pa.string())])


async def score_shift(session: AsyncSession, a: int, b: int) -> dict[str, Any] | None:
    """Compare the newest published runs of two versions on the same rows; None where there are no such two."""
    runs = await _find_pair(session, a, b)
    if runs is None:
        return None
    query = read_query("score_pairs")
    pairs = await copy_out(await session.connection(), query, runs[0].id, runs[1].id, schema=_PAIRS)
    measured = await asyncio.to_thread(_measure, pairs)
    moved = await copy_out(
        await session.connection(),
        read_query("tier_movers"),
        runs[0].id,
        runs[1].id,
        MAX_MOVERS,
        schema=pa.schema([("account_id", pa.string()), *_PAIRS]),
    )
    of_runs = {"run_a": runs[0].id, "run_b": runs[1].id, "revision_id": runs[0].revision_id}
    return {**of_runs, **measured, "movers": moved.to_pylist()}


async def _find_pair(session: AsyncSession, a: int, b: int) -> tuple[ScoringRun, ScoringRun] | None:
    """The two whose older one is the newest; a run always stands on its revision as a whole, so on one instant."""
    of_a, of_b = aliased(ScoringRun), aliased(ScoringRun)
    same_rows = (of_a.revision_id == of_b.revision_id, of_a.as_of.is_not_distinct_from(of_b.as_of))
    query = select(of_a, of_b).join(of_b, (of_b.version == b) & same_rows[0] & same_rows[1])
    for run in (of_a, of_b):
        query = query.where(run.kind == "batch", run.published_at.is_not(None))
    query = query.where(of_a.version == a)
    newest = query.order_by(of_a.published_at.desc(), of_b.published_at.desc()).limit(1)
    found = (await session.execute(newest)).first()
    return None if found is None else (found[0], found[1])


def _measure(pairs: pa.Table) -> dict[str, Any]:
    p_a, p_b = (np.asarray(pairs[name].to_numpy(), dtype=np.float64) for name in ("p_a", "p_b"))
    return {**asdict(measure_shift(p_a, p_b)), "tier_moves": tier_moves(pairs["tier_a"], pairs["tier_b"])}
