"""What columns are, judged by their cells: expected values by hand."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from app.ml.inference import ColumnKind, ColumnObserver, Unfit, account_ids, label_word, read_labels, to_kind, to_text


def kind_of(*chunks: list[Any] | pa.Array) -> ColumnKind | None:
    observer, row = ColumnObserver(), 0
    for chunk in chunks:
        cells = chunk if isinstance(chunk, pa.Array) else pa.array(chunk, pa.string())
        observer.observe(cells, first_row=row)
        row += len(cells)
    return observer.kind


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", "-3e2", "+4", ".5", "5."], "numeric"),
        (["29.85", " ", "", "108.15"], "numeric"),  # telco's TotalCharges
        (["1", "NaN", "N/A", "null", "None", "na"], "numeric"),
        (["1", "inf", "-Infinity"], "numeric"),
        (["0", "1"], "numeric"),  # telco's SeniorCitizen
        (["true", "False", "TRUE", ""], "boolean"),
        (["true", "NA"], "boolean"),
        (["Yes", "No"], "categorical"),  # as written, so that requests say what the file says
        (["true", "1"], "categorical"),
        (["1", "2", "three"], "categorical"),
        (["0x10"], "categorical"),
        (["1_000"], "categorical"),
        (["1,5"], "categorical"),
        (["2024-01-31", "2024-01-31T10:00:00Z", "2024-01-31 10:00:00.123456789+02:00"], "timestamp"),
        (["2024-01-31", "2024-02-30"], "categorical"),
        (["31/01/2024"], "categorical"),
        (["", " ", "\t"], None),
        (["NA", "nan"], None),
        ([None, None], None),
    ],
)
def test_text_is_what_all_of_its_cells_are(cells: list[str], kind: str | None) -> None:
    assert kind_of(cells) == kind


def test_a_late_cell_changes_the_kind_and_is_remembered() -> None:
    observer = ColumnObserver()
    observer.observe(pa.array(["1", "2"]), first_row=0)
    observer.observe(pa.array(["3", "-", "4", "x"]), first_row=2)
    assert observer.kind is ColumnKind.CATEGORICAL
    assert (observer.was_numeric, observer.first_text_row) == (True, 3)


def test_mostly_numbers_from_the_start_are_remembered_too() -> None:
    observer = ColumnObserver()
    observer.observe(pa.array(["1", "many", "3"]), first_row=0)
    assert (observer.was_numeric, observer.first_text_row) == (True, 1)


def test_missing_words_alone_in_a_chunk_decide_nothing() -> None:
    assert kind_of(["NA", ""], ["1", "2"]) is ColumnKind.NUMERIC
    assert kind_of(["NA", ""], ["EU", "AP"]) is ColumnKind.CATEGORICAL


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (pa.array([1, None]), "numeric"),
        (pa.array([Decimal("1.5")]), "numeric"),
        (pa.array([True]), "boolean"),
        (pa.array([date(2024, 1, 1)]), "timestamp"),
        (pa.array(["1", "2"]).dictionary_encode(), "numeric"),
        (pa.array(["a"], pa.large_string()), "categorical"),
        (pa.array([b"a"]), "unsupported"),
        (pa.array([[1]]), "unsupported"),
        (pa.nulls(3), None),
    ],
)
def test_typed_cells_are_what_they_declare(cells: pa.Array, kind: str | None) -> None:
    assert kind_of(cells) == kind


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


@pytest.mark.parametrize(
    ("text", "word"), [("1.0", "1"), ("01", "1"), ("True", "true"), (" Yes ", "Yes"), ("yes", "yes"), ("1.5", "1.5")]
)
def test_a_label_has_one_spelling(text: str, word: str) -> None:
    assert label_word(text) == word


@pytest.mark.parametrize(
    ("cells", "positive", "labels", "others"),
    [
        (pa.array(["Yes", "No", "", None, "nan"]), "Yes", [1, 0, np.nan, np.nan, np.nan], {"No"}),
        (pa.array([1, 0, None]), "1", [1, 0, np.nan], {"0"}),
        (pa.array([1.0, 0.0, float("nan")]), "1", [1, 0, np.nan], {"0"}),
        (pa.array([True, False, None]), "True", [1, 0, np.nan], {"false"}),
        (pa.array(["yes", "no"]), "Yes", [0, 0], {"yes", "no"}),
        (pa.array(["none", "left"]), "none", [1, 0], {"left"}),
        (pa.nulls(2), "1", [np.nan, np.nan], set()),
    ],
)
def test_labels_are_read_by_the_positive_value(
    cells: pa.Array, positive: str, labels: list[float], others: set[str]
) -> None:
    found, words = read_labels(cells, positive)
    np.testing.assert_array_equal(found, labels)
    assert words == others


def test_whole_floats_lose_their_point_as_text() -> None:
    assert to_text(pa.array([1.0, None, 3.0])).to_pylist() == ["1", None, "3"]
    assert to_text(pa.array([1.5, 2.0])).to_pylist() == ["1.5", "2"]
