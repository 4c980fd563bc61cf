"""One feature as a score of risk: what must be learned from labels is learned from the other half of the accounts."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from app.ml.frame import FeatureKind, Floats
from app.ml.leaks.columns import Column
from app.ml.leaks.rows import N_HALVES, LabelledRows
from app.stats.arrays import Bools, Ints
from app.stats.levels import auc_of_levels, best_place, count_classes


class Risk(Protocol):
    """How a feature ranks accounts.

    Attributes
    ----------
    strata : ndarray of shape (n,); scores compare among rows of one stratum only
    """

    @property
    def strata(self) -> Ints:
        """Zeros where nothing was learned from labels, else the halves."""

    def scores(self, values: Floats) -> Floats:
        """Of values of the feature, of shape (n,): larger means more at risk; the rows are those it was fitted on."""


@dataclass(frozen=True)
class NumberRisk:
    """The number itself, or its negative; a missing value stands where the other half ranks best with it.

    Attributes
    ----------
    rising : larger numbers are more at risk
    cuts : ndarray of shape (2,); the value at which a row of each half stands where it is missing
    strata : ndarray of shape (n,); the halves
    """

    rising: bool
    cuts: Floats
    strata: Ints

    def scores(self, values: Floats) -> Floats:
        """The numbers, negated where small ones are at risk: shape (n,)."""
        placed = np.where(np.isnan(values), self.cuts[self.strata], values)
        return placed if self.rising else -placed


@dataclass(frozen=True)
class LevelRisk:
    """The churn rate of the level among the other half of the accounts.

    Attributes
    ----------
    rates : ndarray of shape (2, levels + 2), 0..1; by half and level, then missing, then unknown
    strata : ndarray of shape (n,); the halves
    """

    rates: Floats
    strata: Ints

    def scores(self, values: Floats) -> Floats:
        """The rates: shape (n,)."""
        n_known = self.rates.shape[1] - 2
        codes = np.where(np.isnan(values), n_known, values)
        codes = np.where(codes < 0, n_known + 1, codes).astype(np.int64)
        return np.asarray(self.rates[self.strata, codes], dtype=np.float64)


def fit_risk(column: Column, rows: LabelledRows) -> Risk:
    """How the feature ranks accounts best, without flattering itself.

    - The *direction* of a number is taken from all rows. That could lift an AUC near .5, never one near .9: with 20
      churners, a feature of true AUC .9 points the wrong way less than once in 10^6.
    - The *place of missing numbers*, among all places between two values, is chosen on the other half of the accounts.
    - The *rate of a level* is that of the other half, (churners + base rate) / (rows + 1); a level that it does not
      hold has the base rate. Its direction is known, and not turned round.

    Rows are compared within their half: across halves, a row would meet rates that know its own label, and rank
    backwards where its level is rare or tied.
    """
    if column.feature.kind is FeatureKind.CATEGORICAL:
        return LevelRisk(_rates(column, rows), rows.halves)
    rising = best_auc(column, rows, rising=True) >= best_auc(column, rows, rising=False)
    if not column.missing.any():
        return NumberRisk(rising, np.zeros(1), np.zeros_like(rows.halves))
    cuts = [_cut(column, rows, rows.halves != half, rising=rising) for half in range(N_HALVES)]
    return NumberRisk(rising, np.array(cuts), rows.halves)


def best_auc(column: Column, rows: LabelledRows, *, rising: bool) -> float:
    """AUC of a number in one direction, missing values in the best place on these very rows: an upper bound."""
    negative, positive = count_classes(rows.y, column.codes, column.n_known + 1)
    known, extra = slice(0, -1), -1
    if not rising:
        negative, positive = np.roll(negative[::-1], -1), np.roll(positive[::-1], -1)
    place = best_place(negative[known], positive[known], negative[extra], positive[extra])
    return auc_of_levels(
        np.insert(negative[known], place, negative[extra]), np.insert(positive[known], place, positive[extra])
    )


def _cut(column: Column, rows: LabelledRows, learn: Bools, *, rising: bool) -> float:
    """The value between two others where missing ones rank best among rows to learn from; infinite at either end."""
    negative, positive = count_classes(rows.y[learn], column.codes[learn], column.n_known + 1)
    if rising:
        place = best_place(negative[:-1], positive[:-1], negative[-1], positive[-1])
    else:
        place = column.n_known - best_place(negative[-2::-1], positive[-2::-1], negative[-1], positive[-1])
    edges = np.concatenate([[-np.inf], column.distinct, [np.inf]])
    return float(edges[place] / 2 + edges[place + 1] / 2)


def _rates(column: Column, rows: LabelledRows) -> Floats:
    width = column.n_known + 2
    counts = count_classes(rows.y, rows.halves * width + column.codes, N_HALVES * width)
    negative, positive = (each.reshape(N_HALVES, width)[::-1] for each in counts)  # each half learns from the other
    rates: Floats = (positive + rows.y.mean()) / (positive + negative + 1)
    return rates
