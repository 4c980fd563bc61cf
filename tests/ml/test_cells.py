"""Cells as values: expected values by hand."""

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from app.ml.cells import ColumnKind, Unfit, account_ids, to_kind, to_text


def test_numbers_keep_infinity_and_lose_nan() -> None:
    text = to_kind(pa.array([" 1.5", "inf", "nan", "", "N/A", "+2"]), ColumnKind.NUMERIC)
    assert text.to_pylist() == [1.5, float("inf"), None, None, None, 2.0]
    typed = to_kind(pa.array([1.5, float("nan"), None]), ColumnKind.NUMERIC)
    assert typed.to_pylist() == [1.5, None, None]


def test_levels_are_text_without_the_blanks_around_them() -> None:
    assert to_kind(pa.array([" a b ", "", None, "NA"]), ColumnKind.CATEGORICAL).to_pylist() == ["a b", None, None, "NA"]
    assert to_kind(pa.array([1.0, 2.0, None]), ColumnKind.CATEGORICAL).to_pylist() == ["1", "2", None]


def test_instants_without_a_zone_are_utc() -> None:
    cells = pa.array(["2024-01-31", "2024-01-31T10:00:00+02:00", "2024-01-31 10:00:00+00"])
    expected = [datetime(2024, 1, 31, hour, tzinfo=UTC) for hour in (0, 8, 10)]
    assert to_kind(cells, ColumnKind.TIMESTAMP).to_pylist() == expected
    typed = pa.array([datetime(2024, 1, 31)])  # noqa: DTZ001 - a naive one is meant
    assert to_kind(typed, ColumnKind.TIMESTAMP).to_pylist() == expected[:1]


@pytest.mark.parametrize(
    ("cells", "kind", "position"),
    [
        (["1", "", "x"], ColumnKind.NUMERIC, 2),
        (["true", "yes"], ColumnKind.BOOLEAN, 1),
        (["2024-01-01", "2024-13-01"], ColumnKind.TIMESTAMP, 1),
        (["", "1.1.2024"], ColumnKind.TIMESTAMP, 1),
    ],
)
def test_the_first_cell_that_does_not_fit_is_named(cells: list[str], kind: ColumnKind, position: int) -> None:
    with pytest.raises(Unfit) as caught:
        to_kind(pa.array(cells), kind)
    assert caught.value.position == position


@pytest.mark.parametrize("micros", [253_402_300_800_000_000, -62_135_596_800_000_001])
def test_an_instant_that_nobody_can_write_is_refused(micros: int) -> None:
    with pytest.raises(Unfit):
        to_kind(pa.array([micros]).cast(pa.timestamp("us")), ColumnKind.TIMESTAMP)


@pytest.mark.parametrize(
    ("cells", "ids"),
    [
        (pa.array(["00001", " a ", "1.0", "NA"]), ["00001", " a ", "1.0", "NA"]),
        (pa.array([1, -2]), ["1", "-2"]),
        (pa.array([1.0, 123456789.0]), ["1", "123456789"]),
        (pa.array([Decimal("7.00")]), ["7"]),
        (pa.array([2**63], pa.uint64()), ["9223372036854775808"]),
        (pa.array(["x"]).dictionary_encode(), ["x"]),
    ],
)
def test_ids_are_as_written(cells: pa.Array, ids: list[str]) -> None:
    assert account_ids(cells).to_pylist() == ids


@pytest.mark.parametrize(
    ("cells", "position"),
    [
        (pa.array(["a", None]), 1),
        (pa.array(["a", "b", " "]), 2),
        (pa.array(["a" * 201]), 0),
        (pa.array(["a", "\0"]), 1),
        (pa.array([1.0, 1.5]), 1),
        (pa.array([1.0, 2.0**53]), 1),
        (pa.array([float("inf")]), 0),
        (pa.array([float("nan")]), 0),
        (pa.array([Decimal("1.5")]), 0),
        (pa.array([True]), 0),
        (pa.nulls(2), 0),
    ],
)
def test_what_names_no_account_is_refused(cells: pa.Array, position: int) -> None:
    with pytest.raises(Unfit) as caught:
        account_ids(cells)
    assert caught.value.position == position


def test_whole_floats_lose_their_point_as_text() -> None:
    assert to_text(pa.array([1.0, None, 3.0])).to_pylist() == ["1", None, "3"]
    assert to_text(pa.array([1.5, 2.0])).to_pylist() == ["1.5", "2"]
