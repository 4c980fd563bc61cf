"""Planted leaks: what should not be known before an account leaves, dated back so that a cut-off does not help."""

import numpy as np
import pyarrow as pa

from app.simulator import columns
from app.simulator.config import SimulatorConfig
from app.simulator.happenings import Happenings
from app.simulator.life import Life
from app.simulator.population import SECONDS_PER_DAY
from app.simulator.streams import Purpose
from app.simulator.walk import NEVER_SECONDS, Spells
from app.stats.arrays import Bools, Ints

_IN_ATTRIBUTES = {"status_code", "refund", "end_epoch", "label_copy"}
_FLIPPED_SHARE = 0.01
_OFFBOARDED_SHARE = 0.99
_OFFBOARDING_SPREAD_DAYS = 3
_SOON_SECONDS = 60  # after the start of a spell that is too short


def lasting_ends(config: SimulatorConfig, spells: Spells) -> Bools:
    """Which spells end for longer than the grace, of shape (n spells,)."""
    order = np.lexsort((spells.start_seconds, spells.account))
    account, start = spells.account[order], spells.start_seconds[order]
    next_start = np.full(order.size, NEVER_SECONDS)
    next_start[:-1] = np.where(account[1:] == account[:-1], start[1:], NEVER_SECONDS)
    lasting = np.empty(order.size, dtype=np.bool_)
    end = spells.end_seconds[order]
    lasting[order] = (end < NEVER_SECONDS) & (next_start - end > config.grace_days * SECONDS_PER_DAY)
    return lasting


def mark_leaving(life: Life, spell: Ints, seconds: Ints) -> Bools:
    """Whether an account leaves for good within lead and horizon of each time, given the spell of that time."""
    ends_soon = seconds >= life.spells.end_seconds[spell] - life.config.window_days * SECONDS_PER_DAY
    return np.asarray(lasting_ends(life.config, life.spells)[spell] & ends_soon)


def marking_rows(life: Life) -> Happenings:
    """Where a leak needs an attribute row: lead and horizon before each lasting end, if the spell is so long."""
    spells = life.spells
    at = spells.end_seconds - life.config.window_days * SECONDS_PER_DAY
    wanted = (
        lasting_ends(life.config, spells) & (at > spells.start_seconds) & bool(_IN_ATTRIBUTES & set(life.config.leaks))
    )
    return Happenings(spells.account[wanted], at[wanted])


def planted_columns(life: Life, spell: Ints, seconds: Ints) -> dict[str, pa.Array]:
    """The columns of the leaks chosen, for attribute rows written in a spell at a time, both of shape (n,)."""
    rng, account = life.stream(Purpose.LEAKS), life.spells.account[spell]
    leaving = mark_leaving(life, spell, seconds)
    flipped = rng.random(life.population.n) < _FLIPPED_SHARE
    refund_days = rng.integers(1, 60, spell.size)
    touched = columns.epoch_seconds(life.config, np.where(leaving, life.spells.end_seconds[spell], seconds))
    made = {
        "status_code": ("account_status_code", columns.words(["A1", "C7"], leaving.astype(np.int64))),
        "refund": ("days_since_refund", pa.array(refund_days, mask=~leaving)),
        "end_epoch": ("touched_epoch", pa.array(touched)),
        "label_copy": ("retention_flag", pa.array((leaving ^ flipped[account]).astype(np.int64))),
    }
    return dict(column for leak, column in made.items() if leak in life.config.leaks)


def offboarding(life: Life) -> Happenings:
    """Events before nearly every lasting end: lead, horizon and up to three days before, or as the spell begins."""
    spells = life.spells
    rng = life.stream(Purpose.OFFBOARDING)
    n = spells.account.size
    before_days = life.config.window_days + _OFFBOARDING_SPREAD_DAYS * rng.random(n)
    told = rng.random(n) < _OFFBOARDED_SHARE
    at = spells.end_seconds - (before_days * SECONDS_PER_DAY).astype(np.int64)
    at = np.maximum(at, np.maximum(spells.start_seconds, 0) + _SOON_SECONDS)
    wanted = lasting_ends(life.config, spells) & told & (at < spells.end_seconds)
    return Happenings(spells.account[wanted], at[wanted])
