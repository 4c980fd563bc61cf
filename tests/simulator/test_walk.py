"""What a day does to who stands how."""

from dataclasses import replace

import numpy as np
import pytest

from app.simulator.laws import AWAY, cell_of, make_laws, transitions
from app.simulator.life import Course, live
from app.simulator.population import SECONDS_PER_DAY, Population, draw_population
from app.simulator.streams import open_stream
from app.simulator.walk import NEVER_SECONDS, Standing, exposure
from app.stats.arrays import Ints
from tests.simulator.conftest import CHANGE, LATER, SMALL

DAY = SMALL.day_of(LATER)


def one_annual_account() -> Population:
    drawn = draw_population(SMALL, 1, open_stream(1, 0, 1))
    no = np.array([False])
    return replace(drawn, monthly=no, integrated=no, dear=no, large=no)


def standing_of(*, age_days: int, returned: bool = False, contacted: bool = False) -> Standing:
    return Standing(
        serving=np.array([True]),
        state=np.array([2]),
        start_day=np.array([DAY - age_days]),
        next_start_seconds=np.array([NEVER_SECONDS]),
        returned=np.array([returned]),
        contacted=np.array([contacted]),
    )


def test_a_contract_is_open_in_the_last_45_days_of_its_year() -> None:
    yes, no = np.array([True]), np.array([False])
    for age_days, open_to_leave in ((319, no), (320, yes), (364, yes), (365, no)):
        cells, _ = exposure(one_annual_account(), standing_of(age_days=age_days), make_laws(SMALL), DAY)
        assert cells == cell_of(no, open_to_leave, no, no)


def test_pressure_falls_with_the_age_and_follows_the_year() -> None:
    _, pressure = exposure(one_annual_account(), standing_of(age_days=365), make_laws(SMALL), DAY)
    days_into_the_leap_year_before = DAY % 365  # the year of the hazard has 365 days
    expected = np.exp(0.2 * np.cos(2 * np.pi * days_into_the_leap_year_before / 365)) * 2**-0.4
    assert pressure[0] == pytest.approx(expected)


def test_who_came_back_can_not_leave_before_180_days() -> None:
    for age_days, free in ((179, False), (180, True)):
        standing = standing_of(age_days=age_days, returned=True)
        assert (exposure(one_annual_account(), standing, make_laws(SMALL), DAY)[1][0] > 0) == free


@pytest.fixture(scope="module")
def path() -> Ints:
    life = live(SMALL, 0)
    return np.asarray(life.path, dtype=np.int64)


def test_states_move_as_often_as_the_transitions_say(path: Ints) -> None:
    population = live(SMALL, 0).population
    alone_small = path[(~population.integrated) & ~population.large]
    now, later = alone_small[:, :-1].ravel(), alone_small[:, 1:].ravel()
    both = (now != AWAY) & (later != AWAY)
    counts = np.zeros((8, 8))
    np.add.at(counts, (now[both], later[both]), 1)
    expected = transitions()[0]
    assert counts / counts.sum(axis=1, keepdims=True) == pytest.approx(expected, abs=0.004)


def test_a_path_is_away_outside_of_the_whole_days_of_service() -> None:
    life = live(SMALL, 0)
    serving = np.zeros(life.path.shape, dtype=np.bool_)
    spells = life.spells
    for account, start, end in zip(spells.account, spells.start_seconds, spells.end_seconds, strict=True):
        last = min(end // SECONDS_PER_DAY, SMALL.n_days)
        serving[account, max(start // SECONDS_PER_DAY + 1, 0) : last] = True
    assert ((life.path != AWAY) == serving).all()


def test_going_in_two_parts_is_going_at_once() -> None:
    once, twice = Course(SMALL, 0), Course(SMALL, 0)
    once.go(200)
    twice.go(SMALL.day_of(CHANGE) % 100)
    twice.go(200)
    for name, values in vars(once.walk.standing).items():
        assert (values == getattr(twice.walk.standing, name)).all()
