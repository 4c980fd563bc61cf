"""The best single rule: one column, one cut. A model must beat it, or people are better off with the rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.ml.encoding import EncodedFeature, as_levels, as_numbers, find_column
from app.ml.explain import feature_words, value_text
from app.ml.frame import Feature, FeatureKind, Floats

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Value = float | str | bool | None

N_CUTS = 255  # of a numeric column, about equally many rows apart: a finer cut moves under .4 % of the rows

_SAME_LOSS = 1e-12  # nats per row; below it a difference is rounding, and the first rule stays


@dataclass(frozen=True)
class Rule:
    """Rows that are flagged by the value of one feature.

    Attributes
    ----------
    feature : the column
    operator : how its value compares with `value`
    value : a number, a level, True or False; None is a missing value, which a rule may ask for
    or_missing : whether rows without a value are flagged too
    rates : churn rate of the development rows that are not flagged, and of those that are, half a count added
    log_loss : nats per row, each fold judged by the rates of the others
    """

    feature: Feature
    operator: Literal[">=", "<", "is", "is not"]
    value: Value
    or_missing: bool
    rates: tuple[float, float]
    log_loss: float

    @property
    def words(self) -> str:
        """Such as 'tickets 90d >= 3', 'contract is monthly', 'tenure < 12 or missing'."""
        is_number = isinstance(self.value, float)
        value = f"{self.value:,.6g}" if is_number else "missing" if self.value is None else value_text(self.value)
        return f"{feature_words(self.feature)} {self.operator} {value}{' or missing' if self.or_missing else ''}"

    def flags(self, table: pa.Table) -> Bools:
        """Which rows are flagged: boolean, of shape (n,)."""
        column = find_column(table, self.feature.name)
        if self.feature.kind is FeatureKind.CATEGORICAL:
            levels = as_levels(column, self.feature.name)
            hit = levels.is_null() if self.value is None else pc.fill_null(pc.equal(levels, self.value), False)
            found = np.asarray(hit.to_numpy(zero_copy_only=False), dtype=np.bool_)
            return ~found if self.operator == "is not" else found
        return self._flag_numbers(as_numbers(column, self.feature.name))

    def _flag_numbers(self, numbers: Floats) -> Bools:
        missing = np.isnan(numbers)
        if self.value is None:
            return missing if self.operator == "is" else ~missing
        compare = {">=": np.greater_equal, "<": np.less, "is": np.equal, "is not": np.not_equal}[self.operator]
        hit = compare(numbers, float(self.value)) & ~missing
        return np.asarray(hit | missing if self.or_missing else hit)

    def probabilities(self, table: pa.Table) -> Floats:
        """The churn rate of development rows that the rule treats alike: shape (n,)."""
        return np.where(self.flags(table), self.rates[1], self.rates[0])

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "words": self.words,
            "feature": self.feature.name,
            "operator": self.operator,
            "value": self.value,
            "or_missing": self.or_missing,
            "rates": list(self.rates),
            "cross_validated_log_loss": self.log_loss,
        }


def find_rule(table: pa.Table, y: Floats, folds: Ints, features: Sequence[EncodedFeature]) -> Rule:
    """The rule with the lowest cross-validated log-loss over all columns and cuts.

    A rule parts the rows in two, and says of each the churn rate its part has in the other folds. Log-loss is a proper
    score: it weighs how far the rates lie apart against how many rows they hold for, at any churn rate. Numbers are
    cut at no more than `N_CUTS` values; a level, true, false or a missing value is told from all others; rows without
    a number may go to either part. The part with the higher rate is flagged. One column is looked at at a time, as
    counts by fold and bin: memory is that of one column.

    Parameters
    ----------
    table : pyarrow table of n rows
        The development rows.
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    folds : ndarray of shape (n,)
        0..k-1.
    features : sequence of EncodedFeature
        The columns a rule may use, with the levels that are frequent enough.

    Returns
    -------
    Rule
        Of equal ones the first column's, lowest cut's.
    """
    best: Rule | None = None
    for each in features:
        found = _best_of_column(find_column(table, each.feature.name), y, folds, each)
        if best is None or found.log_loss < best.log_loss - _SAME_LOSS:
            best = found
    if best is None:
        raise ValueError("a rule needs a column")
    return best


@dataclass(frozen=True)
class _Bins:
    """One column: the bin of each row, the last one for rows in none, and the sets of bins that a rule may ask for.

    `sets` has shape (m, bins), 1 where the bin is in the set; `asks` says of each set its value and whether missing
    is in it.
    """

    codes: Ints
    sets: Floats
    asks: list[tuple[Value, bool]]


def _best_of_column(column: pa.Array, y: Floats, folds: Ints, each: EncodedFeature) -> Rule:
    bins = _bin_levels(column, each) if _has_levels(each) else _bin_numbers(column, each)
    n_folds, width = int(folds.max()) + 1, bins.sets.shape[1]
    cells = folds * width + bins.codes
    counts = np.bincount(cells, minlength=n_folds * width).reshape(n_folds, width).astype(np.float64)
    churned = np.bincount(cells, weights=y, minlength=n_folds * width).reshape(n_folds, width)
    inside, inside_churned = bins.sets @ counts.T, bins.sets @ churned.T
    outside, outside_churned = counts.sum(axis=1) - inside, churned.sum(axis=1) - inside_churned
    losses = (_losses(inside, inside_churned) + _losses(outside, outside_churned)) / y.size
    at = int(np.flatnonzero(losses <= losses.min() + _SAME_LOSS)[0])
    rates = [
        float((some[at].sum() + 0.5) / (all_[at].sum() + 1))
        for some, all_ in ((outside_churned, outside), (inside_churned, inside))
    ]
    return _rule(each, bins.asks[at], rates, float(losses[at]))


def _losses(n: Floats, churned: Floats) -> Floats:
    """Summed log-loss of one part of each rule, shape (m,), from counts by rule and fold, shape (m, k)."""
    rate = (churned.sum(axis=1, keepdims=True) - churned + 0.5) / (n.sum(axis=1, keepdims=True) - n + 1)
    losses: Floats = -(churned * np.log(rate) + (n - churned) * np.log1p(-rate)).sum(axis=1)
    return losses


def _rule(each: EncodedFeature, ask: tuple[Value, bool], rates: list[float], loss: float) -> Rule:
    """The part with the higher rate, put the other way round where that is the one outside."""
    value, with_missing = ask
    turned = rates[0] > rates[1]
    is_cut = isinstance(value, float)
    names: tuple[Any, Any] = (">=", "<") if is_cut else ("is", "is not")
    or_missing = is_cut and each.has_missing and with_missing != turned
    ordered = (rates[1], rates[0]) if turned else (rates[0], rates[1])
    return Rule(each.feature, names[turned], value, or_missing, ordered, loss)


def _has_levels(each: EncodedFeature) -> bool:
    return each.feature.kind is not FeatureKind.NUMERIC


def _bin_levels(column: pa.Array, each: EncodedFeature) -> _Bins:
    """A bin for each level, one for missing, one for all other texts."""
    if each.feature.kind is FeatureKind.BOOLEAN:
        numbers = as_numbers(column, each.feature.name)
        values: list[Value] = [False, True]
        codes = np.where(np.isnan(numbers), 2, numbers).astype(np.int64)
        missing = np.isnan(numbers)
    else:
        texts = as_levels(column, each.feature.name)
        values = [*each.levels]
        found = pc.index_in(texts, pa.array(each.levels, pa.large_string()), skip_nulls=True)
        codes = np.asarray(found.fill_null(len(values) + 1).to_numpy(zero_copy_only=False), dtype=np.int64)
        missing = np.asarray(texts.is_null().to_numpy(zero_copy_only=False))
    codes[missing] = len(values)
    if each.has_missing:
        values = [*values, None]
    sets = np.eye(len(values) + 2 - each.has_missing)[: len(values)]
    return _Bins(codes, sets, [(value, value is None) for value in values])


def _bin_numbers(column: pa.Array, each: EncodedFeature) -> _Bins:
    """Bins between cuts, and one for missing, which a rule may put on either side or ask for."""
    numbers = as_numbers(column, each.feature.name)
    missing = np.isnan(numbers)
    ranked = np.sort(numbers[~missing])
    at = np.linspace(0, ranked.size - 1, N_CUTS + 1).astype(np.int64)
    cuts = np.unique(ranked[at])
    cuts = cuts[cuts > ranked[0]]
    codes = np.where(missing, cuts.size + 1, np.searchsorted(cuts, numbers, side="right")).astype(np.int64)
    above = np.triu(np.ones((cuts.size, cuts.size + 2)), k=1)
    above[:, -1] = 0
    asks: list[tuple[Value, bool]] = [(float(cut), False) for cut in cuts]
    if not each.has_missing:
        return _Bins(codes, above, asks)
    with_missing, alone = above.copy(), np.zeros((1, cuts.size + 2))
    with_missing[:, -1] = alone[:, -1] = 1
    sets = np.concatenate([above, with_missing, alone])
    return _Bins(codes, sets, [*asks, *((cut, True) for cut, _ in asks), (None, True)])
