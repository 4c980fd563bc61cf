import numpy as np
import pyarrow as pa
import pytest

from app.ml.leaks.order import id_orders, probe_id_order, probe_row_order
from tests.ml.leaks.build import rows_of

N = 400


def by_place(slope: float, seed: int = 1) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Labels that get more frequent, or rarer, along the rows."""
    place = np.linspace(-1, 1, N)
    return (np.random.default_rng(seed).random(N) < 1 / (1 + np.exp(1 - slope * place))).astype(np.float64)


@pytest.mark.parametrize("slope", [8.0, -8.0])
def test_ids_dealt_by_outcome_are_suspected(slope: float) -> None:
    ids = [f"cus-{i}-EU" for i in range(N)]
    y = by_place(slope)
    found = probe_id_order(pa.array(ids), rows_of(y, ids))
    assert found is not None
    assert found.name == "account_id:order_of_ids"
    assert found.evidence["auc"] > 0.9


def test_ids_that_are_the_age_of_an_account_are_not() -> None:
    ids = [f"cus-{i}-EU" for i in range(N)]
    y = by_place(-1.5)
    assert probe_id_order(pa.array(ids), rows_of(y, ids)) is None


def test_numbers_and_bytes_are_both_tried() -> None:
    by_byte, by_number = id_orders(pa.array(["b9", "a10", "a9"]))
    assert by_byte.tolist() == [2, 0, 1]
    assert by_number.tolist() == [9, 10, 9]
    assert len(id_orders(pa.array(["b9", "none"]))) == 1


def test_a_sorted_source_is_suspected_and_a_shuffled_one_not() -> None:
    y = by_place(8.0)
    places = np.arange(N)
    found = probe_row_order(places, rows_of(y))
    assert found is not None
    assert found.name == "row_number:order_of_rows"
    assert probe_row_order(np.random.default_rng(1).permutation(N), rows_of(y)) is None


def test_under_twenty_churners_it_says_nothing() -> None:
    y = np.repeat([1.0, 0.0], [19, 300])
    assert probe_row_order(np.arange(319), rows_of(y)) is None
