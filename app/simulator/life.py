"""The whole life of one block: its traits, its latent path, its spells, who was contacted."""

from dataclasses import dataclass

import numpy as np

from app.simulator.config import SimulatorConfig, Treatment
from app.simulator.laws import AWAY, make_laws
from app.simulator.population import SECONDS_PER_DAY, Population, draw_population
from app.simulator.streams import Purpose, open_stream
from app.simulator.truth import churn_probabilities
from app.simulator.walk import Path, Spells, Walk
from app.stats.arrays import Bools, Floats, Ints


@dataclass(frozen=True)
class Contact:
    """The list of the riskiest, and which of them were contacted, in columns of shape (n listed,).

    Attributes
    ----------
    account : ndarray of int
        Indices of the block.
    p : ndarray of float
        The true chance of churn at the time, 0..1, without a contact.
    treated : ndarray of bool
        Whether contacted; the others are held out.
    """

    account: Ints
    p: Floats
    treated: Bools


@dataclass(frozen=True)
class Life:
    """What happened to the n accounts of a block.

    Attributes
    ----------
    config : SimulatorConfig
    block : int
    population : Population
    path : ndarray of uint8, shape (n, n days)
        The latent state of each account on each day; AWAY where it was no customer for the whole day.
    spells : Spells
    contact : Contact
    """

    config: SimulatorConfig
    block: int
    population: Population
    path: Path
    spells: Spells
    contact: Contact

    @property
    def first_day(self) -> Ints:
        """The first day after each account's creation, 0 or more."""
        return np.maximum(self.population.created_seconds // SECONDS_PER_DAY + 1, 0)

    @property
    def n_seconds(self) -> int:
        """Seconds from start to end."""
        return self.config.n_days * SECONDS_PER_DAY

    def stream(self, purpose: int) -> np.random.Generator:
        """The block's own randomness for a purpose, from its beginning."""
        return open_stream(self.config.seed, self.block, purpose)


class Course:
    """A block on its way through the days, with the contact when its day comes."""

    def __init__(self, config: SimulatorConfig, block: int) -> None:
        self._config, self._block, self._laws = config, block, make_laws(config)
        population = draw_population(config, config.block_sizes[block], self._stream(Purpose.POPULATION))
        self.walk = Walk(population, self._laws, self._stream(Purpose.WALK), self._stream(Purpose.RETURNS))
        self._contact = Contact(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=np.bool_))

    def _stream(self, purpose: Purpose) -> np.random.Generator:
        return open_stream(self._config.seed, self._block, purpose)

    def go(self, until_day: int, path: Path | None = None) -> None:
        """Live the days before `until_day`; a path of shape (n days, n) is filled with their states."""

        def keep(day: int, states: Path) -> None:
            if path is not None:
                path[day] = states

        treatment = self._config.treatment
        if treatment and self.walk.day <= self._config.day_of(treatment.at) < until_day:
            self.walk.run(self._config.day_of(treatment.at), keep)
            self._make_contact(treatment)
        self.walk.run(until_day, keep)

    def probabilities(self) -> Floats:
        """The true chance to churn in the window from the day reached, of shape (n,); NaN for who is no customer."""
        config = self._config
        return churn_probabilities(self.walk, lead_days=config.lead_days, horizon_days=config.horizon_days)

    def _make_contact(self, treatment: Treatment) -> None:
        """List the riskiest customers by the truth, and contact a random half of the list."""
        p, standing = self.probabilities(), self.walk.standing
        customers = np.flatnonzero(standing.serving)
        n_listed = round(treatment.list_share * customers.size)
        listed = np.sort(customers[np.argsort(-p[customers], kind="stable")[:n_listed]])
        treated = np.zeros(n_listed, dtype=np.bool_)
        treated[self._stream(Purpose.CONTACT).permutation(n_listed)[: n_listed // 2]] = True
        standing.contacted[listed[treated]] = True
        self._contact = Contact(listed, p[listed], treated)

    def life(self, path: Path) -> Life:
        """What has happened so far, with a path of shape (n, n days)."""
        return Life(self._config, self._block, self.walk.population, path, self.walk.spells, self._contact)


def live(config: SimulatorConfig, block: int) -> Life:
    """Live the whole time of a block."""
    course = Course(config, block)
    path = np.full((config.n_days, course.walk.population.n), AWAY, dtype=np.uint8)
    course.go(config.n_days, path)
    return course.life(np.ascontiguousarray(path.T))
