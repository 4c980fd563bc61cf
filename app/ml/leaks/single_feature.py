"""Probe: one feature alone ranks churners nearly without fault."""

import numpy as np

from app.ml.frame import FeatureKind, Floats
from app.ml.leaks.columns import Column
from app.ml.leaks.findings import MIN_CHURNERS, Finding, Level
from app.ml.leaks.risk import best_auc, fit_risk
from app.ml.leaks.rows import LabelledRows
from app.stats.arrays import Ints
from app.stats.ranking import AucEstimate
from app.stats.stratified import delong_within

CERTAIN_AUC = 0.97  # STATISTICS.md section 7
CERTAIN_CHURNERS = 50  # STATISTICS.md section 7; accounts
SUSPECTED_AUC = 0.90  # STATISTICS.md section 7
BOTH_ENDS = 0.98  # the interval whose lower end is a 99 % lower bound, STATISTICS.md section 7


def probe_single_feature(column: Column, rows: LabelledRows) -> Finding | None:
    """Judge the 99 % lower bound of the feature's AUC: certain from .97 with 50 churners, suspected from .90.

    The AUC is free of direction (see `fit_risk` for what is chosen, and on which rows), clustered by account; its
    bound lies on the logit scale. Few churners, or few others, say nothing.

    Parameters
    ----------
    column : Column
        Missing values are a value of their own.
    rows : LabelledRows
        Its rows.
    """
    if min(rows.n_churners, rows.n_stayers) < MIN_CHURNERS or not _can_reach(column, rows, SUSPECTED_AUC):
        return None
    risk = fit_risk(column, rows)
    found = estimate_auc(rows, risk.scores(column.values), risk.strata)
    bound = lower_bound(found)
    if not bound >= SUSPECTED_AUC:
        return None
    certain = bound >= CERTAIN_AUC and rows.n_churners >= CERTAIN_CHURNERS
    name = column.feature.name
    return Finding(
        feature=name,
        probe="single_feature_auc",
        level=Level.CERTAIN if certain else Level.SUSPECTED,
        evidence={"auc": found.value, "auc_lower_99": bound, "n_churners": rows.n_churners, "n_rows": rows.y.size},
        sentence=f"{name} alone ranks churners with an AUC of {found.value:.3f} (at least {bound:.3f} at 99 %).",
        remedy=f"Find out when {name} is written; leave it out if that can be after the account has decided.",
    )


def _can_reach(column: Column, rows: LabelledRows, least: float) -> bool:
    """A cheap upper bound for numbers, without intervals and folds; texts are always looked at."""
    if column.feature.kind is FeatureKind.CATEGORICAL:
        return column.n_levels > 1
    return max(best_auc(column, rows, rising=True), best_auc(column, rows, rising=False)) >= least


def estimate_auc(rows: LabelledRows, scores: Floats, strata: Ints) -> AucEstimate:
    """AUC within strata, clustered by account; the sizes that its interval knows are accounts, not rows."""
    found = delong_within(rows.y, scores[np.newaxis], strata, rows.accounts)
    se = float(np.sqrt(np.maximum(found.covariance[0, 0], 0)))
    return AucEstimate(float(found.auc[0]), se, n_positive=rows.n_churners, n_negative=rows.n_stayers)


def lower_bound(found: AucEstimate) -> float:
    """The 99 % lower bound on the logit scale, 0..1; that of AUC 1 - x, turned round, is an upper one."""
    return float(np.nan_to_num(found.interval(BOTH_ENDS).low, nan=0.0))
