"""Arrays of a block as Arrow columns: ids, instants, words, and when a fact was recorded."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.simulator.config import SimulatorConfig
from app.simulator.life import Life
from app.simulator.population import SECONDS_PER_DAY
from app.simulator.streams import Purpose
from app.simulator.walk import NEVER_SECONDS
from app.stats.arrays import Bools, Floats, Ints

INSTANT = pa.timestamp("us", tz="UTC")
_MEAN_DELAY_DAYS = 10  # of what is recorded late
_PROMPT_SECONDS = 5  # what is not late is recorded within these
_ORDER_NOISE_DAYS = 10.0
_MAX_ACCOUNTS = 10**7


def epoch_seconds(config: SimulatorConfig, seconds: Ints) -> Ints:
    """Seconds since the start as seconds since 1970."""
    return seconds + int((config.start - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())


def instants(config: SimulatorConfig, seconds: Ints, *, missing: Bools | None = None) -> pa.Array:
    """Seconds since the start as instants in UTC; null where missing."""
    values = epoch_seconds(config, np.where(missing, 0, seconds) if missing is not None else seconds)
    return pa.array(values * 1_000_000, type=pa.int64(), mask=missing).cast(INSTANT)


def words(levels: list[str], codes: Ints) -> pa.Array:
    """Codes as their words."""
    return pa.array(levels, pa.string()).take(pa.array(codes))


def measures(values: Floats) -> pa.Array:
    """Numbers, null where NaN."""
    return pa.array(values, type=pa.float64(), mask=np.isnan(values))


def account_numbers(life: Life) -> Ints:
    """The numbers in the account ids of a block, of shape (n,), each its own in the whole business.

    Counted through; with the leak `id_order`, in the order of the ends (those who stay come last), with some noise.
    """
    config, n = life.config, life.population.n
    if "id_order" not in config.leaks:
        return life.block * config.block_accounts + np.arange(n)
    stride = _MAX_ACCOUNTS // config.block_accounts
    rng = life.stream(Purpose.ORDER)
    rank = np.argsort(np.argsort(_last_end_days(life) + rng.normal(0, _ORDER_NOISE_DAYS, n)))
    return rank * stride + life.block


def _last_end_days(life: Life) -> Floats:
    """The day of each account's last end; a year after the end of time where it stays."""
    days = np.zeros(life.population.n)
    spells = life.spells  # in the order in which they began: the last one written is the newest
    stays = float(life.config.n_days + 365)
    ended = spells.end_seconds < NEVER_SECONDS
    days[spells.account] = np.where(ended, spells.end_seconds / SECONDS_PER_DAY, stays)
    return days


def account_ids(numbers: Ints) -> pa.Array:
    """Numbers as ids: 42 is A0000042."""
    return pc.binary_join_element_wise("A", seven_digits(numbers), "")


def seven_digits(numbers: Ints) -> pa.Array:
    """Numbers as text of seven digits, zeros in front."""
    return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 7, "0")


def draw_recorded(
    config: SimulatorConfig, seconds: Ints, rng: np.random.Generator, *, prompt: Bools | None = None
) -> Ints:
    """When each fact was recorded, in seconds since the start: at once or seconds later, a share days or weeks later.

    Where `prompt` is true it is recorded the moment it happened.
    """
    late = rng.random(seconds.size) < config.late_share
    delay = rng.integers(0, _PROMPT_SECONDS, seconds.size)
    delay[late] = (SECONDS_PER_DAY * (1 + rng.exponential(_MEAN_DELAY_DAYS, int(late.sum())))).astype(np.int64)
    return seconds + (delay if prompt is None else np.where(prompt, 0, delay))
