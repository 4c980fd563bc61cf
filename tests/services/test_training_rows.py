"""Which rows are learned from, tuned on and judged on, split by time: small data worked by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from app.container import Services
from app.errors import Conflict
from app.services.revisions import get_revision
from app.services.training_rows import SplitName, TrainingRows

START = datetime(2024, 1, 1, tzinfo=UTC)
LATE = datetime(2026, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


async def describe(client: httpx.AsyncClient, **more: Any) -> None:
    body = {
        "name": "d",
        "id_column": "id",
        "label_column": "left",
        "positive_value": "yes",
        "as_of_column": "day",
        "horizon_days": 30,
        "split_seed": 1,
    }
    answer = await client.post("/datasets", json=body | more)
    assert answer.status_code == 201, answer.text


def snapshots(days: Sequence[int], n_accounts: int = 10, *, step: int = 1) -> str:
    """At the n-th instant the accounts from n * step on; every third leaves."""
    rows = []
    for at, number in enumerate(days):
        for account in range(at * step, at * step + n_accounts):
            rows.append(f"{account:04},{day(number).isoformat()},{account + number},{'yes' if account % 3 else 'no'}")
    return "\n".join(["id,day,seats,left", *rows, ""])


async def upload(client: httpx.AsyncClient, content: str, *, method: str = "PUT", path: str = "rows") -> None:
    answer = await client.request(method, f"/datasets/d/{path}", content=content)
    assert answer.status_code == 201, answer.text


async def training_rows(
    services: Services,
    *,
    revision: int | None = None,
    split: SplitName | None = None,
    now: datetime | None = LATE,
    like: dict[str, Any] | None = None,
) -> TrainingRows:
    async with services.sessions() as session:
        dataset = await services.datasets.resolve(session, None)
        found = await get_revision(session, dataset, revision)
    source = await services.frames.open(dataset, found)
    return await services.frames.training_rows(dataset, source, split=split, now=now, like=like)


def sides_by_day(rows: TrainingRows) -> dict[int, set[str]]:
    assert rows.frame.as_of is not None
    found: dict[int, set[str]] = {}
    for instant, side in zip(rows.frame.as_of.to_pylist(), rows.sides.tolist(), strict=True):
        found.setdefault((instant - START).days, set()).add(side)
    return found


def as_plain(rows: TrainingRows) -> list[Any]:
    frame = rows.frame
    assert frame.as_of is not None
    assert frame.churned is not None
    columns = (frame.accounts.to_pylist(), frame.as_of.to_pylist(), frame.churned.tolist(), rows.sides.tolist())
    return [*zip(*columns, strict=True), frame.features.to_pylist()]


async def test_dated_rows_are_split_by_time(client: httpx.AsyncClient, services: Services) -> None:
    await describe(client)
    await upload(client, snapshots([0, 30, 60, 90, 120, 150]))
    rows = await training_rows(services)
    train: dict[int, set[str]] = {number: {"train"} for number in (0, 30, 60, 90)}
    assert sides_by_day(rows) == train | {120: {"validation"}, 150: {"test"}}
    assert rows.split["kind"] == "temporal"
    assert rows.split["instants"]["test"] == [day(150).isoformat()]
    assert rows.split["gap_days"] == 30
    assert (rows.as_of, rows.information_end) == (day(150), day(150))
    # At the instant of test there are the accounts 5 to 14; 0 to 13 are learned from.
    assert rows.known[rows.sides == "test"].tolist() == [True] * 9 + [False]
    told = rows.split["sides"]["test"]
    assert (told["n_rows"], told["n_known"], told["n_new"], told["n_churned"]) == (10, 9, 1, 7)
    assert rows.split["sides"]["train"] == {"n_rows": 40, "n_accounts": 13, "n_churned": 26, "churn_rate": 26 / 40}
    assert rows.warnings == []
    assert rows.frame.accounts.filter(np.array(rows.profile_rows)).to_pylist() == [f"{n:04}" for n in range(4, 14)]


async def test_lead_and_grace_widen_the_gap(client: httpx.AsyncClient, services: Services) -> None:
    await describe(client, horizon_days=20, lead_days=6, grace_days=5)
    await upload(client, snapshots([0, 30, 60, 90, 120, 150]))
    rows = await training_rows(services)
    assert sides_by_day(rows) == {0: {"train"}, 30: {"train"}, 90: {"validation"}, 150: {"test"}}
    assert rows.split["instants"]["gap"] == [day(120).isoformat(), day(60).isoformat()]
    assert rows.information_end == day(90 + 31)
    assert rows.warnings == [
        "Instants whose horizon reaches into the side after them, used for nothing: 2024-04-30, 2024-03-01."
    ]


async def test_immature_rows_are_counted_and_left_out(client: httpx.AsyncClient, services: Services) -> None:
    await describe(client)
    await upload(client, snapshots([0, 30, 60, 90]))
    rows = await training_rows(services, now=day(119))
    assert sides_by_day(rows) == {0: {"train"}, 30: {"validation"}, 60: {"test"}}
    assert rows.split["left_out"] == {"n_immature": 10, "n_unlabelled": 0}
    assert rows.warnings == ["10 rows are younger than the horizon of 30 days: not used."]


async def test_without_an_instant_for_validation_accounts_are_dealt(
    client: httpx.AsyncClient, services: Services
) -> None:
    await describe(client)
    await upload(client, snapshots([0, 40], 200, step=50))
    rows = await training_rows(services)
    assert sides_by_day(rows) == {0: {"train", "validation"}, 40: {"test"}}
    assert rows.split["sides"]["validation"]["n_rows"] == pytest.approx(40, abs=12)
    assert rows.split["sides"]["test"]["n_rows"] == 200
    assert (rows.split["sides"]["test"]["n_known"], rows.split["sides"]["test"]["n_new"]) == (150, 50)
    assert as_plain(await training_rows(services)) == as_plain(rows)
    async with services.sessions() as session:
        stored = await session.execute(text("SELECT account_id, side FROM sides"))
        side_of = {row.account_id: row.side for row in stored}
    for account, side in zip(rows.frame.accounts.to_pylist(), rows.sides.tolist(), strict=True):
        if side != "test":
            assert (side == "validation") == (side_of[account] == "validation")


@pytest.mark.parametrize(("content", "n"), [(snapshots([0]), 1), (snapshots([0, 29]), 2), (snapshots([0, 15, 29]), 3)])
async def test_a_split_by_time_that_the_instants_do_not_allow_is_refused(
    client: httpx.AsyncClient, services: Services, content: str, n: int
) -> None:
    await describe(client)
    await upload(client, content)
    with pytest.raises(Conflict, match=f"two matured instants at least 30 days apart; there are {n}") as caught:
        await training_rows(services, split="temporal")
    assert "random" in str(caught.value.advice)
    rows = await training_rows(services)
    assert (rows.split["kind"], rows.split["sides"]["train"]["n_accounts"] > 0) == ("random", True)
    assert rows.frame.as_of is not None
    assert len(set(rows.frame.as_of.to_pylist())) == 1
    assert "flatter" in rows.warnings[0]


async def test_undated_rows_can_not_be_split_by_time(client: httpx.AsyncClient, services: Services) -> None:
    await describe(client, as_of_column=None, horizon_days=None)
    await upload(client, "id,seats,left\n1,1,yes\n2,3,no\n")
    with pytest.raises(Conflict, match="there are 0"):
        await training_rows(services, split="temporal")
    rows = await training_rows(services)
    assert (rows.split["kind"], rows.as_of, rows.information_end) == ("random", None, None)
    assert rows.warnings == []


async def test_a_random_split_that_is_asked_for_is_warned_of(client: httpx.AsyncClient, services: Services) -> None:
    await describe(client)
    await upload(client, snapshots([0, 30, 60, 90]))
    rows = await training_rows(services, split="random")
    assert sides_by_day(rows).keys() == {90}
    assert (rows.as_of, rows.information_end) == (day(90), day(120))
    assert "do not show how the model ages" in rows.warnings[0]


@pytest.mark.parametrize("split", ["temporal", "random"])
@pytest.mark.parametrize("days", [[0, 40], [0, 30, 60, 90]])
async def test_a_split_is_found_again_after_more_has_matured(
    client: httpx.AsyncClient, services: Services, split: SplitName, days: list[int]
) -> None:
    await describe(client)
    await upload(client, snapshots(days))
    first = await training_rows(services, split=split)
    await upload(client, snapshots([130, 170], 30), method="POST")
    assert as_plain(await training_rows(services, split=split)) != as_plain(first)  # more accounts are dealt a side
    for revision in (1, 2):
        again = await training_rows(services, revision=revision, like=first.split)
        assert as_plain(again) == as_plain(first)
        assert (again.as_of, again.information_end) == (first.as_of, first.information_end)
        told = ("kind", "sides", "instants", "gap_days", "as_of", "information_end")
        assert {name: again.split.get(name) for name in told} == {name: first.split.get(name) for name in told}


async def describe_events(client: httpx.AsyncClient, **more: Any) -> None:
    body = {
        "name": "d",
        "kind": "events",
        "events": {},
        "subscriptions": {},
        "active": {"kind": "subscription"},
        "horizon_days": 20,
        "windows_days": [7],
    }
    answer = await client.post("/datasets", json=body | more)
    assert answer.status_code == 201, answer.text


async def bring_contracts(client: httpx.AsyncClient, ends: Sequence[float | None]) -> None:
    """An account for each end, from the first day on; events go on to day 200."""
    rows = [
        f"{account:03},{START.isoformat()},{'' if end is None else day(end).isoformat()}"
        for account, end in enumerate(ends)
    ]
    await upload(client, "\n".join(["account_id,started_at,ended_at", *rows, ""]), path="facts/subscriptions")
    await upload(client, f"account_id,occurred_at\n000,{day(199.5).isoformat()}\n", path="facts/events")


async def test_instants_step_back_from_where_the_horizon_ends(client: httpx.AsyncClient, services: Services) -> None:
    """Facts are known up to day 200: with a horizon of 20 and a grace of 10 days the newest instant is day 170."""
    await describe_events(client, grace_days=10, step_days=40, max_instants=3)
    await bring_contracts(client, [None, 75, 135, 178, 195])
    rows = await training_rows(services)
    assert sides_by_day(rows) == {90: {"train"}, 130: {"validation"}, 170: {"test"}}
    assert rows.frame.churned is not None
    told = list(zip(rows.frame.accounts.to_pylist(), rows.sides.tolist(), rows.frame.churned.tolist(), strict=True))
    assert [each for each in told if each[1] == "test"] == [("000", "test", 0), ("003", "test", 1), ("004", "test", 0)]
    assert [each[0] for each in told if each[2] == 1] == ["002", "003"]
    assert rows.split["sides"]["test"]["n_known"] == 3
    assert rows.information_end == day(130 + 30)


async def test_instants_may_be_named_in_any_zone(client: httpx.AsyncClient, services: Services) -> None:
    named = [f"{day(number).date()}T02:00:00+02:00" for number in (60, 100, 140)]
    await describe_events(client, instants=[*named, day(140).isoformat(), day(190).isoformat()])
    await bring_contracts(client, [None, 110, 150, 155])
    rows = await training_rows(services)
    assert sides_by_day(rows) == {60: {"train"}, 100: {"validation"}, 140: {"test"}}
    assert rows.split["instants"]["test"] == [day(140).isoformat()]
    assert rows.split["left_out"]["n_immature"] == 1  # of day 190 the one account that runs


async def test_who_leaves_in_the_lead_is_left_out_and_told(client: httpx.AsyncClient, services: Services) -> None:
    """Those of day 140 that end from 140 to 150 leave before anybody could act."""
    await describe_events(client, lead_days=10, instants=[day(100).isoformat(), day(140).isoformat()])
    await bring_contracts(client, [None, 140, 149.9, 150, 169.9, 170])
    rows = await training_rows(services)
    assert rows.frame.churned is not None
    on_test = rows.sides == "test"
    told = dict(zip(rows.frame.accounts.filter(on_test).to_pylist(), rows.frame.churned[on_test].tolist(), strict=True))
    assert told == {"000": 0, "003": 1, "004": 1, "005": 0}
    assert rows.split["left_out"]["n_unlabelled"] == 2
