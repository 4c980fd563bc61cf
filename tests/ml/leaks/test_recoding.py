import numpy as np
import pyarrow as pa
import pytest
from scipy.special import comb

from app.ml.leaks.recoding import probe_recoding
from tests.ml.leaks.build import column_of, rows_of

Y = np.tile([1.0, 0, 0, 0], 25)


@pytest.mark.parametrize(
    "values",
    [
        Y,
        [["stays", "left"][int(each)] for each in Y],
        [[f"plan {i % 3}", f"closed {i % 2}"][int(each)] for i, each in enumerate(Y)],
        [[None, "closed"][int(each)] for each in Y],
        pa.array(Y == 1),
    ],
    ids=["copy", "words", "many to one", "missing", "boolean"],
)
def test_every_coding_is_found(values: list[str | None]) -> None:
    found = probe_recoding(column_of(values), rows_of(Y, n_features=200))
    assert found is not None
    assert found.name == "x:recoding_of_label"


def test_one_exception_makes_it_none() -> None:
    x = Y.copy()
    x[0] = 0
    assert probe_recoding(column_of(x), rows_of(Y)) is None


def test_ten_churners_speak_and_tiny_data_do_not() -> None:
    few = np.repeat([1.0, 0.0], [10, 40])  # 4 of 50 over 10 = 1e10
    found = probe_recoding(column_of(few), rows_of(few, n_features=30))
    assert found is not None
    assert found.evidence["chance"] == pytest.approx(30 * 4 / comb(50, 10))
    tiny = np.repeat([1.0, 0.0], [5, 15])  # 4 of 15,504
    assert probe_recoding(column_of(tiny), rows_of(tiny)) is None


def test_a_value_for_each_row_is_no_recoding() -> None:
    assert probe_recoding(column_of(Y + np.linspace(0, 0.5, 100)), rows_of(Y)) is None


def test_features_of_noise_on_tiny_data_are_silent() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        n = int(rng.integers(4, 40))
        y = (rng.random(n) < 0.3).astype(float)
        x = rng.integers(0, int(rng.integers(2, 12)), n).astype(float)
        assert probe_recoding(column_of(x), rows_of(y)) is None


def test_rows_of_one_account_count_once() -> None:
    y, accounts = np.repeat([1.0, 0.0], [30, 70]), np.repeat([0, 1, 2, 3], [15, 15, 35, 35])
    assert probe_recoding(column_of(y), rows_of(y)) is not None
    assert probe_recoding(column_of(y), rows_of(y, accounts.tolist())) is None
