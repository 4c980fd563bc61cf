"""The true probability of churn at an instant, exactly, by recursion from the end of the window backwards."""

import numpy as np

from app.simulator.laws import MAX_HAZARD, N_STATES, transitions
from app.simulator.walk import Walk, exposure
from app.stats.arrays import Floats


def churn_probabilities(walk: Walk, *, lead_days: int, horizon_days: int) -> Floats:
    r"""Chance of a lasting end of service in [day + lead, day + lead + horizon), given the standing at the walk's day.

    With :math:`f_t(s)` the chance from day t on in state s, h the hazard and P the transitions,

    .. math:: f_t(s) = h_t(s)\, \ell\, [t \ge \mathrm{day} + \mathrm{lead}]
              + (1 - h_t(s)) \sum_{s'} P(s, s') f_{t+1}(s')

    and f = 0 at the end of the window; :math:`\ell` is the chance that an end lasts. Who comes back signs for longer
    than any window, so a second end in it can't be.

    Returns
    -------
    ndarray of shape (n,)
        0..1; NaN where the account is no customer at that day.
    """
    population, standing, laws, day = walk.population, walk.standing, walk.laws, walk.day
    chance = np.zeros((population.n, N_STATES))
    moves = transitions()[population.transition_class]
    for future in range(day + lead_days + horizon_days - 1, day - 1, -1):
        cells, pressure = exposure(population, standing, laws, future)
        hazard = np.minimum(laws.table(future)[cells] * pressure[:, None], MAX_HAZARD)
        counted = laws.lasting_share if future >= day + lead_days else 0.0
        chance = hazard * counted + (1 - hazard) * np.einsum("ast,at->as", moves, chance)
    found = chance[np.arange(population.n), standing.state]
    return np.where(standing.serving, found, np.nan)
