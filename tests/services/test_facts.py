"""Files of facts: what is taken in, what is refused with its place, and that a refusal leaves nothing."""

import asyncio
import io
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from app.container import Services
from app.errors import NoRows
from app.services.revisions import get_revision
from app.services.row_source import RowSource
from tests.features.business import Store, open_store
from tests.postgres import new_database

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


@pytest.fixture(scope="module")
async def store(postgres_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One application for all of these tests."""
    with new_database(postgres_url, template=template_database) as url:
        async with open_store(url, tmp_path_factory.mktemp("home")) as opened:
            yield opened


@pytest.fixture
async def name(store: Store) -> str:
    """A dataset without facts."""
    store.n_made += 1
    name = f"shop{store.n_made}"
    await describe(store, SHOP | {"name": name})
    return name


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


async def test_facts_of_each_kind_are_taken_in_and_told(store: Store, name: str) -> None:
    told = {fact: await take(store, name, fact, content) for fact, content in GOOD.items()}
    assert [each["revision"] for each in told.values()] == [1, 2, 3]
    assert [each["n_rows_added"] for each in told.values()] == [2, 2, 2]
    events = told["events"]
    assert (events["first_at"], events["last_at"]) == ("2024-03-01T10:00:00Z", "2024-03-02T00:00:00Z")
    assert events["kinds"] == [
        {"kind": "login", "n": 1, "n_quantity": 0, "n_amount": 0},
        {"kind": "buy", "n": 1, "n_quantity": 0, "n_amount": 1},
    ]
    assert events["known_until"] == "2024-03-03T00:00:00Z"
    [chunk] = [each async for each in (await open_rows(store.services, name)).active_chunks(chunk_size=10)]
    assert chunk.accounts.to_pylist() == ["1", "2"]
    assert chunk.features["seats"].to_pylist() == [5.0, None]
    assert chunk.features["plan"].to_pylist() == ["pro", None]


async def test_parquet_is_read_as_csv_is(store: Store, name: str) -> None:
    instants = [datetime(2024, 3, 1, 10), datetime(2024, 3, 2)]  # noqa: DTZ001 - without a zone UTC is meant
    rows = {
        "id": [1, 2],
        "event": ["e1", "e2"],
        "occurred_at": instants,
        "kind": ["login", "buy"],
        "amount": [None, 9.5],
    }
    file = io.BytesIO()
    table = pa.table(
        rows,
        pa.schema(
            [
                ("id", pa.int64()),
                ("event", pa.string()),
                ("occurred_at", pa.timestamp("ns")),
                ("kind", pa.dictionary(pa.int32(), pa.string())),
                ("amount", pa.float32()),
            ]
        ),
    )
    pq.write_table(table, file)
    as_parquet = await take(store, name, "events", file.getvalue(), method="PUT")
    as_csv = await take(store, name, "events", GOOD["events"], method="PUT")
    assert as_parquet | {"revision": 2} == as_csv


async def test_the_same_file_twice_adds_nothing(store: Store, name: str) -> None:
    first = await take(store, name, "events", GOOD["events"], method="PUT")
    before = await everything(store)
    again = await take(store, name, "events", GOOD["events"])
    assert again == first | {"n_rows_added": 0, "already_there": True}
    assert await everything(store) == before
    more = await take(store, name, "events", "id,event,occurred_at,kind,amount\n1,e3,2024-03-05,buy,1\n")
    assert (more["n_rows"], more["revision"], more["already_there"]) == (3, 2, False)
    late = await take(store, name, "events", GOOD["events"])
    assert (late["n_rows"], late["revision"], late["already_there"]) == (3, 2, True)


async def test_a_replacement_forgets_what_was_before(store: Store, name: str) -> None:
    await take(store, name, "events", GOOD["events"])
    told = await take(store, name, "events", "id,event,occurred_at,kind,amount\n7,e9,2024-01-05,buy,1\n", method="PUT")
    assert (told["n_rows"], told["last_at"], told["known_until"]) == (1, "2024-01-05T00:00:00Z", "2024-01-06T00:00:00Z")
    assert [each["kind"] for each in told["kinds"]] == ["buy"]


async def count_accounts(store: Store, name: str) -> int:
    async with store.services.sessions() as session:
        dataset = await store.services.datasets.resolve(session, name)
        return (await get_revision(session, dataset)).n_accounts


async def test_accounts_are_counted_as_the_revision_names_them(store: Store, name: str) -> None:
    """Of accounts where there are such facts, else of subscriptions, else of events; those replaced do not count."""
    await take(store, name, "events", EVENT + "".join(f"{n % 7},e{n},2024-01-05,x,1\n" for n in range(50)))
    assert await count_accounts(store, name) == 7
    await take(
        store, name, "events", EVENT + "é,e1,2024-01-05,x,1\nZ,e1,2024-01-05,x,1\nZ,e2,2024-01-05,x,1\n", method="PUT"
    )
    assert await count_accounts(store, name) == 2
    await take(store, name, "subscriptions", SUBSCRIPTION + "".join(f"{n % 5},s{n},2024-01-01,,\n" for n in range(9)))
    assert await count_accounts(store, name) == 5
    await take(store, name, "accounts", ACCOUNT + "".join(f"{n},2024-01-01,2024-01-01,,1,north\n" for n in range(6)))
    assert await count_accounts(store, name) == 6
    await take(store, name, "accounts", ACCOUNT + "9,2024-01-01,2024-01-01,,1,north\n", method="PUT")
    assert await count_accounts(store, name) == 1


EVENT, ACCOUNT, SUBSCRIPTION = (
    GOOD[fact].partition("\n")[0] + "\n" for fact in ("events", "accounts", "subscriptions")
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


async def test_attributes_are_those_of_the_first_file(store: Store, name: str) -> None:
    await take(store, name, "accounts", GOOD["accounts"])
    told = await take(store, name, "accounts", ACCOUNT.strip() + ",fresh\n1,2024-01-01,2024-05-01,,6,south,9\n")
    assert told["warnings"] == ["fresh: not in the rows before, so left out; PUT takes new columns in"]
    answer = await send(store, name, "accounts", "id,created_at,since,seen,seats\n1,2024-01-01,2024-06-01,,6\n")
    assert (answer.status_code, answer.json()["column"]) == (422, "region")
    answer = await send(store, name, "accounts", ACCOUNT + "1,2024-01-01,2024-06-01,,many,south\n")
    assert (answer.status_code, answer.json()["line"], answer.json()["column"]) == (422, 2, "seats")


async def test_two_files_at_once_both_land_once(store: Store, name: str) -> None:
    await take(store, name, "events", GOOD["events"])
    files = [EVENT + "".join(f"{n},{part}{n},2024-03-03,x,1\n" for n in range(500)) for part in "abc"]
    told = await asyncio.gather(*(take(store, name, "events", each) for each in (*files, files[0])))
    assert sorted(each["revision"] for each in told if not each["already_there"]) == [2, 3, 4]
    assert sum(each["n_rows_added"] for each in told) == 1500
    assert max(each["n_rows"] for each in told) == 1502
    frame = await (await open_rows_of_events(store, name)).newest(["7"])
    assert frame.features["n_x_total"].to_pylist() == [3.0]


async def open_rows_of_events(store: Store, name: str) -> RowSource:
    for fact in ("accounts", "subscriptions"):
        await take(store, name, fact, GOOD[fact])
    return await open_rows(store.services, name)


async def test_a_huge_number_of_kinds_is_other(store: Store, name: str) -> None:
    rows = "".join(f"{n % 50},e{n},2024-03-{n % 28 + 1:02},kind {n % 5000},1\n" for n in range(20_000))
    told = await take(store, name, "events", EVENT + rows)
    assert len(told["kinds"]) == 200
    source = await open_rows_of_events(store, name)
    [frame] = [each async for each in source.active_chunks(chunk_size=1000)]
    assert sum(frame.features["n_other_total"].to_pylist()) == 20_000 - 20 * 4
    assert len(source.features) < 600


async def test_kinds_are_counted_right_over_uploads_however_many_there_are(store: Store, name: str) -> None:
    """The 200 commonest are shown; a kind that was rare at first may be the commonest of all in the end."""
    first = "".join(f"1,a{n}.{again},2024-01-01,kind {n},1\n" for n in range(300) for again in range(1 + (n < 250)))
    await take(store, name, "events", EVENT + first)
    told = await take(store, name, "events", EVENT + "".join(f"1,b{n},2024-01-02,kind 299,1\n" for n in range(9)))
    counts = {"n": 10, "n_quantity": 0, "n_amount": 10}
    assert told["kinds"][0] == {"kind": "kind 299", **counts}


async def test_what_lies_in_the_future_does_not_make_time_pass(store: Store, name: str) -> None:
    now = datetime.now(UTC)
    ahead = (now + timedelta(days=400)).isoformat()
    told = await take(store, name, "events", EVENT + f"1,e1,2024-03-01T10:00:00Z,x,\n1,e2,{ahead},x,\n")
    assert (told["last_at"], told["known_until"]) == ("2024-03-01T10:00:00Z", "2024-03-02T00:00:00Z")
    told = await take(store, name, "events", EVENT + f"1,e3,{(now - timedelta(minutes=1)).isoformat()},x,\n")
    until = datetime.fromisoformat(told["known_until"])
    assert now - timedelta(minutes=1) < until <= datetime.now(UTC)


COMING = {
    "events": (EVENT + "1,e1,2024-03-01,x,\n1,e2,2101-01-01,x,\n2,e3,2101-01-02T10:00:00Z,x,\n", "occurred_at"),
    "subscriptions": (
        SUBSCRIPTION + "1,s1,2101-01-01,,\n2,s2,2101-01-02T10:00:00Z,,\n3,s3,2024-01-01,2110-01-01,\n",
        "started_at",
    ),
    "accounts": (ACCOUNT + "1,2024-01-01,2101-01-01,,5,north\n2,2024-01-01,2101-01-02T10:00:00Z,,5,north\n", "since"),
}


@pytest.mark.parametrize(("fact", "content", "column"), [(fact, *each) for fact, each in COMING.items()], ids=COMING)
async def test_facts_dated_in_the_future_are_told(
    store: Store, name: str, fact: str, content: str, column: str
) -> None:
    expected = f"{column}: 2 rows lie in the future, the latest at 2101-01-02T10:00:00+00:00; not seen before then"
    told = await take(store, name, fact, content)
    assert [each for each in told["warnings"] if "future" in each] == [expected]
    told = await take(store, name, fact, GOOD[fact])
    assert not [each for each in told["warnings"] if "future" in each]


async def test_facts_that_all_lie_in_the_future_are_no_rows_yet(store: Store, name: str) -> None:
    store.n_made += 1
    name = f"soon{store.n_made}"
    await describe(store, {**SHOP, "name": name, "accounts": None, "subscriptions": None})
    ahead = (datetime.now(UTC) + timedelta(days=40)).isoformat()
    told = await take(store, name, "events", EVENT + f"1,e1,{ahead},x,\n")
    assert (told["first_at"], told["last_at"], told["known_until"]) == (None, None, None)
    with pytest.raises(NoRows, match="future"):
        await (await open_rows(store.services, name)).matured(now=None)
    answer = await store.http.get(f"/datasets/{name}/features")
    assert answer.status_code == 409


async def test_accounts_that_go_on_do_not_say_that_events_are_complete(store: Store, name: str) -> None:
    """A feed of events that stands still stops time: nobody has churned for events that were never delivered."""
    await take(store, name, "events", GOOD["events"])
    told = await take(store, name, "accounts", ACCOUNT + "9,2024-09-01,2024-09-01,,1,north\n")
    assert told["known_until"] == "2024-03-03T00:00:00Z"


CORRECTED = {
    "accounts": {"recorded_at_column": "seen"},
    "subscriptions": {"subscription_id_column": "number", "recorded_at_column": "seen"},
    "events": {"event_id_column": "event", "recorded_at_column": "seen"},
}
RULES = {"by contract": {"kind": "subscription"}, "by event": {"kind": "event", "days": 90}}


@pytest.fixture(params=RULES.values(), ids=list(RULES))
async def corrected(store: Store, request: pytest.FixtureRequest) -> str:
    """A dataset whose facts say when they were recorded, with events until 2024-02-04, under either rule."""
    store.n_made += 1
    name = f"corrected{store.n_made}"
    await describe(store, SHOP | {"name": name, "active": request.param} | CORRECTED)
    days = [datetime(2024, 1, 6, tzinfo=UTC) + timedelta(days=n) for n in range(30)]
    events = "".join(f"1,e{n},{day.isoformat()},\n" for n, day in enumerate(days))
    told = await take(store, name, "events", "account_id,event,occurred_at,seen\n" + events)
    assert told["known_until"] == "2024-02-05T00:00:00Z"
    return name


BESIDE_EVENTS = {
    "an event filled in late": ("events", "event,occurred_at,seen\n1,late,2023-03-01,2024-04-20\n"),
    "a contract corrected years later": (
        "subscriptions",
        "number,started_at,ended_at,seen\n1,s1,2023-01-01,,\n1,s1,2023-01-01,2023-12-01,2025-06-01\n",
    ),
    "an end that was planned": ("subscriptions", "number,started_at,ended_at,seen\n1,s1,2023-01-01,2024-12-31,\n"),
    "an account made later": ("accounts", "created_at,seen\n1,2024-08-01,2024-09-01\n"),
}


@pytest.mark.parametrize(("fact", "content"), BESIDE_EVENTS.values(), ids=BESIDE_EVENTS)
async def test_only_when_events_happened_makes_time_pass(store: Store, corrected: str, fact: str, content: str) -> None:
    told = await take(store, corrected, fact, "account_id," + content)
    assert told["known_until"] == "2024-02-05T00:00:00Z"


async def test_facts_span_when_they_happened_whenever_they_were_recorded(store: Store, corrected: str) -> None:
    row = "account_id,event,occurred_at,seen\n1,late,2023-03-01,2024-04-20\n"
    told = await take(store, corrected, "events", row)
    assert (told["first_at"], told["last_at"]) == ("2023-03-01T00:00:00Z", "2024-02-04T00:00:00Z")
    row = "account_id,number,started_at,ended_at,seen\n1,s1,2023-01-01,2023-12-01,2025-06-01\n"
    told = await take(store, corrected, "subscriptions", row)
    assert (told["first_at"], told["last_at"]) == ("2023-01-01T00:00:00Z", "2023-12-01T00:00:00Z")


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
async def test_without_events_nothing_is_known_to_be_complete(store: Store, rule: dict[str, Any]) -> None:
    store.n_made += 1
    name = f"silent{store.n_made}"
    await describe(store, SHOP | {"name": name, "active": rule})
    for fact in ("accounts", "subscriptions"):
        assert (await take(store, name, fact, GOOD[fact]))["known_until"] is None


UNDATED = {
    "accounts": {"id_column": "id"},
    "subscriptions": {"id_column": "id", "subscription_id_column": "number", "plan_column": "plan"},
    "events": {"id_column": "id", "event_id_column": "event", "amount_column": "amount"},
}
UNDATED_FACTS = {
    "accounts": "id,created_at,seats\n1,2024-01-01,5\n2,2024-01-01,6\n",
    "subscriptions": "id,number,started_at,ended_at,plan\n1,s1,2024-01-01,,basic\n2,s2,2024-01-01,,basic\n",
    "events": "id,event,occurred_at,amount\n1,e1,2024-02-01,7\n2,e2,2024-02-01,8\n1,e3,2024-04-30,1\n",
}
AGAIN = {
    "an attribute": ("accounts", "id,created_at,seats\n1,2024-01-01,50\n3,2024-01-01,60\n", "seats", 5.0),
    "an attribute and the birth": ("accounts", "id,created_at,seats\n1,2024-01-09,50\n3,2024-01-01,60\n", "seats", 5.0),
    "a plan": (
        "subscriptions",
        UNDATED_FACTS["subscriptions"].replace("2,s2", "3,s2").replace("basic", "pro"),
        "plan",
        "basic",
    ),
    "an amount": (
        "events",
        "id,event,occurred_at,amount\n1,e1,2024-02-01,70\n3,e1,2024-02-01,60\n",
        "amount_event_total",
        7.0,
    ),
}


@pytest.mark.parametrize(("fact", "content", "feature", "known"), AGAIN.values(), ids=AGAIN)
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
async def test_what_replaces_an_undated_row_was_not_known_before_it_came(
    store: Store, rule: dict[str, Any], fact: str, content: str, feature: str, known: object
) -> None:
    store.n_made += 1
    name = f"undated{store.n_made}"
    await describe(store, SHOP | UNDATED | {"name": name, "active": rule})
    for each, rows in UNDATED_FACTS.items():
        await take(store, name, each, rows)
    before = datetime.now(UTC)
    await take(store, name, fact, content)
    source = await open_rows(store.services, name)
    frame = (await source.labelled([datetime(2024, 3, 1, tzinfo=UTC)])).frame
    assert dict(zip(frame.accounts.to_pylist(), frame.features[feature].to_pylist(), strict=True))["1"] == known
    recorded = await recorded_at(store, name, fact)
    assert [(account, at is not None) for account, at in recorded] == [("1", True), ("3", False)]
    assert before < recorded[0][1] < datetime.now(UTC)


@pytest.mark.parametrize(
    ("fact", "first", "second"),
    [
        ("accounts", "id,created_at,since\n1,2024-01-01,2024-01-01\n", "1,2024-01-01,2024-02-01"),
        ("subscriptions", "id,started_at,ended_at\n1,2024-01-01,2024-02-01\n", "1,2024-02-01,"),
    ],
)
async def test_another_state_or_contract_of_an_account_replaces_none(
    store: Store, fact: str, first: str, second: str
) -> None:
    store.n_made += 1
    name = f"dated{store.n_made}"
    keys = {"accounts": {"id_column": "id", "valid_from_column": "since"}, "subscriptions": {"id_column": "id"}}
    await describe(store, SHOP | {"name": name} | keys)
    await take(store, name, fact, first)
    await take(store, name, fact, f"{first}{second}\n")
    assert [at is not None for _, at in sorted(await recorded_at(store, name, fact), key=str)] == [False, True]


async def recorded_at(store: Store, name: str, fact: str) -> list[Any]:
    """Account and recorded_at of the rows that the newest revision brought."""
    async with store.services.sessions() as session:
        dataset = await store.services.datasets.resolve(session, name)
        revision = await get_revision(session, dataset)
        table = f"data.facts_{(revision.facts or {})[fact]['table_id']}"
        query = f"SELECT account_id, recorded_at FROM {table} WHERE added_in = :number ORDER BY account_id"
        return [tuple(row) for row in await session.execute(text(query), {"number": revision.number})]


async def test_labels_read_what_replaced_an_undated_row(store: Store) -> None:
    store.n_made += 1
    name = f"undated{store.n_made}"
    await describe(store, SHOP | UNDATED | {"name": name, "active": RULES["by contract"]})
    for fact, rows in UNDATED_FACTS.items():
        await take(store, name, fact, rows)
    row = "id,number,started_at,ended_at,plan\n1,s1,2024-01-01,2024-03-10,pro\n"
    await take(store, name, "subscriptions", row)
    frame = (await (await open_rows(store.services, name)).labelled([datetime(2024, 3, 1, tzinfo=UTC)])).frame
    assert frame.churned is not None
    assert dict(zip(frame.accounts.to_pylist(), frame.churned.tolist(), strict=True)) == {"1": 1.0, "2": 0.0}
    assert frame.features["plan"].to_pylist() == ["basic", "basic"]


async def test_facts_are_there_though_they_could_not_be_tidied(
    store: Store, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An index over an expression that fails as statistics are gathered: the VACUUM fails, the rows are committed."""
    await take(store, name, "events", GOOD["events"])
    async with store.services.sessions.begin() as session:
        dataset = await store.services.datasets.resolve(session, name)
        table_id = ((await get_revision(session, dataset)).facts or {})["events"]["table_id"]
        statement = (
            "CREATE FUNCTION data.fail_{0}(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS "
            "$$ BEGIN IF current_query() LIKE 'VACUUM%' THEN RAISE 'no'; END IF; RETURN $1; END $$"
        )
        await session.execute(text(statement.format(table_id)))
        await session.execute(text(f"CREATE INDEX ON data.facts_{table_id} (data.fail_{table_id}(kind))"))
    with caplog.at_level(logging.WARNING, logger="holdfast.facts"):
        told = await take(store, name, "events", EVENT + "1,e3,2024-03-05,buy,1\n")
    assert (told["revision"], told["n_rows"]) == (2, 3)
    assert [each.message for each in caplog.records if each.name == "holdfast.facts"] == ["facts not tidied"]


async def test_what_is_no_kind_is_refused(store: Store, name: str) -> None:
    await take(store, name, "events", GOOD["events"])
    before = await everything(store)
    rows = "".join(f"1,e{n},2024-03-01,session {n},1\n" for n in range(10_001))
    answer = await send(store, name, "events", EVENT + rows)
    assert (answer.status_code, answer.json()["column"]) == (422, "kind")
    assert await everything(store) == before
