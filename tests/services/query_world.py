"""A business in a warehouse whose rows are known, its two queries, and short ways to make a dataset of them."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np

from app.container import Services
from app.ml.frame import Frame
from app.services.jobs import JobContext
from app.tables import Dataset, Job, Revision
from tests.warehouse import VARIABLE, Warehouse

TABLES = """
CREATE SCHEMA shop;
CREATE TYPE shop.tier AS ENUM ('basic', 'pro');
CREATE TABLE shop.accounts (id text PRIMARY KEY, tier shop.tier, created_at timestamptz, left_at timestamptz);
CREATE TABLE shop.orders (account_id text, at timestamptz, amount numeric(8,2));
CREATE INDEX ON shop.orders (account_id, at);
GRANT USAGE ON SCHEMA shop TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO PUBLIC;
"""
FEATURES = """
-- who is active at :as_of, and what they did
SELECT a.id AS account_id, a.tier, a.id LIKE 'a%0' AS "ends in 0", ':as_of' AS text,
       count(o.at) FILTER (WHERE o.at >= :as_of - interval '30 days') AS n_orders_30d,
       coalesce(sum(o.amount), 0) AS spend, a.created_at
FROM shop.accounts AS a LEFT JOIN shop.orders AS o ON o.account_id = a.id AND o.at < :as_of
WHERE a.created_at < :as_of AND coalesce(a.left_at > :as_of, true)
GROUP BY a.id;
"""
LABELS = """
SELECT id AS account_id,
       coalesce(left_at <= :as_of::timestamptz + make_interval(days => :horizon_days), false) AS churned
FROM shop.accounts
WHERE created_at < :as_of AND coalesce(left_at > :as_of, true) /* active :then */
"""
HORIZON_DAYS, STEP_DAYS, N_ACCOUNTS = 30, 30, 400


def today() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def days_ago(days: float) -> datetime:
    return today() - timedelta(days=days)


@dataclass(frozen=True)
class Account:
    id: str
    tier: str
    created_at: datetime
    left_at: datetime | None
    orders: tuple[tuple[datetime, float], ...]

    def is_active(self, as_of: datetime) -> bool:
        return self.created_at < as_of and (self.left_at is None or self.left_at > as_of)

    def has_churned(self, as_of: datetime) -> bool:
        return self.left_at is not None and self.left_at <= as_of + timedelta(days=HORIZON_DAYS)

    def n_orders_30d(self, as_of: datetime) -> int:
        return sum(as_of - timedelta(days=30) <= at < as_of for at, _ in self.orders)

    def spend(self, as_of: datetime) -> float:
        return round(sum(amount for at, amount in self.orders if at < as_of), 2)


def draw_accounts(seed: int = 3) -> list[Account]:
    """Who leaves stops to order a month before."""
    rng = np.random.default_rng(seed)
    return [_draw_account(f"a{number:04d}", rng) for number in range(N_ACCOUNTS)]


def _draw_account(name: str, rng: np.random.Generator) -> Account:
    created_at = days_ago(200 + float(rng.integers(0, 200)))
    left_at = days_ago(float(rng.uniform(-60, 190))) if rng.random() < 0.6 else None
    quiet_since = (left_at or days_ago(-1)) - timedelta(days=35)
    at = [days_ago(float(day)) for day in rng.uniform(0.1, 240, 24)]
    orders = [(each, float(rng.integers(100, 9900)) / 100) for each in at if created_at < each < quiet_since]
    return Account(name, "pro" if rng.random() < 0.5 else "basic", created_at, left_at, tuple(orders))


def fill(warehouse: Warehouse, accounts: list[Account]) -> None:
    warehouse.execute(TABLES)
    warehouse.load("shop.accounts", [(each.id, each.tier, each.created_at, each.left_at) for each in accounts])
    orders = [(each.id, at, amount) for each in accounts for at, amount in each.orders]
    warehouse.load("shop.orders", orders)


def describe(warehouse: Warehouse, **more: Any) -> dict[str, Any]:
    """A description that is accepted."""
    return {
        "name": "shop",
        "kind": "query",
        "source_url": warehouse.url(),
        "password_env": VARIABLE,
        "features_sql": FEATURES,
        "labels_sql": LABELS,
        "horizon_days": HORIZON_DAYS,
        "step_days": STEP_DAYS,
        "max_instants": 4,
        "statement_timeout_seconds": 20,
    } | more


async def create(client: httpx.AsyncClient, warehouse: Warehouse, **more: Any) -> httpx.Response:
    body = json.dumps(describe(warehouse, **more))  # a lone surrogate goes out as JSON can write it
    return await client.post("/datasets", content=body, headers={"Content-Type": "application/json"})


async def the_dataset(services: Services) -> Dataset:
    async with services.sessions() as session:
        return await services.datasets.resolve(session, None)


async def copy(services: Services, to: Any = "train", now: datetime | None = None) -> Revision:
    return await services.datasets.fix_revision((await the_dataset(services)).id, to=to, now=now)


async def active(services: Services, revision: Revision, chunk_size: int = 150) -> list[Frame]:
    source = await services.frames.open(await the_dataset(services), revision)
    return [chunk async for chunk in source.active_chunks(chunk_size=chunk_size)]


async def begin(services: Services, job_id: int) -> JobContext:
    """Take a job as a worker would."""
    async with services.sessions.begin() as session:
        job = await session.get_one(Job, job_id)
        job.status, job.attempt = "running", 1
    return JobContext(job.id, 1, job.kind, job.params, job.dataset_id, "test")
