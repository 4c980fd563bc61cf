"""What features and labels at an instant must be, worked out by loops over lists of facts: slow, and plain to read."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, TypeVar

DAY = timedelta(days=1)
NEVER = datetime.min.replace(tzinfo=UTC)
Value = float | str | bool | None


@dataclass(frozen=True)
class AccountFact:
    account: str
    created_at: datetime
    valid_from: datetime
    attributes: dict[str, Value]
    recorded_at: datetime | None = None
    added_in: int = 0


@dataclass(frozen=True)
class SubscriptionFact:
    account: str
    id: str
    started_at: datetime
    ended_at: datetime | None = None
    plan: str | None = None
    amount: float | None = None
    recorded_at: datetime | None = None
    added_in: int = 0


@dataclass(frozen=True)
class EventFact:
    account: str
    id: str
    occurred_at: datetime
    kind: str
    quantity: float | None = None
    amount: float | None = None
    recorded_at: datetime | None = None
    added_in: int = 0


Fact = TypeVar("Fact", AccountFact, SubscriptionFact, EventFact)


@dataclass(frozen=True)
class Rules:
    """What a description of a dataset says.

    `active_days` None: the rule of subscriptions.
    """

    active_days: int | None = None
    active_kinds: tuple[str, ...] | None = None
    horizon_days: int = 30
    lead_days: int = 0
    grace_days: int = 0
    windows: tuple[int, ...] = (7, 14, 30, 60, 90, 180)
    max_kinds: int = 20
    so_far: bool = True
    has_event_ids: bool = False
    has_subscription_ids: bool = False
    has_accounts: bool = True
    has_subscriptions: bool = True


@dataclass
class Facts:
    """All facts that were ever sent, each with the revision that brought it."""

    accounts: list[AccountFact] = field(default_factory=list)
    subscriptions: list[SubscriptionFact] = field(default_factory=list)
    events: list[EventFact] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    features: dict[str, Value]
    churned: bool | None


class Oracle:
    """Answers from the facts of one revision alone."""

    def __init__(self, rules: Rules, facts: Facts, revision: int) -> None:
        self.rules = rules
        self.accounts = [each for each in facts.accounts if each.added_in <= revision]
        self.subscriptions = [each for each in facts.subscriptions if each.added_in <= revision]
        self.events = [each for each in facts.events if each.added_in <= revision]

    def kinds(self) -> tuple[list[str], bool]:
        """The kinds with features of their own, and whether there are others."""
        counts = Counter(each.kind for each in self.events)
        always = self.rules.active_kinds or ()
        ranked = sorted(counts, key=lambda kind: (kind not in always, -counts[kind], kind))
        own = [kind for kind in ranked if kind != "other"][: max(self.rules.max_kinds, len(always))]
        return own, len(own) < len(counts)

    def rows(self, as_of: datetime) -> dict[str, Row]:
        """By account: those that are active at the instant."""
        names = {each.account for each in self.accounts} | {each.account for each in self.events}
        names |= {each.account for each in self.subscriptions}
        found = {name: View(self, name, as_of) for name in sorted(names, key=str.encode)}
        return {name: Row(view.features(), view.churned()) for name, view in found.items() if view.is_active()}


class View:
    """One account as it was known at an instant."""

    def __init__(self, oracle: Oracle, account: str, as_of: datetime) -> None:
        self.rules, self.oracle, self.as_of = oracle.rules, oracle, as_of
        self.all_events = [each for each in oracle.events if each.account == account]
        self.all_subscriptions = [each for each in oracle.subscriptions if each.account == account]
        events = [each for each in self.all_events if self._seen(each.occurred_at, each.recorded_at)]
        self.events = sorted(self._newest_events(events), key=lambda each: each.occurred_at)
        subscriptions = [each for each in self.all_subscriptions if self._seen(each.started_at, each.recorded_at)]
        self.subscriptions = self._newest_subscriptions(subscriptions)
        states = [each for each in oracle.accounts if each.account == account]
        self.states = [
            each for each in states if self._seen(each.valid_from, each.recorded_at) and each.created_at < as_of
        ]

    def _seen(self, dated: datetime, recorded: datetime | None) -> bool:
        return dated < self.as_of and (recorded is None or recorded < self.as_of)

    def _newest_events(self, events: Iterable[EventFact]) -> list[EventFact]:
        return newest(events, lambda each: each.id) if self.rules.has_event_ids else list(events)

    def _newest_subscriptions(self, subscriptions: Iterable[SubscriptionFact]) -> list[SubscriptionFact]:
        return newest(subscriptions, lambda each: each.id if self.rules.has_subscription_ids else each.started_at)

    def _is_activity(self, event: EventFact) -> bool:
        return self.rules.active_kinds is None or event.kind in self.rules.active_kinds

    def _running(self) -> list[SubscriptionFact]:
        """An end that is still to come is not known yet."""
        return [each for each in self.subscriptions if each.ended_at is None or each.ended_at >= self.as_of]

    def is_active(self) -> bool:
        if self.rules.active_days is None:
            return bool(self._running())
        since = self.as_of - self.rules.active_days * DAY
        return any(each.occurred_at >= since and self._is_activity(each) for each in self.events)

    def churned(self) -> bool | None:
        opens = self.as_of + self.rules.lead_days * DAY
        ends = opens + self.rules.horizon_days * DAY
        if self.rules.active_days is not None:
            events = self._newest_events(self.all_events)
            return not any(opens <= each.occurred_at < ends and self._is_activity(each) for each in events)
        subscriptions = self._newest_subscriptions(self.all_subscriptions)
        left = sorted(each.ended_at for each in subscriptions if each.ended_at and self._is_churn(each, subscriptions))
        if any(at < self.as_of and not runs_within(subscriptions, at, self.as_of) for at in left):
            return None  # it had left before, and nobody knew
        first = next((at for at in left if at >= self.as_of), None)
        if first is None:
            return False
        return None if first < opens else first < ends

    def _is_churn(self, over: SubscriptionFact, subscriptions: Sequence[SubscriptionFact]) -> bool:
        """None runs after it, at any time in the grace."""
        assert over.ended_at is not None
        until = over.ended_at + self.rules.grace_days * DAY
        return not any(
            each.started_at <= until and (each.ended_at is None or each.ended_at > over.ended_at)
            for each in subscriptions
        )

    def features(self) -> dict[str, Value]:
        found = self._times()
        own, has_other = self.oracle.kinds()
        for kind in own:
            found |= self._of_kind(kind, [each for each in self.events if each.kind == kind], self._has(kind))
        if has_other:
            others = [each for each in self.events if each.kind not in own]
            found |= self._of_kind("other", others, (False, False))
        if len(own) + has_other > 1:
            for window in self.rules.windows:
                kinds = {each.kind if each.kind in own else "other" for each in self._within(self.events, window)}
                found[f"n_kinds_{window}d"] = float(len(kinds))
        if self.rules.has_subscriptions:
            found |= self._of_subscriptions()
        if self.rules.has_accounts:
            found |= self._attributes()
        return found

    def _days_since(self, instant: datetime | None) -> float | None:
        return None if instant is None else (self.as_of - instant) / DAY

    def _within(self, events: Iterable[EventFact], window: int) -> list[EventFact]:
        return [each for each in events if each.occurred_at >= self.as_of - window * DAY]

    def _state(self) -> AccountFact | None:
        ordered = sorted(self.states, key=lambda each: (each.valid_from, each.recorded_at or NEVER, each.added_in))
        return ordered[-1] if ordered else None

    def _times(self) -> dict[str, Value]:
        traces = [each.occurred_at for each in self.events] + [each.started_at for each in self.subscriptions]
        made = min(traces, default=None)
        if self.rules.has_accounts:
            state = self._state()
            made = state.created_at if state else None
        gaps = [(later.occurred_at - earlier.occurred_at) / DAY for earlier, later in pairwise(self.events)]
        mean = sum(gaps) / len(gaps) if gaps else None
        spread = None
        if mean is not None and len(gaps) > 1:
            spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / (len(gaps) - 1))
        recency = self._days_since(self.events[-1].occurred_at if self.events else None)
        return {
            "tenure_days": self._days_since(made),
            "days_since_any_event": recency,
            "gap_mean_days": mean,
            "gap_sd_days": spread,
            "days_since_any_event_over_gap": recency / mean if recency is not None and mean else None,
        }

    def _has(self, kind: str) -> tuple[bool, bool]:
        """Whether any event of the kind, of any account, says how much and for how much money."""
        events = [each for each in self.oracle.events if each.kind == kind]
        return any(each.quantity is not None for each in events), any(each.amount is not None for each in events)

    def _of_kind(self, kind: str, events: list[EventFact], has: tuple[bool, bool]) -> dict[str, Value]:
        found: dict[str, Value] = {}
        windows = {f"{window}d": self._within(events, window) for window in self.rules.windows}
        windows |= {"total": events} if self.rules.so_far else {}
        for suffix, within in windows.items():
            ages = {math.ceil((self.as_of - each.occurred_at) / DAY) for each in within}
            found[f"n_{kind}_{suffix}"] = float(len(within))
            found[f"active_days_{kind}_{suffix}"] = float(len(ages))
            for name, is_there in zip(("quantity", "amount"), has, strict=True):
                if is_there:
                    found[f"{name}_{kind}_{suffix}"] = sum(numbers(within, name))
        for name, is_there in zip(("quantity", "amount"), has, strict=True):
            if is_there:
                told = numbers(events, name)
                found[f"mean_{name}_{kind}"] = sum(told) / len(told) if told else None
        found[f"days_since_{kind}"] = self._days_since(events[-1].occurred_at if events else None)
        ordered = sorted(self.rules.windows)
        for short, long in zip(ordered, ordered[2:], strict=False):
            rate = len(self._within(events, long)) / long
            trend = len(self._within(events, short)) / short / rate if rate else None
            found[f"trend_{kind}_{short}d_{long}d"] = trend
        return found

    def _of_subscriptions(self) -> dict[str, Value]:
        running, ended = self._running(), [each for each in self.subscriptions if each not in self._running()]
        starts = [each.started_at for each in self.subscriptions]
        since = max((each.started_at for each in running), default=None)
        # Of several that began at one instant the first plan by its bytes; one that has no name comes last.
        latest = sorted((each for each in running if each.started_at == since), key=lambda each: plan_order(each.plan))
        told = [each.amount for each in running if each.amount is not None]
        return {
            "plan": latest[0].plan if latest else None,
            "recurring_amount": sum(told) if told else None,
            "subscription_age_days": self._days_since(since),
            "days_since_first_subscription": self._days_since(min(starts, default=None)),
            "n_subscriptions": float(len(starts)),
            "n_subscriptions_ended": float(len(ended)),
        }

    def _attributes(self) -> dict[str, Value]:
        state = self._state()
        names = sorted({name for each in self.oracle.accounts for name in each.attributes})
        return {name: state.attributes.get(name) if state else None for name in names}


def newest(facts: Iterable[Fact], key: Callable[[Fact], Any]) -> list[Fact]:
    """Of the rows of one key that which was recorded last; of those the one that came last."""
    found: dict[Any, Fact] = {}
    for each in sorted(facts, key=lambda each: (each.recorded_at or NEVER, each.added_in)):
        found[key(each)] = each
    return list(found.values())


def runs_within(subscriptions: Iterable[SubscriptionFact], after: datetime, before: datetime) -> bool:
    """Whether one runs at some moment after one instant and before another."""
    return any(each.started_at < before and (each.ended_at is None or each.ended_at > after) for each in subscriptions)


def numbers(events: Iterable[EventFact], name: str) -> list[float]:
    return [getattr(each, name) for each in events if getattr(each, name) is not None]


def plan_order(plan: str | None) -> tuple[bool, bytes]:
    return plan is None, (plan or "").encode()
