"""How two versions score the same accounts: how far, in which order, and who moves from tier to tier."""

import math
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from app.ml.frame import Floats
from app.ml.tiers import TIERS
from app.stats.binning import bin_counts, quantile_edges
from app.stats.psi import merge_neighbours, psi
from app.stats.ranks import spearman


@dataclass(frozen=True)
class ScoreShift:
    """From the scores of one version to those of another.

    Attributes
    ----------
    n_accounts : scored by both
    psi : population stability index, 0 or more; as observed: the same accounts carry no sampling noise
    mean_difference : mean of the second score less the first, -1..1
    rank_correlation : Spearman's, -1..1; None where one of them gives everybody the same score
    """

    n_accounts: int
    psi: float | None
    mean_difference: float | None
    rank_correlation: float | None


def measure_shift(p_a: Floats, p_b: Floats) -> ScoreShift:
    """Compare two scores of each account.

    Parameters
    ----------
    p_a, p_b : ndarray of shape (n,)
        Probabilities, 0..1, row by row of the same account. The bins are of about equal filling in `p_a`. With no
        account all is None.
    """
    if not p_a.size:
        return ScoreShift(0, None, None, None)
    edges = quantile_edges(p_a)
    index = psi(*merge_neighbours(bin_counts(p_a, edges), bin_counts(p_b, edges)))
    correlation = spearman(p_a, p_b)
    return ScoreShift(
        n_accounts=int(p_a.size),
        psi=index.value,
        mean_difference=float((p_b - p_a).mean()),
        rank_correlation=correlation if math.isfinite(correlation) else None,
    )


def tier_moves(a: pa.Array | pa.ChunkedArray, b: pa.Array | pa.ChunkedArray) -> list[dict[str, Any]]:
    """From which tier to which, and how many accounts: the riskiest first, moves that nobody made left out."""
    moved = pa.table([a, b], names=["a", "b"]).group_by(["a", "b"]).aggregate([([], "count_all")]).to_pylist()
    counts = {(row["a"], row["b"]): row["count_all"] for row in moved}
    pairs = [(before, after) for before in TIERS for after in TIERS if (before, after) in counts]
    return [{"from": before, "to": after, "n": counts[before, after]} for before, after in pairs]
