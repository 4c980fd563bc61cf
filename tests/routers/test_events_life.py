"""A version's life over HTTP on facts: trained on what was known, judged later in time, scored as of now, looked up."""

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.living import Client, open_app
from tests.services.test_real_events import CDNOW, RETAIL, cdnow_purchases, retail_invoices

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not RETAIL.exists(), reason="the real data lie beside the project, in ../shared/data"),
]

INVOICES = {"id_column": "customer", "occurred_at_column": "at", "quantity_column": "items", "amount_column": "amount"}
PURCHASES = {
    "id_column": "customer_id",
    "occurred_at_column": "date",
    "quantity_column": "cds",
    "amount_column": "amount",
}


async def bring(client: Client, name: str, events: pd.DataFrame, columns: dict[str, str], **described: Any) -> None:
    """A dataset of these events; active is who bought in the last 90 days."""
    body = {"name": name, "kind": "events", "events": columns, "active": {"kind": "event", "days": 90}, **described}
    await client.call("POST", "/datasets", 201, json=body)
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(events, preserve_index=False), file)
    await client.call("PUT", f"/datasets/{name}/facts/events", 201, content=file.getvalue())


def instants_of(folder: Path) -> list[str]:
    reference = pq.read_table(folder / "snapshots_reference.parquet", columns=["as_of"]).to_pandas()
    return [pd.Timestamp(each).tz_localize("UTC").isoformat() for each in sorted(reference["as_of"].unique())]


@pytest.mark.parametrize(
    ("folder", "columns", "horizon_days", "known"),
    [
        (RETAIL, INVOICES, 60, {"xgboost": 0.721, "lightgbm": 0.728, "logistic": 0.736}),
        (CDNOW, PURCHASES, 90, {"xgboost": 0.719, "lightgbm": 0.721, "logistic": 0.727}),
    ],
    ids=["retail", "cdnow"],
)
async def test_the_figures_are_those_of_the_data(
    folder: Path, columns: dict[str, str], horizon_days: int, known: dict[str, float], database_url: str, tmp_path: Path
) -> None:
    """Test AUC at the last instant, against what the data's own README found by the same recipe."""
    events = retail_invoices() if folder == RETAIL else cdnow_purchases()
    async with open_app(database_url, tmp_path) as client:
        await bring(client, "shop", events, columns, horizon_days=horizon_days, instants=instants_of(folder))
        for kind in ("xgboost", "lightgbm"):
            trained = await client.succeed("/train", model={"model_type": kind}, training={"shap": False})
            assert trained["split"]["kind"] == "temporal"
            assert trained["split"]["instants"]["test"] == [instants_of(folder)[-1]]
            assert trained["primary"]["metrics"]["test"]["roc_auc"] == pytest.approx(known[kind], abs=0.02)
            rolled = trained["primary"]["rolling_origins"]
            assert rolled["gap_days"] == horizon_days
            origins = {each["as_of"] for each in rolled["origins"]}
            told = trained["split"]["instants"]
            assert origins
            assert origins <= {*told["train"], *told["validation"]}
            assert rolled["mean"]["roc_auc"] == pytest.approx(known[kind], abs=0.05)
            assert trained["baseline"]["metrics"]["test"]["roc_auc"] == pytest.approx(known["logistic"], abs=0.02)


async def test_a_version_lives_on_facts(database_url: str, tmp_path: Path) -> None:
    async with open_app(database_url, tmp_path) as client:
        await bring(client, "shop", retail_invoices(), INVOICES, horizon_days=60, windows_days=[7, 30, 90])
        trained = await client.succeed("/train", register=True, model={"model_type": "logistic"})
        assert trained["split"]["left_out"]["n_immature"] > 0
        judged = await client.succeed("/models/1/evaluate")
        assert judged["rows"]["n_known"] + judged["rows"]["n_new"] == judged["rows"]["n"]
        assert judged["rows"]["as_trained"]
        await client.call("POST", "/models/1/promote", json={"force": True, "reason": "to see it score"})

        run = await client.succeed("/score/batches")
        page = await client.call("GET", "/score/accounts?limit=1")
        first = page["items"][0]
        assert first["as_of"] == "2011-12-10T00:00:00Z"  # the end of the last day with an invoice
        words = {
            each["name"]: each["words"] for each in (await client.call("GET", "/datasets/shop/features"))["features"]
        }
        assert any(first["reasons"][0]["text"].startswith(word) for word in words.values())

        asked = {"accounts": [{"account_id": first["account_id"]}, {"account_id": "nobody"}]}
        scored, unknown = (await client.call("POST", "/score", json=asked))["scores"]
        assert scored["churn_probability"] == pytest.approx(first["churn_probability"], abs=1e-6)
        assert unknown["problem"]["code"] == "inactive_account"
        verdict = await client.succeed("/monitor")
        assert verdict["n_scored"] == run["n_accounts_scored"]


async def test_what_came_of_the_scored_is_read_from_later_facts(database_url: str, tmp_path: Path) -> None:
    """Scored on 1 August; two months of invoices later the monitor knows who churned, without any report."""
    invoices = retail_invoices()
    scored_at = pd.Timestamp("2011-08-01")
    reference = pq.read_table(RETAIL / "snapshots_reference.parquet", columns=["as_of", "churn"]).to_pandas()
    churned = reference.loc[reference["as_of"] == scored_at, "churn"]
    async with open_app(database_url, tmp_path) as client:
        before = invoices[invoices["at"] < scored_at]
        await bring(client, "shop", before, INVOICES, horizon_days=60, windows_days=[30, 90])
        await client.succeed("/train", register=True, model={"model_type": "logistic"}, training={"shap": False})
        await client.call("POST", "/models/1/promote", json={"force": True, "reason": "to see what comes true"})
        run = await client.succeed("/score/batches")
        assert run["n_accounts_scored"] == churned.size
        early = await client.succeed("/monitor")
        assert early["realised"][0]["n_immature"] == churned.size

        file = io.BytesIO()
        pq.write_table(pa.Table.from_pandas(invoices[invoices["at"] >= scored_at], preserve_index=False), file)
        told = await client.call("POST", "/datasets/shop/facts/events", 201, content=file.getvalue())
        assert (told["revision"], told["known_until"]) == (2, "2011-12-10T00:00:00Z")
        late = await client.succeed("/monitor")
        realised = late["realised"][0]
        assert (realised["n"], realised["n_churners"]) == (churned.size, churned.sum())
        assert realised["auc"] == pytest.approx(0.73, abs=0.04)
