"""Datasets of facts for the tests: described and sent over HTTP, opened by the service, compared with the oracle."""

import csv
import io
import math
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager

from app.container import Services
from app.main import create_app
from app.ml.frame import Frame
from app.services.built_rows import BuiltRows
from app.services.revisions import get_revision
from app.settings import Settings
from app.tables import Dataset
from tests.features.oracle import AccountFact, EventFact, Facts, Oracle, Row, Rules, SubscriptionFact

AnyFact = AccountFact | SubscriptionFact | EventFact
_COLUMNS = {
    "subscriptions": ("account_id", "id", "started_at", "ended_at", "plan", "amount", "recorded_at"),
    "events": ("account_id", "id", "occurred_at", "kind", "quantity", "amount", "recorded_at"),
}


@asynccontextmanager
async def open_store(database_url: str, home: Path) -> AsyncIterator["Store"]:
    """The application without a worker."""
    app = create_app(Settings(database_url=database_url, home=home, run_worker=False))
    async with LifespanManager(app, startup_timeout=60, shutdown_timeout=60):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=120) as http:
            yield Store(http, app.state.services)


@dataclass
class Store:
    """Where datasets are made, each under a name of its own."""

    http: httpx.AsyncClient
    services: Services
    n_made: int = 0

    async def describe(self, rules: Rules, **more: Any) -> "Business":
        self.n_made += 1
        name = f"d{self.n_made}"
        answer = await self.http.post("/datasets", json=body_of(name, rules) | more)
        assert answer.status_code == 201, answer.text
        return Business(self, name, rules)


def body_of(name: str, rules: Rules) -> dict[str, Any]:
    """The description that the rules come from."""
    events = {"kind_column": "kind", "quantity_column": "quantity", "amount_column": "amount"}
    active: dict[str, Any] = {"kind": "subscription"}
    if rules.active_days is not None:
        kinds = None if rules.active_kinds is None else list(rules.active_kinds)
        active = {"kind": "event", "days": rules.active_days, "event_kinds": kinds}
    body: dict[str, Any] = {
        "name": name,
        "kind": "events",
        "events": events
        | {"recorded_at_column": "recorded_at"}
        | ({"event_id_column": "id"} if rules.has_event_ids else {}),
        "active": active,
        "horizon_days": rules.horizon_days,
        "lead_days": rules.lead_days,
        "grace_days": rules.grace_days,
        "windows_days": list(rules.windows),
        "max_kinds": rules.max_kinds,
        "so_far": rules.so_far,
    }
    if rules.has_accounts:
        body["accounts"] = {"valid_from_column": "valid_from", "recorded_at_column": "recorded_at"}
    if rules.has_subscriptions:
        ids = {"subscription_id_column": "id"} if rules.has_subscription_ids else {}
        body["subscriptions"] = ids | {
            "plan_column": "plan",
            "amount_column": "amount",
            "recorded_at_column": "recorded_at",
        }
    return body


@dataclass
class Business:
    """A dataset, and every fact that was sent to it."""

    store: Store
    name: str
    rules: Rules
    facts: Facts = field(default_factory=Facts)
    revision: int = 0

    async def send(self, fact: str, rows: Sequence[AnyFact], *, method: str = "POST") -> dict[str, Any]:
        """Upload; the facts are kept with the number of the revision that they came in with."""
        path = f"/datasets/{self.name}/facts/{fact}"
        answer = await self.store.http.request(method, path, content=csv_of(fact, rows))
        assert answer.status_code == 201, answer.text
        told: dict[str, Any] = answer.json()
        if not told["already_there"]:
            self.revision = told["revision"]
            kept = [] if method == "PUT" else getattr(self.facts, fact)
            setattr(self.facts, fact, [*kept, *(replace(each, added_in=self.revision) for each in rows)])
        return told

    async def open(self, revision: int | None = None, plan: dict[str, Any] | None = None) -> BuiltRows:
        """The rows of a revision, by default the newest."""
        async with self.store.services.sessions() as session:
            dataset = await self.dataset()
            found = await get_revision(session, dataset, revision)
        source = await self.store.services.frames.open(dataset, found, plan)
        assert isinstance(source, BuiltRows)
        return source

    async def dataset(self) -> Dataset:
        async with self.store.services.sessions() as session:
            return await self.store.services.datasets.resolve(session, self.name)

    def oracle(self, revision: int | None = None) -> Oracle:
        return Oracle(self.rules, self.facts, self.revision if revision is None else revision)


def csv_of(fact: str, rows: Sequence[AnyFact]) -> bytes:
    """As a file: attributes of accounts each in a column."""
    text = io.StringIO()
    if fact == "accounts":
        states = [each for each in rows if isinstance(each, AccountFact)]
        attributes = sorted({name for each in states for name in each.attributes})
        fixed = ("account_id", "created_at", "valid_from", "recorded_at")
        write = csv.writer(text)
        write.writerow([*fixed, *attributes])
        for state in states:
            keys = (state.account, state.created_at, state.valid_from, state.recorded_at)
            write.writerow([_cell(each) for each in (*keys, *(state.attributes[name] for name in attributes))])
        return text.getvalue().encode()
    names = _COLUMNS[fact]
    write = csv.writer(text)
    write.writerow(names)
    for each in rows:
        write.writerow([_cell(getattr(each, "account" if name == "account_id" else name)) for name in names])
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def rows_of(frames: Iterable[Frame]) -> dict[str, Row]:
    """By account; each only once, and in the order of accounts."""
    found: dict[str, Row] = {}
    for frame in frames:
        labels = [math.nan] * len(frame) if frame.churned is None else frame.churned.tolist()
        for account, features, label in zip(
            frame.accounts.to_pylist(), frame.features.to_pylist(), labels, strict=True
        ):
            assert account not in found
            found[account] = Row(features, None if math.isnan(label) else bool(label))
    assert list(found) == sorted(found, key=str.encode)
    return found


def require_equal(found: dict[str, Row], expected: dict[str, Row], *, labels: bool = True) -> None:
    """The same accounts, the same features, the same labels."""
    assert list(found) == list(expected)
    for account, row in expected.items():
        mine = found[account]
        assert mine.features.keys() == row.features.keys()
        for name, value in row.features.items():
            if isinstance(value, float):
                near = 1e-5 if name == "gap_sd_days" else 1e-6  # gaps are squared in whole seconds
                assert mine.features[name] == pytest.approx(value, rel=1e-9, abs=near), (account, name)
            else:
                assert mine.features[name] == value, (account, name)
        if labels:
            assert mine.churned == row.churned, account
