"""Kinds, plans and attributes may be called anything: names are data, never SQL and never parameters."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from app.db import copy_out
from tests.features.business import Business, Store, require_equal, rows_of
from tests.features.draws import AS_OF
from tests.features.oracle import DAY, AccountFact, EventFact, Row, Rules, SubscriptionFact

HOSTILE = [
    *("it's", '"q"', "$1", "$2", "$9", ":as_of", "{labels}", "{known}", "%s %(x)s", "\\", "E'\\'' --", "a;b", "x,y\nz"),
    *("Ünï", "💥", "k" * 100, "other", "any_event", "kinds", "$1::timestamptz", "NULL", "é", "e\u0301"),
]
RULES = Rules(
    active_days=30, active_kinds=("$1", "it's", "{labels}", ":as_of", "é"), horizon_days=10, max_kinds=40, windows=(7,)
)


def events() -> list[EventFact]:
    """Each kind by accounts of its own, some of which are active, some of which come back."""
    found = []
    for number, kind in enumerate(HOSTILE):
        account = f"a{number:02}"
        found += [EventFact(account, "", AS_OF - n * DAY, kind, 1.0, 2.5) for n in range(1, 3 + number % 3)]
        found.append(EventFact(account, "", AS_OF - 2 * DAY, RULES.active_kinds[number % 5] if number % 2 else "login"))  # type: ignore[index]  # it has kinds
        if number % 3:
            found.append(EventFact(account, "", AS_OF + 3 * DAY, "$1"))
    return [*found, EventFact("last", "", AS_OF + 20 * DAY, "login")]


async def found_business(store: Store, attributes: dict[str, Any]) -> Business:
    business = await store.describe(RULES)
    made = AS_OF - 100 * DAY
    accounts = [AccountFact(f"a{number:02}", made, made, attributes) for number in range(len(HOSTILE))]
    plans = [SubscriptionFact(f"a{n:02}", "s", made, plan=kind, amount=float(n)) for n, kind in enumerate(HOSTILE)]
    await business.send("accounts", accounts)
    await business.send("subscriptions", plans)
    await business.send("events", events())
    return business


async def test_kinds_and_plans_of_any_name_are_counted_as_any_other(store: Store) -> None:
    business = await found_business(store, {"seats": 1.0})
    source = await business.open()
    expected = business.oracle().rows(AS_OF)
    assert {row.churned for row in expected.values()} == {True, False}
    labelled = await source.labelled([AS_OF])
    # Names run into each other here: `n_kinds_7d` counts kinds, and events of a kind called `kinds`.
    require_equal(_without(rows_of([labelled.frame]), "_kinds", "any_event"), _without(expected, "_kinds", "any_event"))
    now = business.oracle().rows(source.known_until)
    assert now
    found = rows_of([await source.newest([*now, "nobody"])])
    require_equal(_without(found, "_kinds", "any_event"), _without(now, "_kinds", "any_event"), labels=False)


def _without(rows: dict[str, Row], *parts: str) -> dict[str, Row]:
    def kept(features: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in features.items() if not any(part in name for part in parts)}

    return {account: replace(row, features=kept(row.features)) for account, row in rows.items()}


async def test_what_became_of_accounts_is_told_whatever_kinds_are_called(store: Store) -> None:
    business = await found_business(store, {"seats": 1.0})
    source = await business.open()
    labels = await source.labels_query(AS_OF)
    query = f"SELECT account_id, as_of, churned FROM ({labels}) AS labels WHERE $1::text = 'x' AND $2::int = 1"
    schema = pa.schema([("account_id", pa.string()), ("as_of", pa.timestamp("us", "UTC")), ("churned", pa.bool_())])
    async with store.services.sessions() as session:
        found = await copy_out(await session.connection(), query, "x", 1, schema=schema)
    assert set(found["as_of"].to_pylist()) == {AS_OF}
    expected = {account: row.churned for account, row in business.oracle().rows(AS_OF).items()}
    assert dict(zip(found["account_id"].to_pylist(), found["churned"].to_pylist(), strict=True)) == expected


async def test_attributes_may_be_called_as_features_are(store: Store) -> None:
    names = ["plan", "plan (2)", "n_login_7d", "tenure_days", "account", "$1", "it's", ":x", '"', "é", "x" * 200]
    attributes: dict[str, Any] = {name: float(number) for number, name in enumerate(names)}
    business = await found_business(store, attributes)
    source = await business.open()
    told = [each.name for each in source.definitions]
    assert len(set(told)) == len(told)
    [row] = [row for account, row in rows_of([(await source.labelled([AS_OF])).frame]).items() if account == "a01"]
    assert row.features["plan"] == HOSTILE[1]
    own = dict(zip(sorted(names), [row.features[name] for name in told[-len(names) :]], strict=True))
    assert own == {name: attributes[name] for name in names}
    answer = await store.http.get(f"/datasets/{business.name}/features")
    assert [each["name"] for each in answer.json()["features"]] == told


async def test_kinds_that_are_not_known_yet_do_no_harm(store: Store) -> None:
    """A plan without `other` meets a kind that came after it: no feature changes but those over all kinds."""
    business = await store.describe(Rules(active_days=30, windows=(7,), has_accounts=False, has_subscriptions=False))
    await business.send("events", [EventFact("a", "", AS_OF - DAY, "login"), EventFact("a", "", AS_OF - 2 * DAY, "x")])
    before = await business.open()
    [row] = rows_of([(await before.labelled([AS_OF])).frame]).values()
    await business.send(
        "events", [EventFact("a", "", AS_OF - timedelta(hours=1), "new"), EventFact("b", "", AS_OF - DAY, "new")]
    )
    after = await business.open(plan=before.plan)
    assert after.other_kinds == {"new": 2}
    rows = rows_of([(await after.labelled([AS_OF])).frame])
    assert list(rows) == ["a", "b"]
    changed = {name for name, value in rows["a"].features.items() if value != row.features[name]}
    assert changed <= {name for name in row.features if "any_event" in name or "gap" in name or "n_kinds" in name}
    assert rows["b"].features["n_login_7d"] == 0


@pytest.mark.parametrize("kind", ["k" * 101, "k" * 5000])
async def test_names_of_kinds_are_bounded(store: Store, kind: str) -> None:
    business = await store.describe(Rules(active_days=30, has_accounts=False, has_subscriptions=False))
    path = f"/datasets/{business.name}/facts/events"
    text = (
        f"account_id,id,occurred_at,kind,quantity,amount,recorded_at\na,,2024-01-01,login,,,\nb,,2024-01-01,{kind},,,\n"
    )
    answer = await store.http.put(path, content=text)
    assert answer.status_code == 422
    assert (answer.json()["line"], answer.json()["column"]) == (3, "kind")
