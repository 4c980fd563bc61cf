"""What columns are, judged by their cells: expected values by hand."""

from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from app.ml.cells import ColumnKind
from app.ml.inference import ColumnObserver


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
