"""The table of accounts: a row per account and change of its attributes."""

import numpy as np
import pyarrow as pa

from app.simulator import columns, population
from app.simulator.changes import Timeline
from app.simulator.leaks import marking_rows, planted_columns
from app.simulator.life import Life
from app.simulator.streams import Purpose
from app.stats.arrays import Ints

_VALUE_MISSING_EVERY = 10  # one account in so many has no annual value


def account_table(life: Life, timeline: Timeline, ids: pa.Array) -> pa.Table:
    """The rows of a block; the first of an account is valid from its creation."""
    written = np.flatnonzero(timeline.for_account)
    marks = marking_rows(life)
    account = np.concatenate([timeline.account[written], marks.account])
    seconds = np.concatenate([timeline.seconds[written], marks.seconds])
    position = np.concatenate([written, timeline.find(marks.account, marks.seconds)])
    dated_back = np.arange(account.size) >= written.size
    prompt = timeline.begins_spell[position] | dated_back
    recorded = columns.draw_recorded(life.config, seconds, life.stream(Purpose.RECORDING_ACCOUNTS), prompt=prompt)
    known = np.flatnonzero(recorded < life.n_seconds)
    account, seconds, position = account[known], seconds[known], position[known]
    rows = _attributes(life, timeline, ids, account, position)
    return pa.table(
        {
            **rows,
            **planted_columns(life, timeline.spell[position], seconds),
            "valid_from": columns.instants(life.config, seconds),
            "recorded_at": columns.instants(life.config, recorded[known]),
        }
    )


def _attributes(life: Life, timeline: Timeline, ids: pa.Array, account: Ints, position: Ints) -> dict[str, pa.Array]:
    """What is known of an account: its traits and, from the timeline, what changes."""
    traits = life.population
    value = np.round(12 * timeline.monthly_fee[position], 2)
    value[account % _VALUE_MISSING_EVERY == _VALUE_MISSING_EVERY - 1] = np.nan
    increase = 100 * np.array(population.YEARLY_INCREASES)[traits.clause[account]]
    return {
        "account_id": ids.take(pa.array(account)),
        "created_at": columns.instants(life.config, traits.created_seconds[account]),
        "industry": columns.words(population.INDUSTRIES.tolist(), traits.industry[account]),
        "country": columns.words(population.COUNTRIES.tolist(), traits.country[account]),
        "channel": columns.words(population.CHANNELS.tolist(), traits.channel[account]),
        "contract": columns.words(["annual", "monthly"], traits.monthly[account].astype(np.int64)),
        "yearly_increase_pct": pa.array(increase),
        "has_integration": pa.array(traits.integrated[account]),
        "seats": pa.array(timeline.seats[position]),
        "admin_number": pa.array(timeline.admin[position]),
        "annual_value": columns.measures(value),
    }
