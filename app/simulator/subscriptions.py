"""The table of subscriptions: a row per spell and change of plan or fee; one ends the instant the next one starts."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.simulator import columns
from app.simulator.changes import Timeline
from app.simulator.life import Life
from app.simulator.population import PLANS
from app.simulator.streams import Purpose
from app.simulator.walk import NEVER_SECONDS
from app.stats.arrays import Bools, Ints


def subscription_table(life: Life, timeline: Timeline, numbers: Ints) -> pa.Table:
    """The rows of a block. `recorded_at` is that of the start; an end is known the moment it happens."""
    rows = np.flatnonzero(_is_new(timeline))
    account, start, spell = timeline.account[rows], timeline.seconds[rows], timeline.spell[rows]
    end = _ends(life, spell, start)
    rng = life.stream(Purpose.RECORDING_SUBSCRIPTIONS)
    recorded = columns.draw_recorded(life.config, start, rng, prompt=timeline.begins_spell[rows])
    ids = columns.account_ids(numbers)
    return pa.table(
        {
            "subscription_id": _subscription_ids(numbers[account], account),
            "account_id": ids.take(pa.array(account)),
            "started_at": columns.instants(life.config, start),
            "ended_at": columns.instants(life.config, end, missing=end == NEVER_SECONDS),
            "plan": columns.words(PLANS.tolist(), timeline.plan[rows]),
            "recurring_amount": pa.array(timeline.monthly_fee[rows]),
            "recorded_at": columns.instants(life.config, np.minimum(recorded, life.n_seconds - 1)),
        }
    )


def _is_new(timeline: Timeline) -> Bools:
    """Where a spell begins, or its plan or fee is another than before."""
    changed = (np.diff(timeline.plan) != 0) | (np.diff(timeline.monthly_fee) != 0)
    return np.asarray(timeline.begins_spell | np.append(True, changed))


def _ends(life: Life, spell: Ints, start: Ints) -> Ints:
    """A row ends where the next of its spell starts, the last one with the spell."""
    end = life.spells.end_seconds[spell]
    followed = np.flatnonzero(spell[1:] == spell[:-1])
    end[followed] = start[followed + 1]
    return end


def _subscription_ids(numbers: Ints, account: Ints) -> pa.Array:
    """S, the account's number, and a count within the account."""
    first = np.flatnonzero(np.append(True, account[1:] != account[:-1]))
    count = np.arange(account.size) - np.repeat(first, np.diff(np.append(first, account.size))) + 1
    text = pa.array(count).cast(pa.string())
    return pc.binary_join_element_wise(pc.binary_join_element_wise("S", columns.seven_digits(numbers), ""), text, "-")
