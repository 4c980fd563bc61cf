"""The best single rule, against a slow search over every cut, and by hand."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as theirs

from app.ml.encoding import EncodedFeature, fit_encoder
from app.ml.frame import Feature, FeatureKind, Floats
from app.ml.single_rule import Ints, Rule, find_rule
from tests.ml.planted import FEATURES, planted


def prepared(n: int, seed: int) -> tuple[pa.Table, Floats, Ints, tuple[EncodedFeature, ...]]:
    data = planted(n, seed)
    assert data.frame.churned is not None
    folds = np.random.default_rng(seed).integers(0, 4, n)
    return data.frame.features, data.frame.churned, folds, fit_encoder(data.frame.features, FEATURES).encoder.features


def every_part(table: pa.Table, features: tuple[EncodedFeature, ...]) -> Iterator[tuple[str, list[bool]]]:
    """The rows of one part of every rule there can be, column by column, value by value."""
    for each in features:
        values = table[each.feature.name].to_pylist()
        distinct = sorted({value for value in values if value is not None})
        if each.feature.kind is FeatureKind.NUMERIC:
            for cut in distinct[1:]:
                yield each.feature.name, [value is not None and value >= cut for value in values]
                yield each.feature.name, [value is None or value >= cut for value in values]
        else:
            for level in distinct:
                yield each.feature.name, [value == level for value in values]
        if None in values:
            yield each.feature.name, [value is None for value in values]


def slow_loss(part: list[bool], y: Floats, folds: Ints) -> float:
    losses = []
    for row in range(y.size):
        others = [i for i in range(y.size) if folds[i] != folds[row] and part[i] == part[row]]
        rate = (sum(y[i] for i in others) + 0.5) / (len(others) + 1)
        losses.append(-np.log(rate if y[row] == 1 else 1 - rate))
    return float(np.mean(losses))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_rule_of_a_slow_search_is_better(seed: int) -> None:
    table, y, folds, features = prepared(60, seed)
    found = find_rule(table, y, folds, features)
    slow = {
        (name, tuple(part), not_part): loss
        for name, part in every_part(table, features)
        for loss in [slow_loss(part, y, folds)]
        for not_part in (False, True)
    }
    assert found.log_loss == pytest.approx(min(slow.values()))
    best = {key for key, loss in slow.items() if loss == pytest.approx(min(slow.values()))}
    flags = found.flags(table).tolist()
    assert any(name == found.feature.name and [each != turned for each in part] == flags for name, part, turned in best)


def rule_on(column: pa.Array, kind: FeatureKind, y: list[float]) -> Rule:
    table = pa.table({"tickets_90d": column})
    features = fit_encoder(table, [Feature("tickets_90d", kind)]).encoder.features
    return find_rule(table, np.array(y), np.arange(len(y)) % 3, features)


@pytest.mark.parametrize(
    ("values", "kind", "y", "words"),
    [
        ([0, 1, 2, 3, 4, 5] * 6, FeatureKind.NUMERIC, [0, 0, 0, 1, 1, 1] * 6, "tickets 90d >= 3"),
        ([0, 1, 2, 3, 4, 5] * 6, FeatureKind.NUMERIC, [1, 1, 0, 0, 0, 0] * 6, "tickets 90d < 2"),
        ([0, 1, 2, None, 4, 5] * 6, FeatureKind.NUMERIC, [1, 1, 0, 1, 0, 0] * 6, "tickets 90d < 2 or missing"),
        ([0, 1, 2, None, 4, 5] * 6, FeatureKind.NUMERIC, [1, 1, 0, 0, 0, 0] * 6, "tickets 90d < 2"),
        ([0, 1, 2, None, 4, 5] * 6, FeatureKind.NUMERIC, [0, 0, 0, 1, 1, 1] * 6, "tickets 90d >= 4 or missing"),
        ([0, 1, 2, None, 4, 5] * 6, FeatureKind.NUMERIC, [0, 0, 0, 1, 0, 0] * 6, "tickets 90d is missing"),
        ([0, 1, 2, None, 4, 5] * 6, FeatureKind.NUMERIC, [1, 1, 1, 0, 1, 1] * 6, "tickets 90d is not missing"),
        ([1234.5, 2345.678] * 9, FeatureKind.NUMERIC, [0, 1] * 9, "tickets 90d >= 2,345.68"),
        (["a", "b", "c"] * 9, FeatureKind.CATEGORICAL, [0, 1, 0] * 9, "tickets 90d is b"),
        (["a", "b", "c"] * 9, FeatureKind.CATEGORICAL, [1, 0, 1] * 9, "tickets 90d is not b"),
        (["a", None, "c"] * 9, FeatureKind.CATEGORICAL, [0, 1, 0] * 9, "tickets 90d is missing"),
        ([True, False, None] * 9, FeatureKind.BOOLEAN, [0, 1, 0] * 9, "tickets 90d is no"),
        ([True, False, None] * 9, FeatureKind.BOOLEAN, [0, 0, 1] * 9, "tickets 90d is missing"),
    ],
)
def test_rules_in_words(values: list[Any], kind: FeatureKind, y: list[float], words: str) -> None:
    column = pa.array(values, pa.float64() if kind is FeatureKind.NUMERIC else None)
    found = rule_on(column, kind, y)
    assert found.words == words
    assert found.flags(pa.table({"tickets_90d": column})).tolist() == [label == 1 for label in y]


def test_probabilities_are_the_rates_of_the_parts() -> None:
    table, y, folds, features = prepared(900, 4)
    rule = find_rule(table, y, folds, features)
    flags, p = rule.flags(table), rule.probabilities(table)
    for part in (flags, ~flags):
        assert p[part] == pytest.approx(np.full(part.sum(), (y[part].sum() + 0.5) / (part.sum() + 1)))
    assert rule.rates[1] > rule.rates[0]
    recall, fallout = y[flags].sum() / y.sum(), (1 - y[flags]).sum() / (1 - y).sum()
    assert theirs.roc_auc_score(y, p) == pytest.approx((1 + recall - fallout) / 2)


def test_rows_in_another_order_give_the_same_rule() -> None:
    table, y, folds, features = prepared(900, 5)
    order = np.random.default_rng(0).permutation(900)
    assert find_rule(table.take(pa.array(order)), y[order], folds[order], features) == find_rule(
        table, y, folds, features
    )


def test_values_never_seen_have_a_side() -> None:
    rule = rule_on(pa.array(["a", "b", "c"] * 9), FeatureKind.CATEGORICAL, [0, 1, 0] * 9)
    assert rule.flags(pa.table({"tickets_90d": ["b", "new", None]})).tolist() == [True, False, False]
    cut = rule_on(pa.array([0.0, 1, 2, 3] * 9), FeatureKind.NUMERIC, [0, 0, 1, 1] * 9)
    assert cut.flags(pa.table({"tickets_90d": [2.0, np.inf, None, 9.0]})).tolist() == [True, False, False, True]
