"""Files of facts that are taken in: once each, counted, as they are written."""

import asyncio
import io
import logging
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from app.services.revisions import get_revision
from tests.features.business import Store
from tests.services.facts.world import (
    ACCOUNT,
    EVENT,
    GOOD,
    SUBSCRIPTION,
    everything,
    open_rows,
    open_rows_of_events,
    send,
    take,
)


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
