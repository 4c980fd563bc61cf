"""Uploads over real requests: what is understood, what is refused, and that a refusal leaves nothing."""

from pathlib import Path

import httpx
import pytest

DATA = Path(__file__).parents[3] / "shared" / "data"
TELCO = DATA / "telco_ibm" / "telco_ibm.csv"

needs_data = pytest.mark.skipif(not DATA.exists(), reason="the real data lie beside the project, in ../shared/data")


@needs_data
async def test_telco_is_understood(client: httpx.AsyncClient) -> None:
    body = {"name": "telco", "id_column": "customerID", "label_column": "Churn", "positive_value": "Yes"}
    made = await client.post("/datasets", json=body)
    assert made.status_code == 201, made.text
    answer = await client.put("/datasets/telco/rows", content=TELCO.read_bytes(), headers={"content-type": "text/csv"})
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["n_rows"], told["n_accounts"], told["n_labelled"], told["n_churned"]) == (7043, 7043, 7043, 1869)
    charges = next(each for each in told["columns"] if each["name"] == "TotalCharges")
    assert charges["kind"] == "numeric"
    assert charges["missing_share"] == pytest.approx(11 / 7043)
