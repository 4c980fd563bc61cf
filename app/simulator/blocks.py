"""The facts of the business, block by block, and the truth about an instant."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from app.simulator import columns
from app.simulator.accounts import account_table
from app.simulator.changes import draw_timeline
from app.simulator.config import SimulatorConfig
from app.simulator.events import event_table
from app.simulator.leaks import lasting_ends
from app.simulator.life import Course, Life, live
from app.simulator.population import SECONDS_PER_DAY
from app.simulator.subscriptions import subscription_table
from app.simulator.walk import NEVER_SECONDS
from app.stats.arrays import Ints


@dataclass(frozen=True)
class Block:
    """The facts about a block of accounts.

    Attributes
    ----------
    number : int
        0, 1, ...
    accounts, subscriptions, events : pyarrow tables
        The three fact tables; docs/simulator.md lists their columns.
    contacted : pyarrow table
        Who was listed for a contact: `account_id`, `contacted_at`, `arm` (treated, held_out), `p` (the true chance of
        churn at the time, without a contact); no rows without the switch.
    """

    number: int
    accounts: pa.Table
    subscriptions: pa.Table
    events: pa.Table
    contacted: pa.Table


def simulate(config: SimulatorConfig) -> Iterator[Block]:
    """Live through the business; memory is bounded by one block."""
    for block in range(len(config.block_sizes)):
        yield make_block(config, block)


def make_block(config: SimulatorConfig, block: int) -> Block:
    """One block; it depends on no other, and not on how many there are (the last, smaller one on its size)."""
    life = live(config, block)
    timeline = draw_timeline(life)
    numbers = columns.account_numbers(life)
    ids = columns.account_ids(numbers)
    return Block(
        number=block,
        accounts=account_table(life, timeline, ids),
        subscriptions=subscription_table(life, timeline, numbers),
        events=event_table(life, timeline, ids),
        contacted=_contacted(life, ids),
    )


def _contacted(life: Life, ids: pa.Array) -> pa.Table:
    config, contact = life.config, life.contact
    day = config.day_of(config.treatment.at) if config.treatment else 0
    at = np.full(contact.account.size, day * SECONDS_PER_DAY)
    return pa.table(
        {
            "account_id": ids.take(pa.array(contact.account)),
            "contacted_at": columns.instants(config, at),
            "arm": columns.words(["held_out", "treated"], contact.treated.astype(np.int64)),
            "p": pa.array(contact.p),
        }
    )


def true_probabilities(config: SimulatorConfig, as_of: datetime) -> pa.Table:
    """`account_id` and `p` of every customer at a midnight: its exact chance to churn in the window of the config."""
    return pa.concat_tables(truth_blocks(config, as_of)).select(["account_id", "p"])


def truth_blocks(config: SimulatorConfig, as_of: datetime) -> Iterator[pa.Table]:
    """The truth about the customers at a midnight from start to end, block by block.

    `account_id`; `p`, the chance to churn given all that the future depends on at `as_of` (a contact that is still to
    come is not known then, and not in it); `churned`, what happened, null where window and grace are not over by the
    end; `ended_at`, the first end of service after `as_of`, null where there is none by the end.
    """
    day = config.day_within(as_of)
    for block in range(len(config.block_sizes)):
        yield _truth_block(config, block, day)


def _truth_block(config: SimulatorConfig, block: int, day: int) -> pa.Table:
    course = Course(config, block)
    course.go(day)
    p, customers = course.probabilities(), np.flatnonzero(course.walk.standing.serving)
    course.go(config.n_days)
    life = course.life(np.empty((0, 0), dtype=np.uint8))
    ids = columns.account_ids(columns.account_numbers(life))
    return pa.table({"account_id": ids, "p": pa.array(p), **_outcomes(life, day)}).take(pa.array(customers))


def _outcomes(life: Life, day: int) -> dict[str, pa.Array]:
    """Whether each account churned in the window, and its first end after the day."""
    config, spells, n = life.config, life.spells, life.population.n
    opens = (day + config.lead_days) * SECONDS_PER_DAY
    closes = (day + config.window_days) * SECONDS_PER_DAY
    in_window = (spells.end_seconds >= opens) & (spells.end_seconds < closes) & lasting_ends(config, spells)
    churned = np.zeros(n, dtype=np.bool_)
    churned[spells.account[in_window]] = True
    matured = day + config.window_days + config.grace_days <= config.n_days
    first = _first_end(life, day)
    return {
        "churned": pa.array(churned, mask=np.full(n, not matured)),
        "ended_at": columns.instants(config, first, missing=first == NEVER_SECONDS),
    }


def _first_end(life: Life, day: int) -> Ints:
    first = np.full(life.population.n, NEVER_SECONDS)
    later = life.spells.end_seconds >= day * SECONDS_PER_DAY
    np.minimum.at(first, life.spells.account[later], life.spells.end_seconds[later])
    return first
