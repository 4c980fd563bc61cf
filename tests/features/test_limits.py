"""Descriptions and attributes that would ask for more columns than the database has are refused with a reason."""

import time
from dataclasses import replace
from typing import Any

import pytest

from app.errors import RowsDoNotFit
from tests.features.business import Store, body_of
from tests.features.draws import AS_OF
from tests.features.oracle import DAY, AccountFact, EventFact, Rules

WIDE = Rules(active_days=30, max_kinds=40, has_accounts=False, has_subscriptions=False)
TWELVE = tuple(range(10, 130, 10))


async def test_the_widest_rows_that_may_be_described_can_be_built(store: Store) -> None:
    """40 kinds and all others, in six windows, with quantities and amounts."""
    business = await store.describe(WIDE)
    kinds = [f"k{number}" for number in range(42)]
    rows = [EventFact("a", "", AS_OF - (1 + n) * DAY, kind, 2.0, 3.0) for n, kind in enumerate(kinds)]
    await business.send("events", rows)
    source = await business.open()
    assert len(source.features) > 1400
    began = time.monotonic()
    frame = (await source.labelled([AS_OF])).frame
    assert frame.features["amount_k3_total"].to_pylist() == [3.0]
    assert frame.features["n_other_total"].to_pylist() == [2.0]
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "more",
    [
        {"windows_days": list(TWELVE)},
        {"active": {"kind": "event", "event_kinds": [f"k{n}" for n in range(50)]}, "max_kinds": 1},
    ],
)
async def test_more_features_than_the_database_has_columns_are_refused(store: Store, more: dict[str, Any]) -> None:
    body = body_of("wide", WIDE) | more
    body["windows_days"] = list(TWELVE)
    answer = await store.http.post("/datasets", json=body)
    assert answer.status_code == 422, answer.text
    assert "features, and 1,600 are the most" in answer.text
    body["events"] = {"kind_column": "kind"}
    body["windows_days"] = [7]
    answer = await store.http.post("/datasets", json=body | {"name": f"narrow-{len(str(more))}"})
    assert answer.status_code == 201, answer.text


async def test_attributes_count_too(store: Store) -> None:
    business = await store.describe(replace(WIDE, has_accounts=True))
    await business.send("events", [EventFact("a", "", AS_OF - DAY, f"k{n}", 1.0, 2.0) for n in range(42)])
    attributes: dict[str, Any] = {f"attribute {n}": float(n) for n in range(300)}
    await business.send("accounts", [AccountFact("a", AS_OF - DAY, AS_OF - DAY, attributes)])
    with pytest.raises(RowsDoNotFit, match="features"):
        await business.open()
    answer = await store.http.get(f"/datasets/{business.name}/features")
    assert answer.status_code == 409
