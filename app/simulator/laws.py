r"""The laws of the business: the hazard of churn per account and day, and how engagement and trouble move.

The latent state of a customer is one of eight: engagement (thriving, steady, fading, dormant) times trouble (no, yes);
state = 2 * engagement + trouble. On a day a customer leaves with probability

.. math:: h = \min(0.5,\ \mathrm{RATE}[\mathrm{cell}, \mathrm{state}] \cdot \mathrm{calendar}(\mathrm{day})
          \cdot \mathrm{tenure}(\mathrm{age}) \cdot \mathrm{relief})

and otherwise its state moves by the daily transition matrix of its class. A cell is contract phase (monthly; annual
and open: the last 45 days before a renewal; annual and locked) times integration times a dear price clause.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from app.simulator.config import RETURN_TERM_DAYS, SimulatorConfig
from app.stats.arrays import Bools, Floats, Ints

N_STATES = 8
AWAY = 8  # in a path: no customer on that day
YEAR_DAYS = 365
OPEN_DAYS = 45  # the days before an annual renewal in which an account can leave at will
MAX_HAZARD = 0.5
RETURN_SHARE = 0.25  # of those who left
RETURN_GAP_DAYS = (3, 90)  # uniform, both ends included

_MONTHLY, _OPEN, _LOCKED = 0, 1, 2
_ENGAGEMENT = np.arange(N_STATES) // 2
_TROUBLE = np.arange(N_STATES) % 2
_BASE = {_MONTHLY: -7.8, _OPEN: -6.6, _LOCKED: -10.2}  # log hazard per day of a steady account without trouble
_PULL = {_MONTHLY: 1.0, _OPEN: 1.1, _LOCKED: 0.15}  # how far low engagement can act
_LOW_ENGAGEMENT = np.array([-1.2, 0.0, 1.7, 3.1])  # log hazard at a pull of one, by engagement
_TROUBLED = 2.2  # log hazard, without an integration only
_DEAR = 1.1  # log hazard of a dear price clause, where engagement is fading or dormant and the contract can end

_CHANGED_BASE = 0.9  # added to the log hazard by the concept change, which so leaves the base rate about where it was
_CHANGED_PULL = 0.35  # what the pull of low engagement is multiplied by


def rate_table(*, concept_changed: bool) -> Floats:
    """Daily hazards of shape (12, 8) by cell and state, before calendar, tenure and relief."""
    cells = [
        (phase, integrated, dear) for phase in (_MONTHLY, _OPEN, _LOCKED) for integrated in (0, 1) for dear in (0, 1)
    ]
    return np.exp([_log_rates(*cell, concept_changed=concept_changed) for cell in cells])


def _log_rates(phase: int, integrated: int, dear: int, *, concept_changed: bool) -> Floats:
    base, pull, unprotected = _BASE[phase], _PULL[phase], 1 - integrated
    if concept_changed:
        base, pull, unprotected = base + _CHANGED_BASE, pull * _CHANGED_PULL, integrated
    price_bites = (_ENGAGEMENT >= 2) | concept_changed
    log_rates: Floats = (
        base
        + pull * _LOW_ENGAGEMENT[_ENGAGEMENT]
        + _TROUBLED * _TROUBLE * unprotected
        + _DEAR * dear * price_bites * (phase != _LOCKED)
    )
    return log_rates


def cell_of(monthly: Bools, open_to_leave: Bools, integrated: Bools, dear: Bools) -> Ints:
    """Rows of the rate table, of the shape of the arguments."""
    phase = np.where(monthly, _MONTHLY, np.where(open_to_leave, _OPEN, _LOCKED))
    return np.asarray((phase * 2 + integrated) * 2 + dear, dtype=np.int64)


# Daily chances of moving up or down the ladder thriving, steady, fading, dormant.
_UP = np.array([0.0, 0.008, 0.006, 0.004])
_DOWN = np.array([0.009, 0.008, 0.014, 0.0])
_TROUBLE_SPEEDS_DECLINE = 2.5  # without an integration
_LARGE_RECOVERS = 1.5  # accounts of more than ten seats climb faster
_TROUBLE_BEGINS, _TROUBLE_ENDS = 0.005, 0.016


def class_of(integrated: Bools, large: Bools) -> Ints:
    """The transition class of each account: 2 * integrated + large."""
    return np.asarray(2 * integrated + large, dtype=np.int64)


@cache
def transitions() -> Floats:
    """Daily transition matrices of shape (4, 8, 8) by class, from state, to state; rows sum to one."""
    return np.stack([_transition(integrated, large) for integrated in (0, 1) for large in (0, 1)])


def _transition(integrated: int, large: int) -> Floats:
    matrix = np.zeros((4, 2, 4, 2))
    trouble = np.array([[1 - _TROUBLE_BEGINS, _TROUBLE_BEGINS], [_TROUBLE_ENDS, 1 - _TROUBLE_ENDS]])
    for now in (0, 1):
        speed = 1 if integrated or not now else _TROUBLE_SPEEDS_DECLINE
        ladder = _ladder(_UP * (_LARGE_RECOVERS if large else 1), _DOWN * speed)
        matrix[:, now] = ladder[:, :, None] * trouble[now]
    return matrix.reshape(N_STATES, N_STATES)


def _ladder(up: Floats, down: Floats) -> Floats:
    return np.diag(1 - up - down) + np.diag(up[1:], -1) + np.diag(down[:-1], 1)


@cache
def staying_first() -> tuple[Floats, Floats]:
    """The chance to stay, of shape (4, 8), and upon it the cumulated chances of the others, of shape (4, 8, 7)."""
    moves = transitions()
    stay = np.einsum("css->cs", moves).copy()
    leave = np.where(np.eye(N_STATES, dtype=np.bool_), 0.0, moves)
    return stay, (stay[:, :, None] + np.cumsum(leave, axis=2))[:, :, :-1]


START_STATES = np.array([0.35, 0.03, 0.42, 0.06, 0.10, 0.02, 0.015, 0.005])  # shares of a spell's first day


@dataclass(frozen=True)
class Laws:
    """The laws in the form in which a day needs them.

    Attributes
    ----------
    tables : tuple of two ndarrays of shape (12, 8)
        Rates before and after the concept change.
    concept_change_day : int
        The day from which the second table holds.
    calendar : ndarray of shape (n days,)
        The known factor of each day, the price change included.
    tenure : ndarray of shape (n ages,)
        The factor of each age of a spell in days.
    open_by_age : ndarray of shape (n ages,)
        Whether an annual contract of that age is near its renewal.
    relief_days : range
        The days on which the contacted are relieved.
    relief_factor : float
        What their hazard is multiplied by.
    lasting_share : float
        The chance that an end lasts: that the account does not come back within the grace.
    """

    tables: tuple[Floats, Floats]
    concept_change_day: int
    calendar: Floats
    tenure: Floats
    open_by_age: Bools
    relief_days: range
    relief_factor: float
    lasting_share: float

    def table(self, day: int) -> Floats:
        """The rates that hold on a day, of shape (12, 8)."""
        return self.tables[int(day >= self.concept_change_day)]


MAX_AGE_AT_START_DAYS = 3 * YEAR_DAYS
NEVER_DAY = 2**30


def make_laws(config: SimulatorConfig) -> Laws:
    """The laws of a config, for its days and those of a window that begins on its last one."""
    n_days = config.n_days + RETURN_TERM_DAYS + 1
    ages = np.arange(n_days + MAX_AGE_AT_START_DAYS)
    treatment = config.treatment
    first = config.day_of(treatment.at) if treatment else 0
    return Laws(
        tables=(rate_table(concept_changed=False), rate_table(concept_changed=True)),
        concept_change_day=config.day_of(config.concept_change_at) if config.concept_change_at else NEVER_DAY,
        calendar=_calendar(config, n_days),
        tenure=(1 + ages / YEAR_DAYS) ** -0.4,
        open_by_age=ages % YEAR_DAYS >= YEAR_DAYS - OPEN_DAYS,
        relief_days=range(first, first + treatment.effect_days) if treatment else range(0),
        relief_factor=treatment.hazard_factor if treatment else 1.0,
        lasting_share=1 - RETURN_SHARE * _share_back_within(config.grace_days),
    )


def _calendar(config: SimulatorConfig, n_days: int) -> Floats:
    """Most leave around the turn of the year, fewest at midsummer; a price change lasts."""
    day_of_year = (config.start.timetuple().tm_yday - 1 + np.arange(n_days)) % YEAR_DAYS
    factors = np.exp(0.2 * np.cos(2 * np.pi * day_of_year / YEAR_DAYS))
    if config.price_change:
        factors[max(0, config.day_of(config.price_change.at)) :] *= config.price_change.hazard_factor
    return np.asarray(factors, dtype=np.float64)


def _share_back_within(days: int) -> float:
    low, high = RETURN_GAP_DAYS
    return min(max(days - low + 1, 0) / (high - low + 1), 1.0)
