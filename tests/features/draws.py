"""Small businesses drawn by a seed, full of what happens at a boundary."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import numpy as np

from tests.features.oracle import DAY, AccountFact, EventFact, Facts, Rules, SubscriptionFact

AS_OF = datetime(2024, 6, 1, 9, 30, tzinfo=UTC)
LATER = AS_OF + 30 * DAY
TICK = timedelta(microseconds=1)
KINDS = ("login", "ticket", "invoice", "call", "other", "éxport")
PLANS = ("basic", "pro", "Über", "a", "B", None)
Drawn = TypeVar("Drawn")


@dataclass(frozen=True)
class Draw:
    """Draws facts around instants."""

    rng: np.random.Generator
    rules: Rules

    def business(self, n_accounts: int = 30) -> Facts:
        names = [f"a{number}" for number in range(n_accounts - 2)] + ["Ä 'q' $1", "00001"]
        facts = Facts()
        for name in names:
            facts.accounts += self._some(lambda name=name: self.account(name), 0, 4)  # type: ignore[misc]  # bound now
            facts.subscriptions += self.subscriptions(name)
            facts.events += self._some(lambda name=name: self.event(name), 0, 40)  # type: ignore[misc]  # as above
        return facts

    def _some(self, draw: Callable[[], Drawn], fewest: int, most: int) -> list[Drawn]:
        return [draw() for _ in range(int(self.rng.integers(fewest, most)))]

    def pick(self, values: Sequence[Drawn]) -> Drawn:
        return values[int(self.rng.integers(len(values)))]

    def instant(self, back: float = 250, ahead: float = 90) -> datetime:
        """On a boundary, beside one, on a round hour that others draw too, or anywhere."""
        anchor = self.pick([AS_OF, AS_OF, LATER])
        edges = (*self.rules.windows, 0, 0, self.rules.active_days or 0)
        edges += (-self.rules.horizon_days, -self.rules.lead_days, -self.rules.lead_days - self.rules.horizon_days)
        choice = self.rng.random()
        if choice < 0.35:
            return anchor - int(self.pick(edges)) * DAY + int(self.pick([-1, 0, 0, 0, 1])) * TICK
        if choice < 0.6:
            return anchor + int(self.rng.integers(-24, 10)) * timedelta(hours=12)
        return anchor + timedelta(seconds=int(self.rng.uniform(-back, ahead) * 86_400))

    def recorded(self, dated: datetime) -> datetime | None:
        """Mostly as it happened; else some days late, or at the very instant."""
        choice = self.rng.random()
        if choice < 0.55:
            return None
        if choice < 0.65:
            return AS_OF + int(self.pick([-1, 0, 1])) * TICK
        return dated + timedelta(days=int(self.rng.integers(0, 40)))

    def account(self, name: str) -> AccountFact:
        created = self.instant(back=400, ahead=5)
        valid_from = self.pick([created, self.instant()])
        attributes = {"seats": float(self.rng.integers(1, 50)), "region": self.pick(["north", "south", None])}
        return AccountFact(name, created, valid_from, attributes, self.recorded(valid_from))

    def event(self, name: str) -> EventFact:
        occurred = self.instant()
        money = None if self.rng.random() < 0.3 else round(float(self.rng.uniform(-20, 200)), 2)
        quantity = None if self.rng.random() < 0.5 else float(self.rng.integers(0, 9))
        kind = str(self.rng.choice(KINDS, p=[0.4, 0.2, 0.15, 0.1, 0.1, 0.05]))
        money = money if kind in ("invoice", "ticket", "other") else None
        return EventFact(name, f"e{self.rng.integers(25)}", occurred, kind, quantity, money, self.recorded(occurred))

    def subscriptions(self, name: str) -> list[SubscriptionFact]:
        """One after the other: at once, within the grace or long after; now and then two at a time."""
        found: list[SubscriptionFact] = []
        at = self.instant(back=300, ahead=-100)
        for number in range(int(self.rng.integers(0, 5))):
            end = self.pick([self.instant(back=60), AS_OF, AS_OF + 20 * DAY, at + 45 * DAY, None])
            ended = None if end is None else max(at, end)
            amount = None if self.rng.random() < 0.2 else round(float(self.rng.uniform(5, 90)), 2)
            plan = self.pick(PLANS)
            found.append(SubscriptionFact(name, f"s{number}", at, ended, plan, amount, self.recorded(at)))
            grace = self.rules.grace_days
            gap = self.pick([timedelta(0), grace * DAY, grace * DAY + TICK, (grace + 20) * DAY, -10 * DAY])
            at = (ended or at + 60 * DAY) + gap
        return [*found, *self.corrections(found)]

    def corrections(self, subscriptions: Sequence[SubscriptionFact]) -> list[SubscriptionFact]:
        """A later version of some: it ended after all, or on another plan."""
        corrected = []
        for each in subscriptions:
            if self.rng.random() < 0.3:
                ended = max(each.started_at, self.pick([self.instant(back=80), AS_OF - 3 * DAY, AS_OF + 8 * DAY]))
                recorded = self.pick([None, ended, ended + 10 * DAY])
                corrected.append(
                    SubscriptionFact(each.account, each.id, each.started_at, ended, self.pick(PLANS), 7.25, recorded)
                )
        return corrected


def deal(rng: np.random.Generator, facts: Sequence[Drawn], key: Callable[[Drawn], object], n: int) -> list[list[Drawn]]:
    """Into batches to upload, none of which names a key twice; what comes a second time goes into a later one."""
    batches: list[dict[object, Drawn]] = [{} for _ in range(n)]
    for each in facts:
        first = int(rng.integers(n))
        free = next((batch for batch in batches[first:] if key(each) not in batch), None)
        if free is not None:
            free[key(each)] = each
    return [list(batch.values()) for batch in batches]
