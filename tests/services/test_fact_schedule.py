"""Instants by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.schemas.events import EventsIn
from app.services.fact_schedule import FactSpan, schedule_instants

JULY = datetime(2024, 7, 1, tzinfo=UTC)


def described(**more: Any) -> EventsIn:
    body = {"name": "d", "kind": "events", "events": {}, "active": {"kind": "event", "days": 30}, "horizon_days": 30}
    return EventsIn.model_validate(body | {"windows_days": [7, 60], "step_days": 20} | more)


def span(*, logged_days: int, label_days: int = 30) -> FactSpan:
    logged_from = JULY - timedelta(days=logged_days)
    return FactSpan(logged_from, logged_from + timedelta(days=30), JULY, timedelta(days=label_days))


def days_before(instants: tuple[datetime, ...]) -> list[int]:
    return [(JULY - each).days for each in instants]


def test_steps_go_back_from_the_newest_matured_instant_while_somebody_can_be_active() -> None:
    found = schedule_instants(described(), span(logged_days=130))
    assert days_before(found.matured) == [30, 50, 70, 90]  # at 110 only 20 days are logged, and 30 make one active
    assert days_before(found.immature) == [10]
    assert found.warnings == (
        "1 of 4 instants are less than 60 days after the first event: their longest windows reach back to before the "
        "log began.",
    )


def test_no_more_instants_than_are_asked_for() -> None:
    found = schedule_instants(described(step_days=1, max_instants=3), span(logged_days=400, label_days=300))
    assert days_before(found.matured) == [300, 301, 302]
    assert days_before(found.immature) == [297, 298, 299]


def test_a_log_that_is_younger_than_the_horizon_has_none() -> None:
    assert schedule_instants(described(), span(logged_days=20)).matured == ()


def test_contracts_that_stopped_coming_are_said() -> None:
    quiet = replace(span(logged_days=600), changed_at=JULY - timedelta(days=45))
    [warning] = schedule_instants(described(), quiet).warnings
    assert warning.startswith("No subscription began or ended in the 45 days before 2024-07-01")
    lively = replace(quiet, changed_at=JULY - timedelta(days=30))
    assert schedule_instants(described(), lively).warnings == ()


def test_named_instants_after_the_facts_are_said() -> None:
    instants = [(JULY + timedelta(days=days)).isoformat() for days in (-200, -40, -5, 3)]
    found = schedule_instants(described(instants=instants), span(logged_days=600))
    assert (days_before(found.matured), days_before(found.immature)) == ([40, 200], [5])
    assert found.warnings == ("Instants after 2024-07-01, where the facts end, used for nothing: 2024-07-04.",)
