"""How two versions score the same accounts: shift, order, and who moves from tier to tier."""

import asyncio
import math
from typing import Any

import numpy as np
import pyarrow as pa
import scipy  # its parts are loaded when first used: they take seconds
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.db import copy_out
from app.ml.frame import Floats
from app.ml.tiers import TIERS
from app.sql import read_query
from app.stats.binning import bin_counts, quantile_edges
from app.stats.psi import merge_neighbours, psi
from app.tables import ScoringRun

_PAIRS = pa.schema([("p_a", pa.float64()), ("p_b", pa.float64()), ("tier_a", pa.string()), ("tier_b", pa.string())])


async def score_shift(session: AsyncSession, a: int, b: int) -> dict[str, Any] | None:
    """Compare the newest published runs of two versions on the same rows; None where there are no such two."""
    runs = await _find_pair(session, a, b)
    if runs is None:
        return None
    query = read_query("score_pairs")
    pairs = await copy_out(await session.connection(), query, runs[0].id, runs[1].id, schema=_PAIRS)
    measured = await asyncio.to_thread(_measure, pairs)
    return {"run_a": runs[0].id, "run_b": runs[1].id, "revision_id": runs[0].revision_id, **measured}


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
    """PSI of the second run's scores against the first's, the mean step, Spearman's correlation, the moves."""
    p_a, p_b = (np.asarray(pairs[name].to_numpy(), dtype=np.float64) for name in ("p_a", "p_b"))
    if not p_a.size:
        return {"n_accounts": 0, "psi": None, "mean_difference": None, "rank_correlation": None, "tier_moves": []}
    moved = pairs.group_by(["tier_a", "tier_b"]).aggregate([([], "count_all")]).to_pylist()
    return {
        "n_accounts": int(p_a.size),
        "psi": _psi(p_a, p_b),
        "mean_difference": float((p_b - p_a).mean()),
        "rank_correlation": _spearman(p_a, p_b),
        "tier_moves": sorted(
            ({"from": row["tier_a"], "to": row["tier_b"], "n": row["count_all"]} for row in moved),
            key=lambda move: (TIERS.index(move["from"]), TIERS.index(move["to"])),
        ),
    }


def _psi(p_a: Floats, p_b: Floats) -> float:
    """As observed, over ten bins of equal filling in the first run: the same accounts carry no sampling noise."""
    edges = quantile_edges(p_a)
    return psi(*merge_neighbours(bin_counts(p_a, edges), bin_counts(p_b, edges))).value


def _spearman(p_a: Floats, p_b: Floats) -> float | None:
    """None where one of them gives everybody the same score."""
    if np.ptp(p_a) == 0 or np.ptp(p_b) == 0:
        return None
    found = float(np.corrcoef(scipy.stats.rankdata(p_a), scipy.stats.rankdata(p_b))[0, 1])
    return found if math.isfinite(found) else None
