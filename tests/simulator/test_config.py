"""What a config refuses."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.simulator import BrokenFeed, Drift, SimulatorConfig, Treatment

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
DAY = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"n_accounts": 0}, "not 0"),
        ({"seed": -1}, "not -1"),
        ({"start": datetime(2026, 1, 1, tzinfo=UTC)}, "Start is before end"),
        ({"horizon_days": 170, "lead_days": 11}, "at most 180"),
        ({"end": NOON}, "no UTC midnight"),
        ({"end": datetime(2025, 7, 1)}, "no UTC midnight"),  # noqa: DTZ001 - without a zone on purpose
        ({"treatment": Treatment(NOON)}, "no UTC midnight"),
        ({"concept_change_at": datetime(2023, 12, 31, tzinfo=UTC)}, "2023-12-31 is not from"),
        ({"drifts": (Drift("logins", DAY),)}, "'logins' is no kind"),
        ({"drifts": (Drift("login", DAY, factor=1.5),)}, "share of 0..1"),
        ({"broken_feeds": (BrokenFeed("x", DAY),)}, "'x' is no kind"),
        ({"leaks": ("label",)}, "'label' is no leak"),
        ({"treatment": Treatment(DAY, list_share=1.1)}, "not 1.1"),
        ({"late_share": 2.0}, "share is 0..1, not 2.0"),
    ],
)
def test_what_can_not_be_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SimulatorConfig(**fields)


def test_only_the_last_block_may_be_smaller() -> None:
    assert SimulatorConfig(n_accounts=25, block_accounts=10).block_sizes == [10, 10, 5]
    assert SimulatorConfig(n_accounts=20, block_accounts=10).block_sizes == [10, 10]


def test_an_instant_lies_from_start_to_end() -> None:
    config = SimulatorConfig()
    assert config.day_within(config.start) == 0
    assert config.day_within(config.end) == config.n_days == 547
    with pytest.raises(ValueError, match="2025-07-02 is not from 2024-01-01 to 2025-07-01"):
        config.day_within(config.end + timedelta(days=1))
