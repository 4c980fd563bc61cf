"""The accounts of a block and their traits: what does not change, and is known from the first day."""

from dataclasses import dataclass

import numpy as np

from app.simulator.config import SimulatorConfig
from app.simulator.laws import MAX_AGE_AT_START_DAYS, class_of
from app.stats.arrays import Bools, Floats, Ints

INDUSTRIES = np.array(["software", "retail", "finance", "health", "education", "manufacturing"])
COUNTRIES = np.array(["US", "DE", "GB", "FR", "BR", "IN", "JP"])
CHANNELS = np.array(["organic", "ads", "partner", "sales"])
PLANS = np.array(["starter", "team", "business", "enterprise"])
SEAT_PRICES = np.array([9.0, 14.0, 19.0, 26.0])  # per seat and month, by plan
YEARLY_INCREASES = (0.0, 0.03, 0.12)  # the price clause of a contract; the last one is dear
SECONDS_PER_DAY = 86_400
_OLD_SHARE = 0.4  # accounts that are customers at the start
_GROWTH = 0.75  # new accounts arrive faster and faster: their number by a time grows as its 1 / .75th power


@dataclass(frozen=True)
class Population:
    """Accounts in columns of shape (n,).

    Attributes
    ----------
    created_seconds : ndarray of int
        When an account was created and its first spell began, in seconds since the start; negative before it.
    monthly : ndarray of bool
        Whether the contract is monthly, not annual.
    integrated, dear, large : ndarray of bool
        Whether it has an integration, a dear price clause, more than ten seats.
    seats, plan, clause, industry, country, channel : ndarray of int
        Seats at first (1..2000); indices into the lists of this module.
    activity : ndarray of float
        What the account's use is multiplied by, all its life; known to nobody.
    unit_discount : ndarray of float
        What the list price is multiplied by, 0.75..1.05.
    """

    created_seconds: Ints
    monthly: Bools
    integrated: Bools
    dear: Bools
    large: Bools
    seats: Ints
    plan: Ints
    clause: Ints
    industry: Ints
    country: Ints
    channel: Ints
    activity: Floats
    unit_discount: Floats

    @property
    def n(self) -> int:
        """Number of accounts."""
        return self.created_seconds.size

    @property
    def transition_class(self) -> Ints:
        """The transition class of each account."""
        return class_of(self.integrated, self.large)


def draw_population(config: SimulatorConfig, n: int, rng: np.random.Generator) -> Population:
    """Draw the traits of `n` accounts."""
    seats = np.clip(np.round(rng.lognormal(2.2, 1.0, n)), 1, 2000).astype(np.int64)
    shift = rng.integers(-1, 2, n) * (rng.random(n) < 0.3)
    clause = rng.choice(3, n, p=[0.35, 0.35, 0.3])
    return Population(
        created_seconds=_draw_created(config.n_days, n, rng),
        monthly=rng.random(n) < np.where(seats > 40, 0.35, 0.62),
        integrated=rng.random(n) < 0.45,
        dear=clause == 2,
        large=seats > 10,
        seats=seats,
        plan=np.clip(np.searchsorted([5, 20, 80], seats) + shift, 0, 3),
        clause=clause,
        industry=rng.choice(INDUSTRIES.size, n, p=[0.3, 0.2, 0.15, 0.15, 0.1, 0.1]),
        country=rng.choice(COUNTRIES.size, n, p=[0.35, 0.2, 0.12, 0.1, 0.09, 0.08, 0.06]),
        channel=rng.choice(CHANNELS.size, n, p=[0.4, 0.3, 0.15, 0.15]),
        activity=rng.lognormal(-0.06, 0.35, n),
        unit_discount=rng.uniform(0.75, 1.05, n),
    )


def _draw_created(n_days: int, n: int, rng: np.random.Generator) -> Ints:
    """Some before the start, the rest spread over the days with growth; never on the last day, nor at midnight."""
    old = rng.random(n) < _OLD_SHARE
    share = rng.random(n)
    day = np.where(
        old, -np.ceil(share * (MAX_AGE_AT_START_DAYS - 1)), np.floor(share**_GROWTH * max(n_days - 1, 1))
    ).astype(np.int64)
    return day * SECONDS_PER_DAY + rng.integers(1, SECONDS_PER_DAY, n)
