"""The life of the accounts of a block, day by day: latent states, ends of service and returns."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from app.simulator.config import RETURN_TERM_DAYS
from app.simulator.laws import (
    AWAY,
    MAX_HAZARD,
    NEVER_DAY,
    RETURN_GAP_DAYS,
    RETURN_SHARE,
    START_STATES,
    Laws,
    cell_of,
    staying_first,
)
from app.simulator.population import SECONDS_PER_DAY, Population
from app.stats.arrays import Bools, Floats, Ints

Path = npt.NDArray[np.uint8]
NEVER_SECONDS = 2**62
_START_CUMULATED = np.cumsum(START_STATES)[:-1]


@dataclass
class Standing:
    """How the accounts stand at a midnight, in columns of shape (n,); a day changes them in place.

    With the traits and the laws this is all that the future depends on.

    Attributes
    ----------
    serving : ndarray of bool
        Whether the account is a customer.
    state : ndarray of int
        The latent state, 0..7; of no meaning where not serving.
    start_day : ndarray of int
        The day on which the newest spell began; negative before the start.
    next_start_seconds : ndarray of int
        When the next spell begins, in seconds since the start.
    returned : ndarray of bool
        Whether the newest spell is not the first.
    contacted : ndarray of bool
        Whether the account was contacted.
    """

    serving: Bools
    state: Ints
    start_day: Ints
    next_start_seconds: Ints
    returned: Bools
    contacted: Bools

    def take(self, indices: Ints) -> "Standing":
        """The standing of some accounts, or of one many times."""
        return Standing(**{name: values[indices] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Spells:
    """Periods of service in columns of shape (n spells,), in the order in which they began.

    Attributes
    ----------
    account : ndarray of int
        Index of the account in the block.
    start_seconds, end_seconds : ndarray of int
        Since the start of the simulation; the end is `NEVER_SECONDS` while the spell runs.
    """

    account: Ints
    start_seconds: Ints
    end_seconds: Ints


@dataclass
class _Ledger:
    """Starts and ends as they happen."""

    starts: list[tuple[Ints, Ints]] = field(default_factory=list)
    ends: list[tuple[Ints, Ints]] = field(default_factory=list)
    n_spells: int = 0

    def begin(self, spell_of: Ints, accounts: Ints, seconds: Ints) -> None:
        spell_of[accounts] = np.arange(self.n_spells, self.n_spells + accounts.size)
        self.n_spells += accounts.size
        self.starts.append((accounts, seconds))

    def spells(self) -> Spells:
        end_seconds = np.full(self.n_spells, NEVER_SECONDS)
        for spells, seconds in self.ends:
            end_seconds[spells] = seconds
        account, start_seconds = (np.concatenate(column) for column in zip(*self.starts, strict=True))
        return Spells(account, start_seconds, end_seconds)


class Walk:
    """The walk of a block from the start; `run` goes on to a later day.

    Parameters
    ----------
    population : Population
    laws : Laws
    rng, returns : numpy Generators
        For the states and ends of every day, and for when ends happen and who comes back.
    standing : Standing, optional
        Where to set out from, and `day` its day; by default the first day.
    """

    def __init__(
        self,
        population: Population,
        laws: Laws,
        rng: np.random.Generator,
        returns: np.random.Generator,
        *,
        standing: Standing | None = None,
        day: int = 0,
    ) -> None:
        self.population, self.laws, self.day = population, laws, day
        self.standing = standing or _first_standing(population, rng)
        self._rng, self._returns = rng, returns
        self._ledger, self._spell_of = _Ledger(), np.zeros(population.n, dtype=np.int64)
        running = np.flatnonzero(self.standing.serving)
        began = self.standing.start_day[running] * SECONDS_PER_DAY
        if standing is None:
            began = population.created_seconds[running]
        self._ledger.begin(self._spell_of, running, began)
        self._class = population.transition_class
        self._stay, self._cumulated = staying_first()

    @property
    def spells(self) -> Spells:
        """Every spell so far."""
        return self._ledger.spells()

    def run(self, until_day: int, keep: Callable[[int, Path], None] | None = None) -> None:
        """Live the days before `until_day`; `keep` gets each day and its states (n,), AWAY on the days of an end."""
        while self.day < until_day:
            path = self._live()
            if keep:
                keep(self.day, path)
            self.day += 1

    def _live(self) -> Path:
        """One day: some leave, the others move, new spells begin."""
        standing = self.standing
        chance, move = self._rng.random(standing.state.size), self._rng.random(standing.state.size)
        cells, pressure = exposure(self.population, standing, self.laws, self.day)
        hazard = np.minimum(self.laws.table(self.day)[cells, standing.state] * pressure, MAX_HAZARD)
        leaving = standing.serving & (chance < hazard)
        standing.serving &= ~leaving
        path = np.where(standing.serving, standing.state, AWAY).astype(np.uint8)
        self._move(move)
        self._end(np.flatnonzero(leaving))
        self._begin(move)
        return path

    def _move(self, chance: Floats) -> None:
        """Most stay as they are; only who moves is looked up in the cumulated chances of the other states."""
        standing = self.standing
        moving = np.flatnonzero(chance >= self._stay[self._class, standing.state])
        rows = self._cumulated[self._class[moving], standing.state[moving]]
        standing.state[moving] = (chance[moving, None] >= rows).sum(axis=1)

    def _end(self, accounts: Ints) -> None:
        seconds = self.day * SECONDS_PER_DAY + self._returns.integers(1, SECONDS_PER_DAY, accounts.size)
        self._ledger.ends.append((self._spell_of[accounts], seconds))
        gap_days = self._returns.integers(RETURN_GAP_DAYS[0], RETURN_GAP_DAYS[1] + 1, accounts.size)
        back = self._returns.random(accounts.size) < RETURN_SHARE
        coming = np.where(back, seconds + gap_days * SECONDS_PER_DAY, NEVER_SECONDS)
        self.standing.next_start_seconds[accounts] = coming

    def _begin(self, move: Floats) -> None:
        """Spells that begin on this day; the account is a customer at the next midnight."""
        standing = self.standing
        accounts = np.flatnonzero(standing.next_start_seconds < (self.day + 1) * SECONDS_PER_DAY)
        self._ledger.begin(self._spell_of, accounts, standing.next_start_seconds[accounts])
        standing.returned[accounts] = standing.start_day[accounts] < NEVER_DAY
        standing.start_day[accounts], standing.serving[accounts] = self.day, True
        standing.next_start_seconds[accounts] = NEVER_SECONDS
        standing.state[accounts] = np.searchsorted(_START_CUMULATED, move[accounts], side="right")


def exposure(population: Population, standing: Standing, laws: Laws, day: int) -> tuple[Ints, Floats]:
    """What the state acts on at `day`: the cell and the factor of the rate of each account, both of shape (n,).

    The standing may be that of an earlier day: who served then is asked about as serving still.
    Where an account is not serving, the answer means nothing.
    """
    age_days = np.clip(day - standing.start_day, 0, laws.tenure.size - 1)
    cells = cell_of(population.monthly, laws.open_by_age[age_days], population.integrated, population.dear)
    pressure = laws.calendar[day] * laws.tenure[age_days]
    if day in laws.relief_days:
        pressure = np.where(standing.contacted, pressure * laws.relief_factor, pressure)
    pressure[standing.returned & (age_days < RETURN_TERM_DAYS)] = 0.0
    return cells, pressure


def _first_standing(population: Population, rng: np.random.Generator) -> Standing:
    """Old accounts are customers on the first day, the others have not been created yet."""
    old = population.created_seconds < 0
    state = np.searchsorted(_START_CUMULATED, rng.random(population.n), side="right")
    return Standing(
        serving=old,
        state=state.astype(np.int64),
        start_day=np.where(old, population.created_seconds // SECONDS_PER_DAY, NEVER_DAY),
        next_start_seconds=np.where(old, NEVER_SECONDS, population.created_seconds),
        returned=np.zeros(population.n, dtype=np.bool_),
        contacted=np.zeros(population.n, dtype=np.bool_),
    )
