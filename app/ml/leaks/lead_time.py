"""Probe: what a feature knows is gone a little earlier, so it moved after the account had decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.ml.frame import Floats
from app.ml.leaks.columns import Column, read_like
from app.ml.leaks.findings import MIN_CHURNERS, Finding, Level
from app.ml.leaks.risk import fit_risk
from app.ml.leaks.rows import LabelledRows
from app.ml.leaks.single_feature import BOTH_ENDS
from app.stats.arrays import Bools, Estimate
from app.stats.ranking import auc
from app.stats.stratified import delong_within

CLIFF_DROP = 0.15  # of AUC within the shortest lead, as a 99 % lower bound; our choice, rates in benchmarks/leaks.py
SHAPELESS_DROP = 0.30  # where one lead only is given, and a cliff can't be told from a decay; our choice
STEEPEST_HALF_LIFE = 0.5  # of the shortest lead: an honest excess over .5 decays no faster; our choice


@dataclass(frozen=True)
class Lagged:
    """The features of the same rows, seen some days earlier.

    Attributes
    ----------
    lead_days : float, above 0
    features : pyarrow table of n rows, aligned to the labelled rows
    seen : boolean ndarray of shape (n,) or None; rows whose account was there that early (None: all)
    """

    lead_days: float
    features: pa.Table
    seen: Bools | None = None

    def take(self, rows: npt.NDArray[np.integer]) -> "Lagged":
        """These rows, in this order."""
        seen = None if self.seen is None else self.seen[rows]
        return Lagged(self.lead_days, self.features.take(pa.array(rows)), seen)


def probe_lead_time(column: Column, rows: LabelledRows, lagged: Sequence[Lagged]) -> Finding | None:
    r"""Suspect a feature whose AUC falls off a cliff within the shortest lead.

    With leads :math:`t_1 < t_2` and the AUCs :math:`A_0, A_1, A_2` of one and the same ranking on the same rows
    (clustered by account, so paired), both lower bounds at 99 % must hold:

    .. math:: A_0 - A_1 \ge .15, \qquad (A_0 - A_1) - k (A_1 - A_2) > 0,
              \qquad k = \frac{1 - 1/4}{1/4 - 4^{-t_2/t_1}}

    k is the ratio of the two steps where the excess over a plateau halves twice within :math:`t_1`. An honest feature
    that decays no faster, whatever its plateau, satisfies :math:`A_0 - A_1 \le k (A_1 - A_2)`; one with a shorter
    half-life needs shorter leads to be told from a leak. With one lead only, the first bound is .30.

    Parameters
    ----------
    column : Column
        The feature at lead 0; the ranking is fitted there.
    rows : LabelledRows
        Its rows.
    lagged : sequence of Lagged
        In any order; the two shortest leads are used.
    """
    near = sorted(lagged, key=lambda each: each.lead_days)[:2]
    if not near or min(rows.n_churners, rows.n_stayers) < MIN_CHURNERS or column.n_levels < 2:
        return None
    kept = np.logical_and.reduce([np.ones(rows.y.size, dtype=bool) if x.seen is None else x.seen for x in near])
    y, accounts = rows.y[kept], rows.accounts[kept]
    if min(rows.count_accounts(kept & rows.churned), rows.count_accounts(kept & ~rows.churned)) < MIN_CHURNERS:
        return None
    risk = fit_risk(column, rows)
    now = risk.scores(column.values)[kept]
    if auc(y, now) < 0.5 + CLIFF_DROP:  # cheap, and seldom passed
        return None
    scores = np.stack([now, *(risk.scores(read_like(each.features, column))[kept] for each in near)])
    found = delong_within(y, scores, risk.strata[kept], accounts)
    return _judge(column, near, found.auc, found.covariance, n_churners=rows.count_accounts(kept & rows.churned))


def _judge(
    column: Column, near: Sequence[Lagged], aucs: Floats, covariance: Floats, *, n_churners: int
) -> Finding | None:
    first = np.zeros(len(aucs))
    first[:2] = 1, -1
    drop = _contrast(first, aucs, covariance)
    low = drop.interval(BOTH_ENDS).low
    if not low >= (CLIFF_DROP if len(near) > 1 else SHAPELESS_DROP):
        return None
    if len(near) > 1:
        k = steepest_ratio(near[1].lead_days / near[0].lead_days)
        bend = _contrast(np.array([1.0, -1 - k, k]), aucs, covariance)
        if not bend.interval(BOTH_ENDS).low > 0:
            return None
    name, shortest = column.feature.name, near[0].lead_days
    evidence = {"auc": float(aucs[0]), "drop": drop.value, "drop_lower_99": low, "n_churners": n_churners}
    evidence |= {f"auc_{each.lead_days:g}_days_earlier": float(x) for each, x in zip(near, aucs[1:], strict=True)}
    return Finding(
        feature=name,
        probe="cliff_against_lead_time",
        level=Level.SUSPECTED,
        evidence=evidence,
        sentence=(
            f"The AUC of {name} falls from {aucs[0]:.3f} to {aucs[1]:.3f} when it is seen {shortest:g} days earlier: "
            f"it moves with the outcome, not before it."
        ),
        remedy=f"Find out what writes {name}; use its value of {shortest:g} days earlier, or leave it out.",
    )


def _contrast(weights: Floats, aucs: Floats, covariance: Floats) -> Estimate:
    return Estimate(float(weights @ aucs), sqrt(max(float(weights @ covariance @ weights), 0.0)))


def steepest_ratio(leads_ratio: float) -> float:
    """First step over second step of the steepest honest decay, with leads t and `leads_ratio` t (above 1).

    Examples
    --------
    >>> steepest_ratio(2.0)
    4.0
    """
    at_first: float = 0.5 ** (1 / STEEPEST_HALF_LIFE)
    return (1 - at_first) / (at_first - float(at_first**leads_ratio))
