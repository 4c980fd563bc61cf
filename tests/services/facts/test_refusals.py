"""Files of facts that are refused, with the place of what does not fit; a refusal leaves nothing."""

import io
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.errors import NoRows
from tests.features.business import Store
from tests.services.facts.world import (
    ACCOUNT,
    EVENT,
    GOOD,
    SHOP,
    SUBSCRIPTION,
    describe,
    everything,
    open_rows,
    open_rows_of_events,
    send,
    take,
)

BAD = {
    "no id": ("events", EVENT + "1,e1,2024-01-01,x,\n,e2,2024-01-01,x,\n", 3, "id"),
    "a blank id": ("events", EVENT + "  ,e2,2024-01-01,x,\n", 2, "id"),
    "no instant": ("events", EVENT + "1,e2,,x,\n", 2, "occurred_at"),
    "no instant at all": ("events", EVENT + "1,e2,yesterday,x,\n", 2, "occurred_at"),
    "a day that does not exist": ("events", EVENT + "1,e1,2024-02-29,x,\n1,e2,2023-02-29,x,\n", 3, "occurred_at"),
    "no kind": ("events", EVENT + "1,e1,2024-01-01,,\n", 2, "kind"),
    "no event id": ("events", EVENT + "1,,2024-01-01,x,\n", 2, "event"),
    "a long event id": ("events", EVENT + f"1,{'e' * 3000},2024-01-01,x,\n", 2, "event"),
    "a number that is none": ("events", EVENT + "1,e1,2024-01-01,x,1\n1,e2,2024-01-01,x,lots\n", 3, "amount"),
    "a number beyond counting": ("events", EVENT + "1,e1,2024-01-01,x,1e300\n", 2, "amount"),
    "no end of money": ("events", EVENT + "1,e1,2024-01-01,x,inf\n", 2, "amount"),
    "ended before it began": ("subscriptions", SUBSCRIPTION + "1,s1,2024-02-01,2024-01-31,pro\n", 2, "ended_at"),
    "no start": ("subscriptions", SUBSCRIPTION + "1,s1,,2024-01-31,pro\n", 2, "started_at"),
    "no subscription id": ("subscriptions", SUBSCRIPTION + "1,,2024-01-01,,pro\n", 2, "number"),
    "no birth": ("accounts", ACCOUNT + "1,,2024-01-01,,5,north\n", 2, "created_at"),
    "no beginning": ("accounts", ACCOUNT + "1,2024-01-01,,,5,north\n", 2, "since"),
    "recorded at no time": ("accounts", ACCOUNT + "1,2024-01-01,2024-01-01,soon,5,north\n", 2, "seen"),
    "an event before all calendars": (
        "events",
        EVENT + "1,e1,2024-01-01,x,\n1,e2,1899-12-31T23:59:59Z,x,\n",
        3,
        "occurred_at",
    ),
    "a start at the beginning of time": ("subscriptions", SUBSCRIPTION + "1,s1,0001-01-01,,pro\n", 2, "started_at"),
    "recorded before all calendars": ("accounts", ACCOUNT + "1,2024-01-01,2024-01-01,1899-01-01,5,north\n", 2, "seen"),
    "a column that is missing": ("events", "id,event,occurred_at,kind\n1,e1,2024-01-01,x\n", None, "amount"),
    "an id that comes twice": ("events", EVENT + "1,e1,2024-01-01,x,\n1,e1,2024-01-02,x,\n", None, "event"),
    "a state that comes twice": ("accounts", ACCOUNT + "1,2024-01-01,2024-02-01,,5,a\n" * 2, None, "since"),
    "a subscription that comes twice": ("subscriptions", SUBSCRIPTION + "1,s1,2024-01-01,,pro\n" * 2, None, "number"),
    "no rows": ("events", EVENT, 1, None),
    "no bytes": ("events", "", None, None),
    "too few cells": ("events", EVENT + "1,e1,2024-01-01\n", 2, None),
}


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize(("fact", "content", "line", "column"), BAD.values(), ids=BAD)
async def test_what_does_not_fit_is_refused_with_its_place_and_leaves_nothing(
    store: Store, name: str, method: str, fact: str, content: str, line: int | None, column: str | None
) -> None:
    await take(store, name, fact, GOOD[fact])
    before = await everything(store)
    answer = await send(store, name, fact, content, method=method)
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert (problem.get("line"), problem.get("column")) == (line, column), problem
    assert await everything(store) == before


@pytest.mark.parametrize(
    "instant",
    [
        "1899-12-31T23:59:59Z",
        "1900-01-01T01:00:00+02:00",
        "0001-01-01T00:00:00+14:00",
        "2200-01-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
    ],
)
async def test_instants_near_the_ends_of_the_calendar_are_refused(store: Store, instant: str) -> None:
    answer = await store.http.post("/datasets", json=SHOP | {"name": "endless", "instants": [instant]})
    assert answer.status_code == 422, answer.text
    assert "between the years 1900 and 2200" in answer.text


async def test_the_first_instants_that_may_be_named_can_be_asked_for(store: Store) -> None:
    store.n_made += 1
    name = f"old{store.n_made}"
    await describe(store, SHOP | {"name": name, "instants": ["1900-01-01T00:00:00Z", "2199-12-31T20:00:00-03:00"]})
    await take(store, name, "events", GOOD["events"] + "1,e3,1900-01-01,x,\n")
    source = await open_rows_of_events(store, name)
    assert (await source.matured(now=None)).instants == (datetime(1900, 1, 1, tzinfo=UTC),)


NO_TEXTS = {
    "structs": pa.array([{"a": "x"}]),
    "lists": pa.array([["x"]]),
    "maps": pa.array([[("a", "x")]], pa.map_(pa.string(), pa.string())),
    "bytes": pa.array([b"\xff"]),
}
TEXTS = [("events", "kind"), ("events", "event"), ("subscriptions", "plan"), ("subscriptions", "number")]


@pytest.mark.parametrize(("fact", "column"), TEXTS, ids=[column for _, column in TEXTS])
@pytest.mark.parametrize("cells", NO_TEXTS.values(), ids=NO_TEXTS)
async def test_columns_of_parquet_that_hold_no_text_are_refused(
    store: Store, name: str, cells: pa.Array, fact: str, column: str
) -> None:
    row = dict.fromkeys(GOOD[fact].partition("\n")[0].split(","), pa.array(["1"]))
    instants = dict.fromkeys({"started_at", "occurred_at"} & row.keys(), pa.array([datetime(2024, 3, 1)]))  # noqa: DTZ001
    file = io.BytesIO()
    pq.write_table(pa.table({**row, "ended_at": pa.nulls(1, pa.date32()), **instants, column: cells}), file)
    answer = await send(store, name, fact, file.getvalue())
    assert (answer.status_code, answer.json().get("column")) == (422, column), answer.text
    assert "is of type " in answer.json()["detail"]
    assert answer.json()["detail"].endswith("; text is needed.")


async def test_a_cell_far_down_is_found(store: Store, name: str) -> None:
    rows = "".join(f"{number},e{number},2024-01-01,x,1\n" for number in range(120_000))
    before = await everything(store)
    answer = await send(store, name, "events", EVENT + rows + "1,f,2024-01-01,x,one\n")
    assert (answer.status_code, answer.json()["line"], answer.json()["column"]) == (422, 120_002, "amount")
    assert await everything(store) == before


@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data; boundary=x"])
async def test_a_body_that_is_no_file_is_refused(store: Store, name: str, media_type: str) -> None:
    answer = await send(store, name, "events", GOOD["events"], headers={"Content-Type": media_type})
    assert answer.status_code == 415


async def test_facts_that_were_not_described_are_refused(store: Store, name: str) -> None:
    store.n_made += 1
    await describe(store, {**SHOP, "name": "bare", "accounts": None, "subscriptions": None})
    answer = await send(store, "bare", "accounts", GOOD["accounts"])
    assert answer.status_code == 422
    assert "without accounts" in answer.json()["detail"]
    assert (await send(store, name, "invoices", "id\n1\n")).status_code == 422
    assert (await send(store, "nobody", "events", GOOD["events"])).status_code == 404


async def test_each_kind_of_dataset_takes_its_own(store: Store, name: str) -> None:
    body = {"name": "flat", "id_column": "id", "label_column": "left", "positive_value": "yes"}
    await describe(store, body)
    refused = await send(store, "flat", "events", GOOD["events"])
    assert refused.status_code == 422
    assert "/datasets/flat/rows" in refused.json()["hint"]
    refused = await store.http.put(f"/datasets/{name}/rows", content="id,left\n1,yes\n")
    assert (refused.status_code, refused.json()["code"]) == (409, "rows_are_built")
    assert refused.json()["title"] == "The rows of this dataset are built of facts"
    assert f"/datasets/{name}/facts/events" in refused.json()["hint"]


async def test_rows_need_every_fact_that_was_described(store: Store, name: str) -> None:
    await take(store, name, "events", GOOD["events"])
    with pytest.raises(NoRows, match="no accounts yet"):
        await open_rows(store.services, name)


async def test_what_is_no_kind_is_refused(store: Store, name: str) -> None:
    await take(store, name, "events", GOOD["events"])
    before = await everything(store)
    rows = "".join(f"1,e{n},2024-03-01,session {n},1\n" for n in range(10_001))
    answer = await send(store, name, "events", EVENT + rows)
    assert (answer.status_code, answer.json()["column"]) == (422, "kind")
    assert await everything(store) == before
