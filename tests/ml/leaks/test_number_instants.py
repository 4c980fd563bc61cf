from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from app.ml.frame import Floats
from app.ml.leaks.number_instants import Reading, days_us, named_like_instant, read_numbers

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
DAYS = [datetime(2023, 1, 1, tzinfo=UTC) + timedelta(days=37 * i) for i in range(20)]
SECONDS = np.array([each.timestamp() + 4321 for each in DAYS])


def read(numbers: Floats, name: str = "x") -> Reading | None:
    at = AS_OF.timestamp() * 1e6
    return read_numbers(np.unique(numbers), name, at, at)


@pytest.mark.parametrize("unit", [1, 1e3], ids=["seconds", "milliseconds"])
def test_epochs_of_a_column_named_so_are_sure(unit: float) -> None:
    found = read(SECONDS * unit, "cancelled_at")
    assert found is not None
    assert found.is_sure
    np.testing.assert_array_equal(found.instants_us, SECONDS * 1e6)


def test_epochs_without_a_name_are_perhaps() -> None:
    found = read(SECONDS)
    assert found is not None
    assert not found.is_sure


def test_midnights_and_calendar_days_are_sure_without_a_name() -> None:
    midnights = np.array([each.timestamp() for each in DAYS])
    calendar = np.array([float(each.strftime("%Y%m%d")) for each in DAYS])
    for numbers in (midnights, midnights * 1e3, calendar):
        found = read(numbers)
        assert found is not None
        assert found.is_sure
        np.testing.assert_array_equal(found.instants_us, midnights * 1e6)


def test_a_zero_and_one_open_end_are_no_instants() -> None:
    found = read(np.append([0.0, 20230101, 20230202, 20230303, 20240404, 20240505], 99991231.0))
    assert found is not None
    assert np.isfinite(found.instants_us).tolist() == [False, *[True] * 5, False]


@pytest.mark.parametrize("seed", range(5))
def test_ordinary_numbers_are_none(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ordinary = {
        "revenue": rng.lognormal(21, 0.5, 500).round(),  # about 1.3e9
        "spread revenue": rng.integers(1_000_000_000, 2_000_000_000, 500).astype(float),
        "round revenue": rng.integers(10, 20, 500) * 1e8,
        "revenue with cents": rng.uniform(1.6e9, 1.75e9, 500).round(2),
        "around twenty million": rng.integers(20_000_000, 20_300_000, 500).astype(float),
        "counts": rng.poisson(3, 500).astype(float),
        "seconds of use": rng.integers(0, 40, 500) * 86_400.0 + 5,
    }
    for name, numbers in ordinary.items():
        assert read(numbers) is None, name


def test_a_name_alone_makes_no_instants() -> None:
    rng = np.random.default_rng(1)
    assert read(rng.lognormal(21, 0.5, 500).round(), "spend_at") is None
    assert read(np.arange(50.0), "support_time") is None
    assert read(np.array([1.5e9 + 7, 1.6e9 + 3, 5e9, 6e9]), "balance_at") is None  # two open ends are none


def test_last_words_of_names() -> None:
    assert [named_like_instant(n) for n in ("cancelledAt", "last-login-ts", "end date", "date")] == [True] * 4
    assert [named_like_instant(n) for n in ("format", "revenue_to_date", "datapoints", "at_risk")] == [False] * 4


def test_days_that_do_not_exist_are_nan() -> None:
    found = days_us(np.array([20240229.0, 20230229, 20231301, 20231200, 18991231, np.nan]))
    assert found[0] == datetime(2024, 2, 29, tzinfo=UTC).timestamp() * 1e6
    assert np.isnan(found[1:]).all()
