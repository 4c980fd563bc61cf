import numpy as np
import pyarrow as pa

from app.ml.frame import Frame
from app.ml.leaks.rows import labelled_positions
from tests.ml.leaks.build import rows_of


def frame(accounts: list[str], churned: list[float]) -> Frame:
    return Frame(pa.array(accounts), pa.table({"x": churned}), np.array(churned))


def test_accounts_are_counted_once() -> None:
    rows = rows_of([1, 1, 0, 0, 0, 1], ["a", "a", "a", "b", "c", "d"])
    assert (rows.n_accounts, rows.n_churners, rows.n_stayers) == (4, 2, 3)
    assert rows.churner_share == 0.5


def test_one_row_of_each_account() -> None:
    accounts = ["a", "b", "a", "c", "b"]
    rows = rows_of([0, 1, 0, 1, 0], accounts)
    assert sorted(accounts[i] for i in rows.one_each) == ["a", "b", "c"]


def test_halves_hold_whole_accounts_and_equally_many_churners() -> None:
    y = np.repeat([1.0, 0.0], [40, 160])
    rows = rows_of(y, [i // 4 for i in range(200)])
    assert all(np.unique(rows.halves[rows.accounts == a]).size == 1 for a in range(50))
    assert [int(y[rows.halves == h].sum()) for h in (0, 1)] == [20, 20]


def test_a_sample_keeps_accounts_whole() -> None:
    accounts = [f"a{i // 7}" for i in range(700)]
    rows = labelled_positions(frame(accounts, [0.0] * 700), seed=3, max_rows=100)
    assert rows.size == 98
    assert len({accounts[i] for i in rows}) == 14
    np.testing.assert_array_equal(rows, labelled_positions(frame(accounts, [0.0] * 700), seed=3, max_rows=100))
    assert not np.array_equal(rows, labelled_positions(frame(accounts, [0.0] * 700), seed=4, max_rows=100))


def test_only_rows_with_a_label_are_taken() -> None:
    assert labelled_positions(frame(["a", "b", "c"], [1.0, float("nan"), 0.0]), seed=0).tolist() == [0, 2]
