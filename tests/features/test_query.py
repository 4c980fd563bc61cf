"""Built rows are those of the oracle, whatever the facts; chunks and single accounts make no difference."""

from typing import Any

import numpy as np
import pytest

from app.services import built_rows
from tests.features.business import Business, Store, require_equal, rows_of
from tests.features.draws import AS_OF, LATER, Draw, deal
from tests.features.oracle import AccountFact, EventFact, Facts, Rules, SubscriptionFact

CONTRACT = Rules(horizon_days=30, lead_days=5, grace_days=7, max_kinds=3, has_subscription_ids=True, has_event_ids=True)
RULES = {
    "contract": CONTRACT,
    "contract by start": Rules(so_far=False, horizon_days=20, grace_days=0, max_kinds=40, windows=(1, 30)),
    "contract in long grace": Rules(horizon_days=45, grace_days=30, has_subscription_ids=True, has_accounts=False),
    "any event": Rules(active_days=90, horizon_days=30, has_accounts=False, has_subscriptions=False),
    "some kinds": Rules(
        active_days=30, active_kinds=("ticket", "éxport"), horizon_days=14, lead_days=7, max_kinds=1, has_event_ids=True
    ),
    "events beside contracts": Rules(active_days=14, horizon_days=60, windows=(30, 3, 7), has_accounts=False),
}


def keys(rules: Rules) -> dict[str, Any]:
    """What may not come twice in a file."""

    def subscription(each: SubscriptionFact) -> object:
        return each.account, each.id if rules.has_subscription_ids else each.started_at, each.recorded_at

    def event(each: EventFact) -> object:
        return (each.account, each.id, each.recorded_at) if rules.has_event_ids else each

    def account(each: AccountFact) -> object:
        return each.account, each.valid_from, each.recorded_at

    return {"accounts": account, "subscriptions": subscription, "events": event}


async def found_business(store: Store, rules: Rules, seed: int, n_batches: int = 3) -> Business:
    """A drawn business, sent in several files of each fact."""
    rng = np.random.default_rng(seed)
    facts = Draw(rng, rules).business()
    business = await store.describe(rules)
    names = [name for name in keys(rules) if getattr(rules, f"has_{name}", True)]
    batches = {name: deal(rng, getattr(facts, name), keys(rules)[name], n_batches) for name in names}
    for number in range(n_batches):
        for name in names:
            if batches[name][number]:
                await business.send(name, batches[name][number])
    return business


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
async def test_rows_are_those_of_the_oracle(
    store: Store, rules: Rules, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    business = await found_business(store, rules, seed)
    oracle, source = business.oracle(), await business.open()
    for as_of in (AS_OF, LATER):
        expected = oracle.rows(as_of)
        known = {name: row for name, row in expected.items() if row.churned is not None}
        assert known
        labelled = await source.labelled([as_of])
        require_equal(rows_of([labelled.frame]), known)
        assert labelled.n_unlabelled == len(expected) - len(known)
        monkeypatch.setattr(built_rows, "CHUNK_SIZE", 3)
        again = await source.labelled([as_of])
        monkeypatch.undo()
        assert rows_of([again.frame]) == rows_of([labelled.frame])


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
async def test_active_accounts_are_those_of_the_oracle_in_chunks_of_any_size(store: Store, rules: Rules) -> None:
    business = await found_business(store, rules, seed=10)
    source = await business.open()
    expected = business.oracle().rows(source.known_until)
    for chunk_size in (1, 4, 1000):
        chunks = [chunk async for chunk in source.active_chunks(chunk_size=chunk_size)]
        require_equal(rows_of(chunks), expected, labels=False)
    named = [*expected, "nobody", "a0'; --", "$1", ""]
    require_equal(rows_of([await source.newest(named)]), expected, labels=False)
    for account, row in list(expected.items())[:2]:
        require_equal(rows_of([await source.newest([account])]), {account: row}, labels=False)


async def test_an_earlier_revision_knows_nothing_of_later_ones(store: Store) -> None:
    business = await found_business(store, CONTRACT, seed=20)
    for revision in (3, 5, business.revision):
        found = await (await business.open(revision)).labelled([AS_OF])
        expected = business.oracle(revision).rows(AS_OF)
        require_equal(rows_of([found.frame]), {name: row for name, row in expected.items() if row.churned is not None})


async def test_the_oracle_meets_every_case_it_is_there_for() -> None:
    """Or the comparison above would show little: churners, stayers, rows without a label, ends at the very instant."""
    labels, at_the_end = set(), 0
    for seed in range(3):
        facts = Draw(np.random.default_rng(seed), CONTRACT).business()
        labels |= {row.churned for row in _oracle(facts).values()}
        at_the_end += sum(each.ended_at == AS_OF for each in facts.subscriptions)
    assert labels == {True, False, None}
    assert at_the_end


def _oracle(facts: Facts) -> dict[str, Any]:
    business = Business(store=None, name="", rules=CONTRACT, facts=facts)  # type: ignore[arg-type]  # it sends nothing
    return business.oracle(0).rows(AS_OF)
