"""Instants at which things happen to accounts, drawn at rates that change with state and day."""

from dataclasses import dataclass

import numpy as np

from app.simulator.life import Life
from app.simulator.population import SECONDS_PER_DAY
from app.simulator.rates import Rate
from app.stats.arrays import Ints


@dataclass(frozen=True)
class Happenings:
    """Accounts (indices of the block) and seconds since the start, both of shape (n,); ordered by account only."""

    account: Ints
    seconds: Ints


def draw_happenings(life: Life, rate: Rate, rng: np.random.Generator) -> Happenings:
    """Draw a Poisson process per account by thinning (Lewis and Shedler 1979).

    Candidates come at the highest rate that an account could have, and are kept with the share that the rate of
    their day is of it. Nothing happens on the days on which a spell begins or ends.
    """
    population = life.population
    scale = population.activity if rate.follows_activity else np.ones(population.n)
    integrated = population.integrated.astype(np.int64)
    ceiling = rate.by_state.max(axis=1)[integrated] * rate.by_day.max()
    length_days = life.path.shape[1] - life.first_day
    account = np.repeat(np.arange(population.n), rng.poisson(ceiling * scale * length_days))
    when_days = life.first_day[account] + rng.random(account.size) * length_days[account]
    day = when_days.astype(np.int64)
    at_rate = rate.by_state[integrated[account], life.path[account, day]] * rate.by_day[day]
    kept = rng.random(account.size) * ceiling[account] < at_rate
    seconds = (when_days[kept] * SECONDS_PER_DAY).astype(np.int64)
    return Happenings(account[kept], seconds)
