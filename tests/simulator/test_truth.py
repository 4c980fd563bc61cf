"""The exact probability against a slow recursion, and against what happens when the future is lived many times."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binomtest

from app.simulator import PriceChange, SimulatorConfig, Treatment, true_probabilities, truth_blocks
from app.simulator.laws import N_STATES, make_laws, transitions
from app.simulator.leaks import lasting_ends
from app.simulator.life import Course
from app.simulator.population import SECONDS_PER_DAY
from app.simulator.truth import churn_probabilities
from app.simulator.walk import Walk, exposure
from app.stats.arrays import Floats, Ints
from tests.simulator.conftest import CHANGE, LATER, SMALL

CONFIGS = {
    "plain": SMALL,
    "lead": replace(SMALL, lead_days=14, horizon_days=30, grace_days=7),
    "switches": replace(
        SMALL,
        price_change=PriceChange(LATER + timedelta(days=10)),
        concept_change_at=LATER + timedelta(days=30),
        treatment=Treatment(LATER - timedelta(days=20)),
    ),
}
N_LIVES = 3_000


def course_at(config: SimulatorConfig, as_of: datetime) -> Course:
    course = Course(config, 0)
    course.go(config.day_of(as_of))
    return course


def some_customers(course: Course) -> Ints:
    """Ten customers from the safest to the riskiest, and two who came back, in and after their term."""
    standing, p = course.walk.standing, course.probabilities()
    customers = np.flatnonzero(standing.serving)
    ranked = customers[np.argsort(p[customers])]
    back = np.flatnonzero(standing.serving & standing.returned)
    return np.concatenate([ranked[np.linspace(0, ranked.size - 1, 10).astype(int)], back[[0, -1]]])


def chance_by_hand(course: Course, config: SimulatorConfig, account: int, state: int, day: int) -> float:
    """The recursion as it is told: this day's end, else every state that tomorrow may bring."""
    walk, asked_on = course.walk, course.walk.day
    if day == asked_on + config.window_days:
        return 0.0
    cells, pressure = exposure(walk.population, walk.standing, walk.laws, day)
    hazard = walk.laws.table(day)[cells[account], state] * pressure[account]
    counted = walk.laws.lasting_share if day >= asked_on + config.lead_days else 0.0
    moves = transitions()[walk.population.transition_class[account], state]
    later = sum(
        moves[to] * chance_by_hand(course, config, account, to, day + 1) for to in range(N_STATES) if moves[to] > 0
    )
    return float(hazard * counted + (1 - hazard) * later)


def test_a_short_window_by_plain_recursion() -> None:
    config = replace(SMALL, n_accounts=300, lead_days=1, horizon_days=3)
    course = course_at(config, LATER)
    p, state = course.probabilities(), course.walk.standing.state
    for account in np.flatnonzero(course.walk.standing.serving)[:6]:
        assert p[account] == pytest.approx(chance_by_hand(course, config, account, state[account], course.walk.day))


def frequencies(course: Course, config: SimulatorConfig, accounts: Ints) -> Ints:
    """How often each account churns when its future is lived `N_LIVES` times from how it stands."""
    many = np.repeat(accounts, N_LIVES)
    population = type(course.walk.population)(
        **{name: values[many] for name, values in vars(course.walk.population).items()}
    )
    walk = Walk(
        population,
        make_laws(config),
        np.random.default_rng(1),
        np.random.default_rng(2),
        standing=course.walk.standing.take(many),
        day=course.walk.day,
    )
    opens = (walk.day + config.lead_days) * SECONDS_PER_DAY
    closes = (walk.day + config.window_days) * SECONDS_PER_DAY
    walk.run(walk.day + config.window_days + config.grace_days + 1)
    spells = walk.spells
    counted = lasting_ends(config, spells) & (spells.end_seconds >= opens) & (spells.end_seconds < closes)
    churned = np.zeros(many.size)
    churned[spells.account[counted]] = 1
    return np.asarray(churned.reshape(accounts.size, N_LIVES).sum(axis=1), dtype=np.int64)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_probability_is_the_frequency_over_many_lives(name: str) -> None:
    config = CONFIGS[name]
    course = course_at(config, LATER)
    accounts = some_customers(course)
    p = course.probabilities()[accounts]
    for n_churned, expected in zip(frequencies(course, config, accounts), p, strict=True):
        assert binomtest(int(n_churned), N_LIVES, expected).pvalue > 1e-4


@pytest.mark.parametrize("name", CONFIGS)
def test_what_happens_in_the_facts_is_as_likely_as_said(name: str) -> None:
    """One life of every account: the sum of the probabilities, and of each third of them, is met."""
    [truth] = truth_blocks(CONFIGS[name], LATER)
    p, churned = truth["p"].to_numpy(), truth["churned"].to_numpy(zero_copy_only=False).astype(float)
    for third in np.array_split(np.argsort(p), 3):
        spread = np.sqrt((p[third] * (1 - p[third])).sum())
        assert abs(churned[third].sum() - p[third].sum()) < 4 * spread


def mean_p(config: SimulatorConfig, as_of: datetime) -> float:
    return float(np.mean(true_probabilities(config, as_of)["p"].to_numpy()))


def test_a_price_change_shifts_the_base_rate() -> None:
    raised = replace(SMALL, price_change=PriceChange(CHANGE))
    assert 1.2 < mean_p(raised, CHANGE) / mean_p(SMALL, CHANGE) < 1.5
    assert mean_p(raised, CHANGE - timedelta(days=60)) == mean_p(SMALL, CHANGE - timedelta(days=60))


def test_a_concept_change_ranks_the_same_accounts_otherwise_at_about_the_same_rate() -> None:
    changed = true_probabilities(replace(SMALL, concept_change_at=CHANGE), CHANGE)
    plain = true_probabilities(SMALL, CHANGE)
    assert changed["account_id"].equals(plain["account_id"])
    before, after = plain["p"].to_numpy(), changed["p"].to_numpy()
    assert np.corrcoef(before, after)[0, 1] < 0.75
    assert 0.75 < after.mean() / before.mean() < 1.25


def test_who_came_back_stays_for_the_term() -> None:
    standing = course_at(SMALL, LATER).walk.standing
    fresh = standing.returned & standing.serving & (standing.start_day + 180 - SMALL.day_of(LATER) >= 60)
    p = course_at(SMALL, LATER).probabilities()
    assert fresh.any()
    assert (p[fresh] == 0).all()


def test_only_customers_have_a_probability() -> None:
    course = course_at(SMALL, LATER)
    assert (np.isnan(course.probabilities()) == ~course.walk.standing.serving).all()
    assert true_probabilities(SMALL, LATER).num_rows == course.walk.standing.serving.sum()


def test_the_outcome_is_open_until_window_and_grace_are_over() -> None:
    matured = SMALL.end - timedelta(days=90)
    [settled], [open_] = truth_blocks(SMALL, matured), truth_blocks(SMALL, matured + timedelta(days=1))
    assert settled["churned"].null_count == 0
    assert open_["churned"].null_count == open_.num_rows
    [newest] = truth_blocks(SMALL, SMALL.end)
    assert newest["ended_at"].null_count == newest.num_rows


def test_a_longer_horizon_is_never_less_likely() -> None:
    walk = course_at(SMALL, LATER).walk
    chances: list[Floats] = [churn_probabilities(walk, lead_days=0, horizon_days=days) for days in (1, 30, 60, 180)]
    for shorter, longer in pairwise(chances):
        assert (longer - shorter)[walk.standing.serving].min() >= 0
