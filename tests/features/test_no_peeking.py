"""No row as of an instant changes by facts that are dated, or were recorded, at that instant or after."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from app.ml.fingerprint import training_data_hash
from app.services.training_rows import TrainingRows
from tests.features.business import AnyFact, Business, Store, rows_of
from tests.features.draws import AS_OF, TICK, Draw, deal
from tests.features.oracle import DAY, AccountFact, EventFact, Row, Rules, SubscriptionFact
from tests.features.test_query import keys

RULES = {
    "contract": Rules(has_subscription_ids=True, has_event_ids=True, horizon_days=20, grace_days=5, windows=(7, 30)),
    "event": Rules(
        active_days=60, active_kinds=("login", "call"), has_event_ids=True, horizon_days=20, windows=(7, 30)
    ),
}
NAMES = ("accounts", "subscriptions", "events")
AFTER = st.one_of(
    st.sampled_from([AS_OF, AS_OF + TICK, AS_OF + DAY]), st.integers(0, 90).map(lambda days: AS_OF + days * DAY)
)
BEFORE = st.integers(1, 200 * 24).map(lambda hours: AS_OF - timedelta(hours=hours))
ACCOUNT = st.sampled_from(["a0", "a1", "a2", "a3", "a4", "a5", "new"])
KEY = st.integers(0, 24)
FUTURE = settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def later_facts(draw: st.DrawFn) -> dict[str, list[AnyFact]]:
    """Facts that nobody can have known at the instant: they happen then or later, or were recorded then or later."""
    found: dict[str, list[AnyFact]] = {name: [] for name in NAMES}
    for _ in range(draw(st.integers(1, 6))):
        name = draw(st.sampled_from(NAMES))
        late = draw(st.booleans())
        dated, recorded = draw(BEFORE if late else AFTER), draw(AFTER if late else st.none() | BEFORE | AFTER)
        found[name].append(draw(_fact(name, dated, recorded)))
    return found


def _fact(name: str, dated: datetime, recorded: datetime | None) -> st.SearchStrategy[AnyFact]:
    """By its key it may be a later version of a fact that was known."""
    if name == "events":
        kind = st.sampled_from(["login", "call", "ticket", "brand new"])
        return st.builds(
            lambda account, key, kind: EventFact(account, f"e{key}", dated, kind, 3.0, 9.99, recorded),
            ACCOUNT,
            KEY,
            kind,
        )
    if name == "accounts":
        return st.builds(
            lambda account, days: AccountFact(
                account, dated - days * DAY, dated, {"seats": 77.0, "region": "x"}, recorded
            ),
            ACCOUNT,
            st.integers(0, 500),
        )
    return st.builds(
        lambda account, key, days: SubscriptionFact(
            account, f"s{key % 5}", dated, None if days is None else dated + days * DAY, "new", 1.0, recorded
        ),
        ACCOUNT,
        KEY,
        st.none() | st.integers(0, 60),
    )


@dataclass(frozen=True)
class Past:
    """A business, the rows of an instant as they were, and the split of a training."""

    business: Business
    revision: int
    plan: dict[str, Any] | None
    rows: dict[str, Row]
    split: dict[str, Any]
    data_hash: str
    plan_of_training: dict[str, Any] | None


async def make_past(store: Store, rules: Rules) -> Past:
    rng = np.random.default_rng(5)
    facts = Draw(rng, rules).business(12)
    business = await store.describe(rules, step_days=25)
    for name in NAMES:
        for batch in deal(rng, getattr(facts, name), keys(rules)[name], 2):
            await business.send(name, batch)
    source = await business.open()
    training = await store.services.frames.training_rows(await business.dataset(), source, split="temporal")
    rows = await features_at(business, None, source.plan)
    plan = await plan_of_training(business)
    return Past(business, business.revision, source.plan, rows, training.split, hash_of(training), plan)


async def plan_of_training(business: Business) -> dict[str, Any] | None:
    """Which kinds of event have features of their own, for a training whose newest instant this is."""
    return (await (await business.open()).frozen(AS_OF)).plan


async def features_at(business: Business, revision: int | None, plan: dict[str, Any] | None) -> dict[str, Row]:
    """All rows as of the instant, whether or not their label is known."""
    source = await business.open(revision, plan)
    chunks = [await source.chunk(AS_OF, [""], labelled=False)]
    return rows_of(chunks)


def hash_of(rows: TrainingRows) -> str:
    return training_data_hash(rows.frame, rows.sides, rows.features)


async def rebuilt_hash(past: Past) -> str:
    """Of the rows of the old revision, by its plan and its split."""
    business = past.business
    source = await business.open(past.revision, past.plan)
    frames = business.store.services.frames
    return hash_of(await frames.training_rows(await business.dataset(), source, like=past.split))


@pytest.fixture(scope="module", params=list(RULES.values()), ids=list(RULES))
async def past(request: pytest.FixtureRequest, store: Store) -> Past:
    return await make_past(store, request.param)


async def test_there_is_something_to_change(past: Past) -> None:
    assert len(past.rows) > 3
    assert sum(side["n_rows"] for side in past.split["sides"].values()) > 10


@FUTURE
@given(facts=later_facts())
async def test_facts_that_are_added_later_change_no_row_before(past: Past, facts: dict[str, list[AnyFact]]) -> None:
    business = past.business
    for name in NAMES:
        fresh = list({keys(business.rules)[name](each): each for each in facts[name]}.values())
        if fresh:
            await business.send(name, fresh)
    assert await features_at(business, None, past.plan) == past.rows
    assert await rebuilt_hash(past) == past.data_hash
    assert await plan_of_training(business) == past.plan_of_training


def was_known(fact: AnyFact) -> bool:
    dated = getattr(fact, {AccountFact: "valid_from", SubscriptionFact: "started_at"}.get(type(fact), "occurred_at"))
    made = fact.created_at < AS_OF if isinstance(fact, AccountFact) else True
    return bool(dated < AS_OF and made and (fact.recorded_at is None or fact.recorded_at < AS_OF))


async def test_kinds_that_are_many_later_have_no_say_in_the_features(store: Store) -> None:
    """With room for one kind: logins were the commonest that were known, whatever came after."""
    rules = Rules(active_days=90, max_kinds=1, has_accounts=False, has_subscriptions=False)
    business = await store.describe(rules)
    known = [EventFact("a1", "", AS_OF - n * DAY, "login", None, None, None) for n in range(1, 20)]
    rare = [EventFact("a1", "", AS_OF - n * DAY, "call", 1.0, None, None) for n in range(1, 4)]
    await business.send("events", [*known, *rare])
    plan = await plan_of_training(business)
    assert plan is not None
    assert ([each["name"] for each in plan["kinds"]], plan["has_other"]) == (["login"], True)
    late = [EventFact("a2", "", AS_OF - DAY, "call", 1.0, 2.0, AS_OF + DAY) for _ in range(100)]
    after = [EventFact("a2", "", AS_OF + DAY, "visit", None, 5.0, None) for _ in range(100)]
    await business.send("events", [*late, *after])
    assert await plan_of_training(business) == plan


@settings(FUTURE, max_examples=5)
@given(seed=st.integers(0, 1000))
async def test_later_facts_that_are_removed_change_no_row_before(past: Past, seed: int) -> None:
    """Each file is sent again, without some of what could not be known and with other ends that were to come."""
    business, rng = past.business, np.random.default_rng(seed)
    for name in NAMES:
        method = "PUT"
        sent: Sequence[AnyFact] = getattr(business.facts, name)
        for revision in sorted({each.added_in for each in sent}):
            batch = [each for each in sent if each.added_in == revision]
            kept = [_with_another_end(each, rng) for each in batch if was_known(each) or rng.random() < 0.5]
            if kept:
                await business.send(name, kept, method=method)
                method = "POST"
    assert await features_at(business, None, past.plan) == past.rows
    assert await rebuilt_hash(past) == past.data_hash


def _with_another_end(fact: AnyFact, rng: np.random.Generator) -> AnyFact:
    if isinstance(fact, SubscriptionFact) and (fact.ended_at is None or fact.ended_at >= AS_OF):
        ends = (None, AS_OF, AS_OF + TICK, AS_OF + 40 * DAY)
        end = ends[int(rng.integers(len(ends)))]
        return replace(fact, ended_at=None if end is None else max(end, fact.started_at))
    return fact


async def test_an_end_that_is_appended_later_changes_no_row_before(past: Past) -> None:
    business = past.business
    running = [
        replace(each, ended_at=AS_OF + 3 * DAY)
        for each in business.facts.subscriptions
        if was_known(each) and each.recorded_at is None and (each.ended_at is None or each.ended_at >= AS_OF)
    ]
    newest = {keys(business.rules)["subscriptions"](each): each for each in running}
    assert newest
    await business.send("subscriptions", list(newest.values()))
    assert await features_at(business, None, past.plan) == past.rows
    assert await rebuilt_hash(past) == past.data_hash


async def test_rows_are_rebuilt_to_the_last_digit_whatever_came_since(store: Store) -> None:
    """Sums of money in another order differ in their last digits, unless they are exact."""
    rules = Rules(active_days=90, horizon_days=20, has_accounts=False, has_subscriptions=False)
    business = await store.describe(rules, step_days=25)
    rng = np.random.default_rng(1)

    def some(n: int, prefix: str) -> list[AnyFact]:
        return [
            EventFact(f"{prefix}{rng.integers(60)}", "", _any_day(rng), "buy", float(rng.random()), _money(rng))
            for _ in range(n)
        ]

    await business.send("events", some(3000, "a"))
    source = await business.open()
    frames, dataset = store.services.frames, await business.dataset()
    training = await frames.training_rows(dataset, source, split="temporal")
    past = Past(business, business.revision, source.plan, {}, training.split, hash_of(training), None)
    await business.send("events", some(3000, "a"))
    await business.send("events", some(20_000, "b"))
    assert await rebuilt_hash(past) == past.data_hash
    changed = await frames.training_rows(dataset, await business.open(plan=past.plan), like=past.split)
    assert hash_of(changed) != past.data_hash
    assert len(set(await asyncio.gather(*(rebuilt_hash(past) for _ in range(3))))) == 1


def _any_day(rng: np.random.Generator) -> datetime:
    return AS_OF - timedelta(seconds=int(rng.integers(300 * 86_400)))


def _money(rng: np.random.Generator) -> float:
    return round(float(rng.uniform(0, 300)), 2)
