"""Features and labels of real events, against figures that were computed independently of this project."""

import io
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.container import Services
from app.ml.frame import Frame
from app.services.revisions import get_revision

DATA = Path(__file__).parents[3] / "shared" / "data"
RETAIL, CDNOW = DATA / "online_retail_events", DATA / "cdnow_events"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the real data lie beside the project, in ../shared/data")

# The reference's name of each feature, and ours.
WINDOWS = (7, 14, 30, 60, 90, 180)
COUNTS = {f"n_{days}": f"n_event_{days}d" for days in WINDOWS} | {"n_total": "n_event_total"}
SUMS = {f"amt_{days}": f"amount_event_{days}d" for days in WINDOWS} | {"amt_total": "amount_event_total"}
MEANS = {"amt_mean": "mean_amount_event", "items_mean": "mean_quantity_event"}
TIMES = {
    "recency_d": "days_since_any_event",
    "tenure_d": "tenure_days",
    "gap_mean": "gap_mean_days",
    "gap_sd": "gap_sd_days",
    "recency_over_gap": "days_since_any_event_over_gap",
}


def retail_invoices() -> pd.DataFrame:
    """One row an invoice: how many different items, and for how much."""
    lines = pq.read_table(RETAIL / "online_retail_events.parquet").to_pandas()
    kept = lines["CustomerID"].notna() & ~lines["InvoiceNo"].str.startswith("C")
    lines = lines[kept & (lines["Quantity"] > 0) & (lines["UnitPrice"] > 0)]
    lines = lines.assign(customer=lines["CustomerID"].astype("int64").astype(str))
    lines["amount"] = lines["Quantity"] * lines["UnitPrice"]
    grouped = lines.groupby(["customer", "InvoiceNo"], as_index=False)
    invoices: pd.DataFrame = grouped.agg(
        at=("InvoiceDate", "min"), items=("StockCode", "nunique"), amount=("amount", "sum")
    )
    return invoices


def cdnow_purchases() -> pd.DataFrame:
    """One row a customer and day."""
    purchases = pq.read_table(CDNOW / "cdnow_events.parquet").to_pandas()
    daily = purchases.groupby(["customer_id", "date"], as_index=False)
    merged: pd.DataFrame = daily.agg(cds=("cds", "sum"), amount=("amount", "sum"))
    return merged


async def bring(
    client: httpx.AsyncClient, events: pd.DataFrame, columns: dict[str, str], instants: Sequence[Any], horizon: int
) -> None:
    """A dataset of these events without contracts: active is who bought in the last 90 days."""
    body = {
        "name": "real",
        "kind": "events",
        "events": columns,
        "active": {"kind": "event", "days": 90},
        "horizon_days": horizon,
        "so_far": True,
        "instants": [pd.Timestamp(each).tz_localize("UTC").isoformat() for each in instants],
    }
    answer = await client.post("/datasets", json=body)
    assert answer.status_code == 201, answer.text
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(events, preserve_index=False), file)
    answer = await client.put("/datasets/real/facts/events", content=file.getvalue())
    assert answer.status_code == 201, answer.text


async def built(services: Services, instants: Sequence[Any]) -> Frame:
    async with services.sessions() as session:
        dataset = await services.datasets.resolve(session, "real")
        revision = await get_revision(session, dataset)
    source = await services.frames.open(dataset, revision)
    return (await source.labelled([pd.Timestamp(each).to_pydatetime().replace(tzinfo=UTC) for each in instants])).frame


def require_equal(frame: Frame, reference: pd.DataFrame) -> None:
    """Row by row: the same accounts at the same instants, the same figures, the same labels."""
    expected = reference.sort_values(["acct", "as_of"], ignore_index=True)
    assert frame.accounts.to_pylist() == expected["acct"].tolist()
    assert frame.as_of is not None
    assert frame.as_of.cast(pa.timestamp("us")).to_pylist() == [at.to_pydatetime() for at in expected["as_of"]]
    np.testing.assert_array_equal(np.asarray(frame.churned), expected["churn"])
    for theirs, ours in (COUNTS | SUMS | MEANS | TIMES).items():
        tolerance = 0.005 if theirs.startswith("amt") else 1e-6
        figures = expected[theirs].replace(np.inf, np.nan)  # over a usual gap of 0 days nothing can be said
        found = frame.features[ours].to_numpy()
        np.testing.assert_allclose(found, figures, rtol=0, atol=tolerance, err_msg=theirs)


async def test_retail_is_rebuilt_row_by_row(client: httpx.AsyncClient, services: Services) -> None:
    reference = pq.read_table(RETAIL / "snapshots_reference.parquet").to_pandas()
    instants = sorted(reference["as_of"].unique())
    columns = {
        "id_column": "customer",
        "occurred_at_column": "at",
        "quantity_column": "items",
        "amount_column": "amount",
    }
    await bring(client, retail_invoices(), columns, instants, horizon=60)
    require_equal(await built(services, instants), reference)


async def test_cdnow_is_rebuilt_row_by_row(client: httpx.AsyncClient, services: Services) -> None:
    reference = pq.read_table(CDNOW / "snapshots_reference.parquet").to_pandas()
    instants = sorted(reference["as_of"].unique())
    columns = {
        "id_column": "customer_id",
        "occurred_at_column": "date",
        "quantity_column": "cds",
        "amount_column": "amount",
    }
    await bring(client, cdnow_purchases(), columns, instants, horizon=90)
    require_equal(await built(services, instants), reference)
