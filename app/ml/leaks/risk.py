"""One feature as a score of risk: what must be learned from labels is learned from the accounts of other folds."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from app.ml.frame import FeatureKind, Floats
from app.ml.leaks.columns import Column
from app.ml.leaks.rows import N_FOLDS, LabelledRows
from app.stats.arrays import Ints
from app.stats.levels import auc_of_levels, best_place, count_classes


class Risk(Protocol):
    """How a feature ranks accounts."""

    def scores(self, values: Floats) -> Floats:
        """Of values of the feature, of shape (n,): larger means more at risk; the rows are those it was fitted on."""


@dataclass(frozen=True)
class NumberRisk:
    """The number itself, or its negative; a missing value stands where the other folds rank best with it.

    Attributes
    ----------
    rising : larger numbers are more at risk
    cuts : ndarray of shape (5,); the value at which a row of each fold stands where it is missing
    folds : ndarray of shape (n,)
    """

    rising: bool
    cuts: Floats
    folds: Ints

    def scores(self, values: Floats) -> Floats:
        """The numbers, negated where small ones are at risk: shape (n,)."""
        placed = np.where(np.isnan(values), self.cuts[self.folds], values)
        return placed if self.rising else -placed


@dataclass(frozen=True)
class LevelRisk:
    """The churn rate of the level among the accounts of other folds.

    Attributes
    ----------
    rates : ndarray of shape (5, levels + 2), 0..1; by fold and level, then missing, then unknown
    folds : ndarray of shape (n,)
    """

    rates: Floats
    folds: Ints

    def scores(self, values: Floats) -> Floats:
        """The rates: shape (n,)."""
        n_known = self.rates.shape[1] - 2
        codes = np.where(np.isnan(values), n_known, values)
        codes = np.where(codes < 0, n_known + 1, codes).astype(np.int64)
        return np.asarray(self.rates[self.folds, codes], dtype=np.float64)


def fit_risk(column: Column, rows: LabelledRows) -> Risk:
    """How the feature ranks accounts best, without flattering itself.

    - The *direction* of a number is taken from all rows. That could lift an AUC near .5, never one near .9: with 20
      churners, a feature of true AUC .9 points the wrong way less than once in 10^6.
    - The *place of missing numbers* is chosen on the accounts of the other folds, among all places between two values.
    - The *rate of a level* is that of the other folds, (churners + base rate) / (rows + 1); a level that they do not
      hold has the base rate. Its direction is known, and not turned round: out of fold a rate that means nothing ranks
      slightly backwards.
    """
    if column.feature.kind is FeatureKind.CATEGORICAL:
        return LevelRisk(_rates(column, rows), rows.folds)
    rising = best_auc(column, rows, rising=True) >= best_auc(column, rows, rising=False)
    if not column.missing.any():
        return NumberRisk(rising, np.zeros(N_FOLDS), rows.folds)
    by_fold = [_cut(column, *_counts_outside(column, rows, fold), rising=rising) for fold in range(N_FOLDS)]
    return NumberRisk(rising, np.array(by_fold), rows.folds)


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


def _counts_outside(column: Column, rows: LabelledRows, fold: int) -> tuple[Floats, Floats]:
    outside = rows.folds != fold
    return count_classes(rows.y[outside], column.codes[outside], column.n_known + 1)


def _cut(column: Column, negative: Floats, positive: Floats, *, rising: bool) -> float:
    """The value between two others where missing ones rank best; infinite at either end."""
    if rising:
        place = best_place(negative[:-1], positive[:-1], negative[-1], positive[-1])
    else:
        place = column.n_known - best_place(negative[-2::-1], positive[-2::-1], negative[-1], positive[-1])
    edges = np.concatenate([[-np.inf], column.distinct, [np.inf]])
    return float(edges[place] / 2 + edges[place + 1] / 2)


def _rates(column: Column, rows: LabelledRows) -> Floats:
    width = column.n_known + 2
    base = float(rows.y.mean())
    cells = rows.folds * width + column.codes
    counts = count_classes(rows.y, cells, N_FOLDS * width)
    negative, positive = (each.reshape(N_FOLDS, width) for each in counts)
    n = negative + positive
    elsewhere = positive.sum(axis=0) - positive
    rates: Floats = (elsewhere + base) / (n.sum(axis=0) - n + 1)
    return rates
