import numpy as np
import pyarrow as pa
import pytest

from app.ml.leaks.filling import probe_filling
from app.ml.leaks.findings import Level
from tests.ml.leaks.build import column_of, rows_of

Y = np.repeat([1.0, 0.0], [20, 180])  # a tenth churns


def filled_for(n: int) -> pa.Array:
    return pa.array(np.arange(200.0), mask=np.arange(200) >= n)


@pytest.mark.parametrize(("n_filled", "n_features", "speaks"), [(6, 1, False), (7, 1, True), (9, 200, True)])
def test_chance_over_all_features_decides(n_filled: int, n_features: int, speaks: bool) -> None:
    # .1^6 is not under 10^-6; .1^7 is; 200 x .1^9 = 2e-7
    found = probe_filling(column_of(filled_for(n_filled)), rows_of(Y, n_features=n_features))
    assert bool(found) is speaks
    if found:
        assert found[0].level is Level.CERTAIN
        assert found[0].name == "x:filled_only_for_churners"
        assert found[0].evidence["chance"] == pytest.approx(n_features * 0.1**n_filled)


def test_it_speaks_under_twenty_churners() -> None:
    y = np.repeat([1.0, 0.0], [10, 190])
    assert probe_filling(column_of(filled_for(10)), rows_of(y))


def test_one_other_filled_row_is_enough_to_be_silent() -> None:
    assert probe_filling(column_of(filled_for(21)), rows_of(Y)) == ()


def test_missing_only_for_churners_is_suspected() -> None:
    [found] = probe_filling(column_of(pa.array(np.arange(200.0), mask=np.arange(200) < 12)), rows_of(Y))
    assert (found.probe, found.level) == ("missing_only_for_churners", Level.SUSPECTED)


def test_rows_of_one_account_count_once() -> None:
    accounts = [min(i // 20, 9) for i in range(200)]
    assert probe_filling(column_of(filled_for(20)), rows_of(Y, accounts)) == ()


def test_a_column_without_gaps_is_passed_over() -> None:
    assert probe_filling(column_of(np.arange(200.0)), rows_of(Y)) == ()
