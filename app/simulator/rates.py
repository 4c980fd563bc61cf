"""How often things happen to a customer in each latent state, and the seasons of use."""

from dataclasses import dataclass

import numpy as np

from app.simulator.config import LATE_KIND, LATE_KIND_DAYS, SimulatorConfig
from app.stats.arrays import Floats

_WEEKEND_FACTOR = 0.4
_YEARLY_SWING = 0.15  # use is highest in spring and autumn

# Per day, by engagement: thriving, steady, fading, dormant.
_USE = {
    "login": (0.19, 0.11, 0.033, 0.006),
    "feature_use": (0.10, 0.055, 0.013, 0.002),
    "export": (0.012, 0.010, 0.020, 0.012),
    LATE_KIND: (0.05, 0.02, 0.004, 0.001),
}
_TROUBLED_USE = 0.8  # what use is multiplied by in trouble
_TICKETS = {"alone": (0.006, 0.045), "integrated": (0.045, 0.022, 0.008, 0.003)}  # by trouble; by engagement
_GROWTH = (0.0035, 0.0012, 0.0003, 0.0)
_SHRINKAGE = (0.0002, 0.0005, 0.002, 0.0015)
_ADMIN_CHANGES = (0.0006, 0.004)  # by trouble


@dataclass(frozen=True)
class Rate:
    """Rates per day of one kind of happening.

    Attributes
    ----------
    by_state : ndarray of shape (2, 9)
        By integration and state; the ninth is AWAY and zero.
    by_day : ndarray of shape (n days,)
        The factor of each day.
    follows_activity : bool
        Whether the account's own activity multiplies it.
    """

    by_state: Floats
    by_day: Floats
    follows_activity: bool


def event_rates(config: SimulatorConfig) -> dict[str, Rate]:
    """The rate of each kind of event that depends on the state alone."""
    season, level = _season(config), np.ones(config.n_days)
    rates = {kind: Rate(_use(np.array(daily)), season, follows_activity=True) for kind, daily in _USE.items()}
    first_day = max(config.n_days - LATE_KIND_DAYS, 0)
    late = np.where(np.arange(config.n_days) >= first_day, season, 0.0)
    rates[LATE_KIND] = Rate(rates[LATE_KIND].by_state, late, follows_activity=True)
    rates["ticket"] = Rate(_tickets(), level, follows_activity=False)
    return {kind: _faster(rate, config.events_factor) for kind, rate in rates.items()}


def change_rates(config: SimulatorConfig) -> dict[str, Rate]:
    """The rates of growing, shrinking and of a new administrator."""
    level = np.ones(config.n_days)
    troubled = np.tile(_ADMIN_CHANGES, 4)
    return {
        "growth": Rate(_both(np.repeat(_GROWTH, 2)), level, follows_activity=False),
        "shrinkage": Rate(_both(np.repeat(_SHRINKAGE, 2)), level, follows_activity=False),
        "admin": Rate(_both(troubled), level, follows_activity=False),
    }


def _faster(rate: Rate, factor: float) -> Rate:
    return Rate(rate.by_state * factor, rate.by_day, follows_activity=rate.follows_activity)


def _use(by_engagement: Floats) -> Floats:
    return _both((by_engagement[:, None] * [1.0, _TROUBLED_USE]).ravel())


def _tickets() -> Floats:
    """Tickets tell of trouble where there is no integration; with one they are a sign of use."""
    alone, integrated = np.tile(_TICKETS["alone"], 4), np.repeat(_TICKETS["integrated"], 2)
    return np.pad(np.stack([alone, integrated]), ((0, 0), (0, 1)))


def _both(by_state: Floats) -> Floats:
    """The same with and without integration, and nothing while away."""
    return np.tile(np.append(by_state, 0.0), (2, 1))


def _season(config: SimulatorConfig) -> Floats:
    """The factor of each day: less at weekends, more in April and October."""
    day = np.arange(config.n_days)
    weekend = (config.start.weekday() + day) % 7 >= 5
    day_of_year = config.start.timetuple().tm_yday - 1 + day
    swing = 1 - _YEARLY_SWING * np.cos(4 * np.pi * day_of_year / 365)
    return np.asarray(np.where(weekend, _WEEKEND_FACTOR, 1.0) * swing, dtype=np.float64)
