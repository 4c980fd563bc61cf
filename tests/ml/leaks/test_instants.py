from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from app.ml.leaks.findings import Finding, Level
from app.ml.leaks.instants import probe_instants
from tests.ml.leaks.build import column_of, rows_of

AS_OF = [datetime(2024, 1 + i % 3, 1, tzinfo=UTC) for i in range(30)]
Y = np.array([1.0] + [0.0] * 29)  # one churner: a logical probe needs no more
BEFORE = [each - timedelta(days=3 + i) for i, each in enumerate(AS_OF)]
LATE = [AS_OF[0] + timedelta(days=11), *BEFORE[1:]]


def probe(values: Sequence[str | float | None], name: str = "closed_at") -> Finding | None:
    return probe_instants(column_of(values, name), rows_of(Y, as_of=AS_OF))


def test_one_text_after_as_of_is_certain() -> None:
    found = probe([each.strftime("%Y-%m-%d") for each in LATE])
    assert found is not None
    assert found.name == "closed_at:instant_after_as_of"
    assert found.level is Level.CERTAIN
    assert found.evidence["n_at_or_after"] == found.evidence["n_at_or_after_churned"] == 1
    assert found.evidence["latest_days_after"] == 11


def test_at_as_of_is_too_late() -> None:
    assert probe([AS_OF[0].isoformat(), *[None] * 29]) is not None
    assert probe([(AS_OF[0] - timedelta(seconds=1)).isoformat(), *[None] * 29]) is None


def test_zones_are_heard() -> None:
    assert probe(["2024-01-01T00:30:00+01:00", *[None] * 29]) is None
    assert probe(["2023-12-31T23:30:00-01:00", *[None] * 29]) is not None


def test_each_row_has_its_own_as_of() -> None:
    same = ["2024-01-15"] * 30  # late for the ten rows of January
    found = probe(same)
    assert found is not None
    assert found.evidence["n_at_or_after"] == 10


@pytest.mark.parametrize("unit", [1.0, 1e3], ids=["seconds", "milliseconds"])
def test_epochs_after_as_of_are_certain(unit: float) -> None:
    found = probe([each.timestamp() * unit for each in LATE])
    assert found is not None
    assert found.level is Level.CERTAIN
    assert probe([each.timestamp() * unit for each in BEFORE]) is None


def test_calendar_numbers_after_as_of_are_certain() -> None:
    assert probe([float(each.strftime("%Y%m%d")) for each in LATE], "x") is not None
    assert probe([float(each.strftime("%Y%m%d")) for each in BEFORE], "x") is None


def test_epochs_of_an_unnamed_column_are_suspected() -> None:
    found = probe([each.timestamp() + 77 for each in LATE], "x")
    assert found is not None
    assert found.level is Level.SUSPECTED


def test_an_open_end_is_none() -> None:
    assert probe(["9999-12-31"] * 30) is None


def test_other_words_are_no_instants() -> None:
    assert probe(["2024", "gold", "2024-13-45", "12:30", "2031-01"] * 6) is None


def test_undated_rows_and_booleans_are_passed_over() -> None:
    texts = column_of(["2024-05-01"] * 30)
    assert probe_instants(texts, rows_of(Y)) is None
    assert probe_instants(column_of([True, False] * 15), rows_of(Y, as_of=AS_OF)) is None
