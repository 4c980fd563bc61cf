"""When facts happened, when they became known, and up to when they are complete."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.errors import NoRows
from app.services.revisions import get_revision
from tests.features.business import Store
from tests.services.facts.world import ACCOUNT, EVENT, GOOD, SHOP, SUBSCRIPTION, describe, open_rows, take


async def test_what_lies_in_the_future_does_not_make_time_pass(store: Store, name: str) -> None:
    now = datetime.now(UTC)
    ahead = (now + timedelta(days=400)).isoformat()
    told = await take(store, name, "events", EVENT + f"1,e1,2024-03-01T10:00:00Z,x,\n1,e2,{ahead},x,\n")
    assert (told["last_at"], told["known_until"]) == ("2024-03-01T10:00:00Z", "2024-03-02T00:00:00Z")
    told = await take(store, name, "events", EVENT + f"1,e3,{(now - timedelta(minutes=1)).isoformat()},x,\n")
    until = datetime.fromisoformat(told["known_until"])
    assert now - timedelta(minutes=1) < until <= datetime.now(UTC)


COMING = {
    "events": (EVENT + "1,e1,2024-03-01,x,\n1,e2,2101-01-01,x,\n2,e3,2101-01-02T10:00:00Z,x,\n", "occurred_at"),
    "subscriptions": (
        SUBSCRIPTION + "1,s1,2101-01-01,,\n2,s2,2101-01-02T10:00:00Z,,\n3,s3,2024-01-01,2110-01-01,\n",
        "started_at",
    ),
    "accounts": (ACCOUNT + "1,2024-01-01,2101-01-01,,5,north\n2,2024-01-01,2101-01-02T10:00:00Z,,5,north\n", "since"),
}


@pytest.mark.parametrize(("fact", "content", "column"), [(fact, *each) for fact, each in COMING.items()], ids=COMING)
async def test_facts_dated_in_the_future_are_told(
    store: Store, name: str, fact: str, content: str, column: str
) -> None:
    expected = f"{column}: 2 rows lie in the future, the latest at 2101-01-02T10:00:00+00:00; not seen before then"
    told = await take(store, name, fact, content)
    assert [each for each in told["warnings"] if "future" in each] == [expected]
    told = await take(store, name, fact, GOOD[fact])
    assert not [each for each in told["warnings"] if "future" in each]


async def test_facts_that_all_lie_in_the_future_are_no_rows_yet(store: Store, name: str) -> None:
    store.n_made += 1
    name = f"soon{store.n_made}"
    await describe(store, {**SHOP, "name": name, "accounts": None, "subscriptions": None})
    ahead = (datetime.now(UTC) + timedelta(days=40)).isoformat()
    told = await take(store, name, "events", EVENT + f"1,e1,{ahead},x,\n")
    assert (told["first_at"], told["last_at"], told["known_until"]) == (None, None, None)
    with pytest.raises(NoRows, match="future"):
        await (await open_rows(store.services, name)).matured(now=None)
    answer = await store.http.get(f"/datasets/{name}/features")
    assert answer.status_code == 409


async def test_accounts_that_go_on_do_not_say_that_events_are_complete(store: Store, name: str) -> None:
    """A feed of events that stands still stops time: nobody has churned for events that were never delivered."""
    await take(store, name, "events", GOOD["events"])
    told = await take(store, name, "accounts", ACCOUNT + "9,2024-09-01,2024-09-01,,1,north\n")
    assert told["known_until"] == "2024-03-03T00:00:00Z"


CORRECTED = {
    "accounts": {"recorded_at_column": "seen"},
    "subscriptions": {"subscription_id_column": "number", "recorded_at_column": "seen"},
    "events": {"event_id_column": "event", "recorded_at_column": "seen"},
}
RULES = {"by contract": {"kind": "subscription"}, "by event": {"kind": "event", "days": 90}}


@pytest.fixture(params=RULES.values(), ids=list(RULES))
async def corrected(store: Store, request: pytest.FixtureRequest) -> str:
    """A dataset whose facts say when they were recorded, with events until 2024-02-04, under either rule."""
    store.n_made += 1
    name = f"corrected{store.n_made}"
    await describe(store, SHOP | {"name": name, "active": request.param} | CORRECTED)
    days = [datetime(2024, 1, 6, tzinfo=UTC) + timedelta(days=n) for n in range(30)]
    events = "".join(f"1,e{n},{day.isoformat()},\n" for n, day in enumerate(days))
    told = await take(store, name, "events", "account_id,event,occurred_at,seen\n" + events)
    assert told["known_until"] == "2024-02-05T00:00:00Z"
    return name


BESIDE_EVENTS = {
    "an event filled in late": ("events", "event,occurred_at,seen\n1,late,2023-03-01,2024-04-20\n"),
    "a contract corrected years later": (
        "subscriptions",
        "number,started_at,ended_at,seen\n1,s1,2023-01-01,,\n1,s1,2023-01-01,2023-12-01,2025-06-01\n",
    ),
    "an end that was planned": ("subscriptions", "number,started_at,ended_at,seen\n1,s1,2023-01-01,2024-12-31,\n"),
    "an account made later": ("accounts", "created_at,seen\n1,2024-08-01,2024-09-01\n"),
}


@pytest.mark.parametrize(("fact", "content"), BESIDE_EVENTS.values(), ids=BESIDE_EVENTS)
async def test_only_when_events_happened_makes_time_pass(store: Store, corrected: str, fact: str, content: str) -> None:
    told = await take(store, corrected, fact, "account_id," + content)
    assert told["known_until"] == "2024-02-05T00:00:00Z"


async def test_facts_span_when_they_happened_whenever_they_were_recorded(store: Store, corrected: str) -> None:
    row = "account_id,event,occurred_at,seen\n1,late,2023-03-01,2024-04-20\n"
    told = await take(store, corrected, "events", row)
    assert (told["first_at"], told["last_at"]) == ("2023-03-01T00:00:00Z", "2024-02-04T00:00:00Z")
    row = "account_id,number,started_at,ended_at,seen\n1,s1,2023-01-01,2023-12-01,2025-06-01\n"
    told = await take(store, corrected, "subscriptions", row)
    assert (told["first_at"], told["last_at"]) == ("2023-01-01T00:00:00Z", "2023-12-01T00:00:00Z")


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
async def test_without_events_nothing_is_known_to_be_complete(store: Store, rule: dict[str, Any]) -> None:
    store.n_made += 1
    name = f"silent{store.n_made}"
    await describe(store, SHOP | {"name": name, "active": rule})
    for fact in ("accounts", "subscriptions"):
        assert (await take(store, name, fact, GOOD[fact]))["known_until"] is None


UNDATED = {
    "accounts": {"id_column": "id"},
    "subscriptions": {"id_column": "id", "subscription_id_column": "number", "plan_column": "plan"},
    "events": {"id_column": "id", "event_id_column": "event", "amount_column": "amount"},
}
UNDATED_FACTS = {
    "accounts": "id,created_at,seats\n1,2024-01-01,5\n2,2024-01-01,6\n",
    "subscriptions": "id,number,started_at,ended_at,plan\n1,s1,2024-01-01,,basic\n2,s2,2024-01-01,,basic\n",
    "events": "id,event,occurred_at,amount\n1,e1,2024-02-01,7\n2,e2,2024-02-01,8\n1,e3,2024-04-30,1\n",
}
AGAIN = {
    "an attribute": ("accounts", "id,created_at,seats\n1,2024-01-01,50\n3,2024-01-01,60\n", "seats", 5.0),
    "an attribute and the birth": ("accounts", "id,created_at,seats\n1,2024-01-09,50\n3,2024-01-01,60\n", "seats", 5.0),
    "a plan": (
        "subscriptions",
        UNDATED_FACTS["subscriptions"].replace("2,s2", "3,s2").replace("basic", "pro"),
        "plan",
        "basic",
    ),
    "an amount": (
        "events",
        "id,event,occurred_at,amount\n1,e1,2024-02-01,70\n3,e1,2024-02-01,60\n",
        "amount_event_total",
        7.0,
    ),
}


@pytest.mark.parametrize(("fact", "content", "feature", "known"), AGAIN.values(), ids=AGAIN)
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
async def test_what_replaces_an_undated_row_was_not_known_before_it_came(
    store: Store, rule: dict[str, Any], fact: str, content: str, feature: str, known: object
) -> None:
    store.n_made += 1
    name = f"undated{store.n_made}"
    await describe(store, SHOP | UNDATED | {"name": name, "active": rule})
    for each, rows in UNDATED_FACTS.items():
        await take(store, name, each, rows)
    before = datetime.now(UTC)
    await take(store, name, fact, content)
    source = await open_rows(store.services, name)
    frame = (await source.labelled([datetime(2024, 3, 1, tzinfo=UTC)])).frame
    assert dict(zip(frame.accounts.to_pylist(), frame.features[feature].to_pylist(), strict=True))["1"] == known
    recorded = await recorded_at(store, name, fact)
    assert [(account, at is not None) for account, at in recorded] == [("1", True), ("3", False)]
    assert before < recorded[0][1] < datetime.now(UTC)


@pytest.mark.parametrize(
    ("fact", "first", "second"),
    [
        ("accounts", "id,created_at,since\n1,2024-01-01,2024-01-01\n", "1,2024-01-01,2024-02-01"),
        ("subscriptions", "id,started_at,ended_at\n1,2024-01-01,2024-02-01\n", "1,2024-02-01,"),
    ],
)
async def test_another_state_or_contract_of_an_account_replaces_none(
    store: Store, fact: str, first: str, second: str
) -> None:
    store.n_made += 1
    name = f"dated{store.n_made}"
    keys = {"accounts": {"id_column": "id", "valid_from_column": "since"}, "subscriptions": {"id_column": "id"}}
    await describe(store, SHOP | {"name": name} | keys)
    await take(store, name, fact, first)
    await take(store, name, fact, f"{first}{second}\n")
    assert [at is not None for _, at in sorted(await recorded_at(store, name, fact), key=str)] == [False, True]


async def recorded_at(store: Store, name: str, fact: str) -> list[Any]:
    """Account and recorded_at of the rows that the newest revision brought."""
    async with store.services.sessions() as session:
        dataset = await store.services.datasets.resolve(session, name)
        revision = await get_revision(session, dataset)
        table = f"data.facts_{(revision.facts or {})[fact]['table_id']}"
        query = f"SELECT account_id, recorded_at FROM {table} WHERE added_in = :number ORDER BY account_id"
        return [tuple(row) for row in await session.execute(text(query), {"number": revision.number})]


async def test_labels_read_what_replaced_an_undated_row(store: Store) -> None:
    store.n_made += 1
    name = f"undated{store.n_made}"
    await describe(store, SHOP | UNDATED | {"name": name, "active": RULES["by contract"]})
    for fact, rows in UNDATED_FACTS.items():
        await take(store, name, fact, rows)
    row = "id,number,started_at,ended_at,plan\n1,s1,2024-01-01,2024-03-10,pro\n"
    await take(store, name, "subscriptions", row)
    frame = (await (await open_rows(store.services, name)).labelled([datetime(2024, 3, 1, tzinfo=UTC)])).frame
    assert frame.churned is not None
    assert dict(zip(frame.accounts.to_pylist(), frame.churned.tolist(), strict=True)) == {"1": 1.0, "2": 0.0}
    assert frame.features["plan"].to_pylist() == ["basic", "basic"]
