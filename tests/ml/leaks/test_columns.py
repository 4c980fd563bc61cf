import numpy as np
import pyarrow as pa

from app.ml.leaks.columns import read_like
from tests.ml.leaks.build import column_of


def test_numbers_are_coded_in_order_and_missing_comes_last() -> None:
    column = column_of([3.0, None, 1.0, 3.0, float("inf")])
    assert column.codes.tolist() == [1, 2, 0, 1, 2]
    assert column.distinct.tolist() == [1, 3]
    assert column.missing.tolist() == [False, True, False, False, True]
    assert (column.n_known, column.n_levels) == (2, 3)


def test_texts_and_booleans_are_coded() -> None:
    column = column_of(["b", "a", None, "b"])
    assert column.codes.tolist() == [0, 1, 2, 0]
    assert column.texts is not None
    assert column_of([True, False, True]).codes.tolist() == [1, 0, 1]
    assert column_of([True, False, True]).n_levels == 2


def test_another_table_is_read_alike() -> None:
    column = column_of(["b", "a", None])
    found = read_like(pa.table({"x": ["a", "c", None]}), column)
    assert found[:2].tolist() == [1, -1]
    assert np.isnan(found[2])
    numbers = read_like(pa.table({"x": [5.0, None]}), column_of([1.0]))
    assert numbers[0] == 5
    assert np.isnan(numbers[1])
