"""The hazard and the transitions against hand calculation."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from app.simulator import PriceChange, SimulatorConfig
from app.simulator.laws import START_STATES, cell_of, class_of, make_laws, rate_table, transitions

CONFIG = SimulatorConfig()
STEADY, TROUBLED_STEADY, DORMANT = 2, 3, 6


def cell(*, monthly: bool = False, near_renewal: bool = False, integrated: bool = False, dear: bool = False) -> int:
    return int(cell_of(*(np.array([flag]) for flag in (monthly, near_renewal, integrated, dear)))[0])


@pytest.mark.parametrize(
    ("row", "state", "log_rate"),
    [
        (cell(monthly=True), STEADY, -7.8),
        (cell(monthly=True), DORMANT, -7.8 + 3.1),
        (cell(monthly=True), TROUBLED_STEADY, -7.8 + 2.2),
        (cell(monthly=True, integrated=True), TROUBLED_STEADY, -7.8),
        (cell(), DORMANT, -10.2 + 0.15 * 3.1),
        (cell(near_renewal=True), DORMANT, -6.6 + 1.1 * 3.1),
        (cell(near_renewal=True, dear=True), DORMANT, -6.6 + 1.1 * 3.1 + 1.1),
        (cell(near_renewal=True, dear=True), STEADY, -6.6),
        (cell(dear=True), DORMANT, -10.2 + 0.15 * 3.1),
    ],
)
def test_the_hazard_by_hand(row: int, state: int, log_rate: float) -> None:
    assert rate_table(concept_changed=False)[row, state] == pytest.approx(np.exp(log_rate))


def test_after_the_concept_change_trouble_counts_with_an_integration() -> None:
    rates = rate_table(concept_changed=True)
    for integrated, factor in ((False, 1.0), (True, np.exp(2.2))):
        row = rates[cell(monthly=True, integrated=integrated)]
        assert row[TROUBLED_STEADY] / row[STEADY] == pytest.approx(factor)


def test_after_the_concept_change_low_engagement_counts_for_a_third_and_a_dear_clause_for_all() -> None:
    rates = rate_table(concept_changed=True)
    assert rates[cell(monthly=True), DORMANT] / rates[cell(monthly=True), STEADY] == pytest.approx(np.exp(0.35 * 3.1))
    assert rates[cell(monthly=True, dear=True), STEADY] / rates[cell(monthly=True), STEADY] == pytest.approx(
        np.exp(1.1)
    )


def test_chances_of_moving_sum_to_one() -> None:
    assert transitions().sum(axis=2) == pytest.approx(1)
    assert (transitions() >= 0).all()
    assert START_STATES.sum() == pytest.approx(1)


def test_a_move_by_hand() -> None:
    """From steady in trouble, alone and small: falls 2.5 times as fast, and trouble ends with .016."""
    row = transitions()[class_of(np.array([False]), np.array([False]))[0], TROUBLED_STEADY]
    assert row[4] == pytest.approx(0.008 * 2.5 * 0.016)  # fading, out of trouble
    assert row[5] == pytest.approx(0.008 * 2.5 * 0.984)
    assert row[TROUBLED_STEADY] == pytest.approx((1 - 0.008 - 0.02) * 0.984)
    assert row[6:] == pytest.approx(0)  # no two steps on one day


def test_the_year_the_age_and_the_renewal() -> None:
    laws = make_laws(CONFIG)
    assert laws.calendar[0] == pytest.approx(np.exp(0.2))  # the first of January
    assert laws.tenure[[0, 365]] == pytest.approx([1, 2**-0.4])
    assert np.flatnonzero(laws.open_by_age)[[0, 44, 45]].tolist() == [320, 364, 685]


def test_the_share_of_ends_that_last() -> None:
    """A quarter comes back after 3..90 days; a grace of 30 days takes in 28 of these 88."""
    assert make_laws(CONFIG).lasting_share == pytest.approx(1 - 0.25 * 28 / 88)
    assert make_laws(replace(CONFIG, grace_days=0)).lasting_share == 1
    assert make_laws(replace(CONFIG, grace_days=400)).lasting_share == pytest.approx(0.75)


def test_a_price_change_multiplies_every_hazard_from_its_day() -> None:
    plain = make_laws(CONFIG).calendar
    changed = make_laws(replace(CONFIG, price_change=PriceChange(datetime(2024, 1, 11, tzinfo=UTC)))).calendar
    ratio = changed / plain
    assert ratio[:10] == pytest.approx(1)
    assert ratio[10:] == pytest.approx(1.6)
