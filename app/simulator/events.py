"""The table of events: what accounts did, what they were billed, and how they paid."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from app.simulator import columns
from app.simulator.changes import Timeline
from app.simulator.config import KINDS
from app.simulator.happenings import Happenings, draw_happenings
from app.simulator.laws import AWAY
from app.simulator.leaks import offboarding
from app.simulator.life import Life
from app.simulator.population import SECONDS_PER_DAY
from app.simulator.rates import Rate, event_rates
from app.simulator.streams import Purpose
from app.stats.arrays import Bools, Floats, Ints

_BILLING_DAYS = (365, 30)  # annual, monthly
_FAILURE_SHARES = (0.03, 0.15)  # of monthly invoices: usually; in trouble or dormant
_FAILURE_AFTER_SECONDS = 3_600
_SEVERITIES = {"calm": [0.6, 0.3, 0.1], "troubled": [0.25, 0.4, 0.35]}
_PROMPTS_MEAN = 4.0  # of the assistant, per use
_FEATURES_MEAN = 3.0  # per use
_MEGABYTES = (1.0, 1.0)  # of an export: mean and standard deviation of the logarithm


@dataclass(frozen=True)
class Events:
    """Events of one kind in columns of shape (n,); NaN where there is no quantity or amount."""

    kind: str
    account: Ints
    seconds: Ints
    quantity: Floats
    amount: Floats

    def where(self, kept: Bools) -> "Events":
        """Those kept."""
        return Events(self.kind, self.account[kept], self.seconds[kept], self.quantity[kept], self.amount[kept])


def event_table(life: Life, timeline: Timeline, ids: pa.Array) -> pa.Table:
    """The events of a block, ordered by account and time; what is recorded after the end is not in it."""
    parts = [_thin(life, events) for events in _draw(life, timeline)]
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("account", "seconds")}
    order = np.argsort(joined["account"] * 2**36 + joined["seconds"], kind="stable")
    seconds = joined["seconds"][order]
    recorded = columns.draw_recorded(life.config, seconds, life.stream(Purpose.RECORDING_EVENTS))
    known = recorded < life.n_seconds
    order, seconds, recorded = order[known], seconds[known], recorded[known]
    kinds = np.repeat([KINDS.index(part.kind) for part in parts], [part.account.size for part in parts])
    return pa.table(
        {
            "account_id": ids.take(pa.array(joined["account"][order])),
            "occurred_at": columns.instants(life.config, seconds),
            "kind": columns.words(list(KINDS), kinds[order]),
            "quantity": columns.measures(np.concatenate([part.quantity for part in parts])[order]),
            "amount": columns.measures(np.concatenate([part.amount for part in parts])[order]),
            "recorded_at": columns.instants(life.config, recorded),
        }
    )


def _draw(life: Life, timeline: Timeline) -> list[Events]:
    used = [_use(life, kind, rate) for kind, rate in event_rates(life.config).items()]
    billed = _bill(life, timeline)
    left = [_bare("offboarding", offboarding(life))] if "offboarding" in life.config.leaks else []
    return [*used, *billed, *left]


def _use(life: Life, kind: str, rate: Rate) -> Events:
    """Events at the rate of the state, and what was measured of each."""
    rng = life.stream(Purpose.EVENTS + KINDS.index(kind))
    found = draw_happenings(life, rate, rng)
    quantity = _quantity(kind, _troubled(life, found), rng)
    return Events(kind, found.account, found.seconds, quantity, np.full(found.account.size, np.nan))


def _quantity(kind: str, troubled: Bools, rng: np.random.Generator) -> Floats:
    """Severity of a ticket (1..3, worse in trouble), features in use, megabytes exported, prompts; none of logins."""
    n = troubled.size
    if kind == "ticket":
        cuts = np.cumsum(list(_SEVERITIES.values()), axis=1)[troubled.astype(np.int64)]
        return np.asarray(1.0 + (rng.random(n)[:, None] >= cuts[:, :2]).sum(axis=1))
    if kind == "export":
        return np.round(rng.lognormal(*_MEGABYTES, n), 2)
    if kind == "login":
        return np.full(n, np.nan)
    return np.asarray(rng.geometric(1 / (_FEATURES_MEAN if kind == "feature_use" else _PROMPTS_MEAN), n), np.float64)


def _troubled(life: Life, found: Happenings) -> Bools:
    state = life.path[found.account, found.seconds // SECONDS_PER_DAY]
    return np.asarray((state % 2 == 1) & (state != AWAY))


def _bare(kind: str, found: Happenings) -> Events:
    nothing = np.full(found.account.size, np.nan)
    return Events(kind, found.account, found.seconds, nothing, nothing)


def _bill(life: Life, timeline: Timeline) -> tuple[Events, Events]:
    """An invoice at the start of each month or year of a spell; some of the monthly ones are not paid at first."""
    spells, monthly = life.spells, life.population.monthly.astype(np.int64)
    period = np.array(_BILLING_DAYS)[monthly[spells.account]] * SECONDS_PER_DAY
    last = np.minimum(spells.end_seconds, life.n_seconds)
    n_bills = (last - spells.start_seconds - 1) // period + 1
    spell = np.repeat(np.arange(period.size), n_bills)
    number = np.arange(spell.size) - np.repeat(np.cumsum(n_bills) - n_bills, n_bills)
    seconds = spells.start_seconds[spell] + number * period[spell]
    spell, seconds = spell[seconds >= 0], seconds[seconds >= 0]
    account = spells.account[spell]
    amount = np.round(timeline.monthly_fee[timeline.find(account, seconds)] * np.array([12, 1])[monthly[account]], 2)
    invoices = Events("invoice", account, seconds, np.full(account.size, np.nan), amount)
    return invoices, _failures(life, invoices, last[spell])


def _failures(life: Life, invoices: Events, last: Ints) -> Events:
    """An hour after the invoice, while service goes on."""
    state = life.path[invoices.account, invoices.seconds // SECONDS_PER_DAY]
    strained = ((state % 2 == 1) | (state >= AWAY - 2)) & (state != AWAY)
    chance = life.stream(Purpose.INVOICES).random(state.size)
    failed = life.population.monthly[invoices.account] & (chance < np.where(strained, *_FAILURE_SHARES[::-1]))
    kept = failed & (invoices.seconds + _FAILURE_AFTER_SECONDS < last)
    failures = invoices.where(np.asarray(kept))
    later = failures.seconds + _FAILURE_AFTER_SECONDS
    return Events("payment_failed", failures.account, later, failures.quantity, failures.amount)


def _thin(life: Life, events: Events) -> Events:
    """What is left of a kind after its drift and its broken feed."""
    config = life.config
    chance = life.stream(Purpose.THINNING + KINDS.index(events.kind)).random(events.account.size)
    limits: list[tuple[datetime, float]] = [
        (drift.at, drift.factor) for drift in config.drifts if drift.kind == events.kind
    ]
    limits += [(feed.at, 0.0) for feed in config.broken_feeds if feed.kind == events.kind]
    for at, share in limits:
        kept = (events.seconds < config.day_of(at) * SECONDS_PER_DAY) | (chance < share)
        events, chance = events.where(kept), chance[kept]
    return events
