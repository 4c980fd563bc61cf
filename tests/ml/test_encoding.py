import math

import numpy as np
import pyarrow as pa
import pytest

from app.ml.encoding import MAX_LEVELS, EncodedFeature, Encoder, EncodingError, Value, fit_encoder
from app.ml.frame import Feature, FeatureKind

AGE = Feature("age", FeatureKind.NUMERIC)
PAID = Feature("paid", FeatureKind.BOOLEAN)
PLAN = Feature("plan", FeatureKind.CATEGORICAL)

ENCODER = Encoder(
    (
        EncodedFeature(AGE, (), has_missing=True, fill=30.0),
        EncodedFeature(PAID, (), has_missing=False, fill=1.0),
        EncodedFeature(PLAN, ("basic", "pro"), has_missing=True),
    )
)


def test_rows_by_hand() -> None:
    table = pa.table(
        {
            "plan": ["pro", None, "unseen", "basic"],
            "age": [1.5, None, math.inf, 1e300],
            "paid": [True, None, False, True],
        }
    )
    nan = math.nan
    expected = [[1.5, 1, 0, 1, 0], [nan, 1, 0, 0, 1], [nan, 0, 0, 0, 0], [nan, 1, 1, 0, 0]]
    np.testing.assert_array_equal(ENCODER.encode(table), np.array(expected, dtype=np.float32))


@pytest.mark.parametrize(
    "row",
    [
        {"plan": "pro", "age": 1.5, "paid": True},
        {"plan": None, "age": None, "paid": None},
        {"plan": "unseen", "age": -math.inf, "paid": False},
        {"plan": "basic", "age": math.nan, "paid": True},
    ],
)
def test_one_row_is_encoded_like_a_table(row: dict[str, Value]) -> None:
    schema = pa.schema([("plan", pa.string()), ("age", pa.float64()), ("paid", pa.bool_())])
    table = pa.Table.from_pylist([row], schema=schema)
    np.testing.assert_array_equal(ENCODER.encode_row(row), ENCODER.encode(table))


def test_dictionaries_chunks_and_whole_numbers_are_read() -> None:
    plain = pa.table({"plan": ["pro", "basic"], "age": [1.0, 2.0], "paid": [True, False]})
    fancy = pa.table(
        {
            "plan": pa.chunked_array([pa.array(["pro"]).dictionary_encode(), pa.array(["basic"]).dictionary_encode()]),
            "age": pa.array([1, 2]),
            "paid": pa.chunked_array([[True], [False]]),
        }
    )
    np.testing.assert_array_equal(ENCODER.encode(fancy), ENCODER.encode(plain))


def test_no_rows_are_no_problem() -> None:
    table = pa.table({"plan": pa.array([], pa.string()), "age": pa.array([], pa.float64()), "paid": [None][:0]})
    assert ENCODER.encode(table).shape == (0, 5)


@pytest.mark.parametrize("column", ["plan", "age", "paid"])
def test_a_missing_column_is_named(column: str) -> None:
    table = pa.table({"plan": ["pro"], "age": [1.0], "paid": [True]}).drop_columns([column])
    with pytest.raises(EncodingError, match=column):
        ENCODER.encode(table)


def test_values_of_another_kind_are_refused() -> None:
    with pytest.raises(EncodingError, match="'age' must be a number"):
        ENCODER.encode_row({"age": "old"})
    with pytest.raises(EncodingError, match="'plan' must be text"):
        ENCODER.encode_row({"plan": 3.0})
    with pytest.raises(EncodingError, match="'age' must hold numbers"):
        ENCODER.encode(pa.table({"plan": ["pro"], "age": ["old"], "paid": [True]}))


def test_fitting_freezes_medians_levels_and_missingness() -> None:
    table = pa.table({"age": [1.0, 3.0, 10.0, None] * 6, "plan": ["b", "a", "a", "b"] * 6})
    encoder = fit_encoder(table, [AGE, PLAN]).encoder
    assert encoder.features == (
        EncodedFeature(AGE, (), has_missing=True, fill=3.0),
        EncodedFeature(PLAN, ("a", "b"), has_missing=False),
    )


def test_a_value_missing_for_the_first_time_becomes_the_median() -> None:
    table = pa.table({"age": [1.0, 3.0, 10.0]})
    encoder = fit_encoder(table, [AGE]).encoder
    assert encoder.encode_row({}).tolist() == [[3.0]]


def test_rare_levels_get_no_column() -> None:
    levels = [f"common{i}" for i in range(MAX_LEVELS + 5)] * 10 + ["rare"] * 4
    [plan] = fit_encoder(pa.table({"plan": levels}), [PLAN]).encoder.features
    assert len(plan.levels) == MAX_LEVELS
    assert "rare" not in plan.levels


def test_what_says_nothing_is_left_out_with_a_sentence() -> None:
    table = pa.table({"age": [5.0] * 30, "paid": [True, False] * 15, "plan": [f"id{i}" for i in range(30)]})
    fitted = fit_encoder(table, [AGE, PAID, PLAN])
    assert fitted.encoder.names == ("paid",)
    assert [warning.split()[0] for warning in fitted.warnings] == ["age", "plan"]


def test_nothing_left_is_refused() -> None:
    with pytest.raises(EncodingError, match="no feature is left"):
        fit_encoder(pa.table({"age": [5.0] * 30}), [AGE])


def test_an_encoder_survives_its_json() -> None:
    assert Encoder.from_json(ENCODER.to_json()) == ENCODER


def test_columns_know_their_feature() -> None:
    assert ENCODER.owners.tolist() == [0, 1, 2, 2, 2]
