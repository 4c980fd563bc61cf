"""Rows for training, for scoring everybody and for single accounts, from real uploads."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from app.container import Services

CDNOW = Path(__file__).parents[3] / "shared" / "data" / "cdnow_events" / "snapshots_reference.parquet"


@pytest.mark.skipif(not CDNOW.exists(), reason="the real data lie beside the project, in ../shared/data")
async def test_cdnow_trains_on_its_newest_instant(client: httpx.AsyncClient, services: Services) -> None:
    body = {"name": "cdnow", "id_column": "acct", "label_column": "churn", "positive_value": "1"}
    made = await client.post("/datasets", json=body | {"as_of_column": "as_of", "horizon_days": 90})
    assert made.status_code == 201, made.text
    answer = await client.put("/datasets/cdnow/rows", content=CDNOW.read_bytes())
    assert answer.status_code == 201, answer.text

    async with services.sessions() as session:
        dataset = await services.datasets.resolve(session, None)
        revision = await services.datasets.get_revision(session, dataset, None)
    rows = await services.frames.training_rows(dataset, revision)

    table = pq.read_table(CDNOW)
    newest = datetime(1998, 4, 1, tzinfo=UTC)
    expected = table.filter(pc.equal(table["as_of"], pa.scalar(newest.replace(tzinfo=None), pa.timestamp("us"))))
    assert rows.as_of == newest
    assert sorted(expected["acct"].to_pylist()) == rows.frame.accounts.to_pylist()
    assert rows.frame.churned is not None
    assert rows.frame.churned.sum() == pc.sum(expected["churn"]).as_py()
