"""What changes in the life of an account: seats, plan, administrator, fee; one timeline for all tables."""

from dataclasses import dataclass

import numpy as np

from app.simulator.happenings import draw_happenings
from app.simulator.laws import YEAR_DAYS
from app.simulator.life import Life
from app.simulator.population import PLANS, SEAT_PRICES, SECONDS_PER_DAY, YEARLY_INCREASES
from app.simulator.rates import change_rates
from app.simulator.streams import Purpose
from app.simulator.walk import NEVER_SECONDS
from app.stats.arrays import Bools, Floats, Ints

_PLAN_SHARE = 0.35  # of the growths and shrinkages: the plan moves too
_KEY = 2**36  # seconds of more than any business
_SEAT_FACTORS = (1.1, 1.6)  # uniform between


@dataclass(frozen=True)
class Timeline:
    """Every change of every account, ordered by account and time; columns of shape (n changes,).

    Attributes
    ----------
    account, seconds : ndarray of int
        Index of the block; seconds since the start.
    spell : ndarray of int
        The spell that begins or runs.
    begins_spell, for_account : ndarray of bool
        Whether the spell begins here; whether the attributes of the account are written here.
    seats, plan, admin : ndarray of int
        As they are from here on; the administrator is a number that goes up.
    monthly_fee : ndarray of float
        Money per month from here on, to a cent.
    """

    account: Ints
    seconds: Ints
    spell: Ints
    begins_spell: Bools
    for_account: Bools
    seats: Ints
    plan: Ints
    admin: Ints
    monthly_fee: Floats

    def find(self, account: Ints, seconds: Ints) -> Ints:
        """Positions of the newest change of each account at or before each time; there must be one."""
        keys = self.account * _KEY + self.seconds
        return np.searchsorted(keys, account * _KEY + seconds, side="right") - 1


@dataclass(frozen=True)
class _Steps:
    """Changes before they are put in order: what each adds to the standing of its account."""

    account: Ints
    seconds: Ints
    spell: Ints
    log_seats: Floats
    plan: Ints
    admin: Ints
    log_price: Floats


def _steps(
    account: Ints,
    seconds: Ints,
    *,
    spell: Ints | int = -1,
    log_seats: Floats | float = 0.0,
    plan: Ints | int = 0,
    admin: int = 0,
    log_price: Floats | float = 0.0,
) -> _Steps:
    """Steps that add nothing but what is named; with a spell they begin it."""
    whole, real = np.zeros(account.size, dtype=np.int64), np.zeros(account.size)
    return _Steps(account, seconds, whole + spell, real + log_seats, whole + plan, whole + admin, real + log_price)


def draw_timeline(life: Life) -> Timeline:
    """The changes of a block, in order, with the standing after each."""
    spells = life.spells
    begun = _steps(spells.account, spells.start_seconds, spell=np.arange(spells.account.size))
    parts = [begun, *_drawn(life), _renewals(life), _price_change(life)]
    joined = {name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(begun)}
    order = np.lexsort((-joined["spell"], joined["seconds"], joined["account"]))
    return _accumulate(life, _Steps(**{name: values[order] for name, values in joined.items()}))


def _drawn(life: Life) -> list[_Steps]:
    """Growth, shrinkage and new administrators, at the rates of the state."""
    rng, rates, steps = life.stream(Purpose.CHANGES), change_rates(life.config), []
    for kind, sign in (("growth", 1), ("shrinkage", -1)):
        found = draw_happenings(life, rates[kind], rng)
        n = found.account.size
        log_seats = sign * np.log(rng.uniform(*_SEAT_FACTORS, n))
        plan = sign * (rng.random(n) < _PLAN_SHARE).astype(np.int64)
        steps.append(_steps(found.account, found.seconds, log_seats=log_seats, plan=plan))
    admins = draw_happenings(life, rates["admin"], rng)
    return [*steps, _steps(admins.account, admins.seconds, admin=1)]


def _renewals(life: Life) -> _Steps:
    """On each anniversary of a spell the fee rises by the price clause."""
    spells = life.spells
    last = np.minimum(spells.end_seconds, life.n_seconds)
    year_seconds = YEAR_DAYS * SECONDS_PER_DAY
    n_years = (last - spells.start_seconds - 1) // year_seconds
    spell = np.repeat(np.arange(spells.account.size), n_years)
    year = np.arange(spell.size) - np.repeat(np.cumsum(n_years) - n_years, n_years) + 1
    rise = np.log1p(YEARLY_INCREASES)[life.population.clause[spells.account[spell]]]
    seconds = spells.start_seconds[spell] + year * year_seconds
    return _steps(spells.account[spell], seconds, log_price=rise)


def _price_change(life: Life) -> _Steps:
    """A place in the timeline of every running spell; the new price is that of the day."""
    spells, at = life.spells, _price_change_seconds(life)
    running = (spells.start_seconds < at) & (at < spells.end_seconds)
    account = spells.account[running]
    return _steps(account, np.full(account.size, at))


def _price_change_seconds(life: Life) -> int:
    change = life.config.price_change
    return life.config.day_of(change.at) * SECONDS_PER_DAY if change else NEVER_SECONDS


def _list_prices(life: Life, plan: Ints, seconds: Ints) -> Floats:
    """Money per seat and month, by plan and by the prices of the day."""
    change = life.config.price_change
    raised = 1 + change.increase_share if change else 1.0
    return np.asarray(SEAT_PRICES[plan] * np.where(seconds >= _price_change_seconds(life), raised, 1.0))


def _accumulate(life: Life, steps: _Steps) -> Timeline:
    """Add the steps of each account up; seats and plan keep to their bounds."""
    population, account = life.population, steps.account
    is_first = np.append(True, account[1:] != account[:-1])
    begins_spell = steps.spell >= 0
    seats = np.clip(np.rint(population.seats[account] * np.exp(_running(steps.log_seats, is_first))), 1, 5000)
    plan = np.clip(population.plan[account] + _running(steps.plan, is_first), 0, PLANS.size - 1).astype(np.int64)
    price = (
        _list_prices(life, plan, steps.seconds)
        * population.unit_discount[account]
        * np.exp(_running(steps.log_price, is_first))
    )
    return Timeline(
        account=account,
        seconds=steps.seconds,
        spell=steps.spell[np.maximum.accumulate(np.where(begins_spell, np.arange(account.size), 0))],
        begins_spell=begins_spell,
        for_account=begins_spell | (steps.log_seats != 0) | (steps.admin != 0),
        seats=seats.astype(np.int64),
        plan=plan,
        admin=_running(steps.admin, is_first).astype(np.int64) + 1,
        monthly_fee=np.round(seats * price, 2),
    )


def _running(added: Floats | Ints, is_first: Bools) -> Floats:
    """Sums of what was added so far, from zero at the first step of each account."""
    total = np.cumsum(added, dtype=np.float64)
    start = np.flatnonzero(is_first)
    before = np.repeat(total[start] - added[start], np.diff(np.append(start, added.size)))
    return np.asarray(total - before, dtype=np.float64)
