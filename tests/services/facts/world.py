"""A shop whose facts are sent as files, and what is there of them."""

from typing import Any

import httpx
from sqlalchemy import text

from app.container import Services
from app.services.revisions import get_revision
from app.services.row_source import RowSource
from tests.features.business import Store

SHOP = {
    "kind": "events",
    "accounts": {"id_column": "id", "valid_from_column": "since", "recorded_at_column": "seen"},
    "subscriptions": {"id_column": "id", "subscription_id_column": "number", "plan_column": "plan"},
    "events": {"id_column": "id", "kind_column": "kind", "amount_column": "amount", "event_id_column": "event"},
    "active": {"kind": "event", "days": 90},
    "horizon_days": 30,
    "so_far": True,
}
GOOD = {
    "accounts": "id,created_at,since,seen,seats,region\n1,2024-01-01,2024-01-01,,5,north\n2,2024-01-02,2024-02-01,,,\n",
    "subscriptions": "id,number,started_at,ended_at,plan\n1,s1,2024-01-01,,pro\n2,s2,2024-01-02,2024-03-01,\n",
    "events": "id,event,occurred_at,kind,amount\n1,e1,2024-03-01T10:00:00Z,login,\n2,e2,2024-03-02,buy,9.5\n",
}

EVENT, ACCOUNT, SUBSCRIPTION = (
    GOOD[fact].partition("\n")[0] + "\n" for fact in ("events", "accounts", "subscriptions")
)


async def describe(store: Store, body: dict[str, Any]) -> None:
    answer = await store.http.post("/datasets", json=body)
    assert answer.status_code == 201, answer.text


async def send(
    store: Store, name: str, fact: str, content: str | bytes, *, method: str = "POST", **more: Any
) -> httpx.Response:
    return await store.http.request(method, f"/datasets/{name}/facts/{fact}", content=content, **more)


async def take(store: Store, name: str, fact: str, content: str | bytes, *, method: str = "POST") -> dict[str, Any]:
    answer = await send(store, name, fact, content, method=method)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def open_rows(services: Services, name: str) -> RowSource:
    async with services.sessions() as session:
        dataset = await services.datasets.resolve(session, name)
        revision = await get_revision(session, dataset)
    return await services.frames.open(dataset, revision)


async def everything(store: Store) -> dict[str, int]:
    """How many rows each table has, and which tables there are."""
    async with store.services.sessions() as session:
        query = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('data', 'public')"
        tables = sorted((await session.scalars(text(query))).all())
        return {each: (await session.execute(text(f"SELECT count(*) FROM {each}"))).scalar_one() for each in tables}


async def open_rows_of_events(store: Store, name: str) -> RowSource:
    for fact in ("accounts", "subscriptions"):
        await take(store, name, fact, GOOD[fact])
    return await open_rows(store.services, name)
