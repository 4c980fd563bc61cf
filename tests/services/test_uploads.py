"""Uploads over real requests: what is understood, what is refused, and that a refusal leaves nothing."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.container import Services
from app.sample import make_sample, write_csv

DATA = Path(__file__).parents[3] / "shared" / "data"
TELCO = DATA / "telco_ibm" / "telco_ibm.csv"
HEAD = "id,seats,plan,left\n"
ROWS = HEAD + "00001,1,a,yes\n2,2.5,b,no\n3,,a,\n"


async def describe(client: httpx.AsyncClient, name: str = "d", **more: Any) -> None:
    body = {"name": name, "id_column": "id", "label_column": "left", "positive_value": "yes"} | more
    answer = await client.post("/datasets", json=body)
    assert answer.status_code == 201, answer.text


async def send(client: httpx.AsyncClient, content: str | bytes, *, method: str = "PUT", name: str = "d") -> Any:
    """What the upload answers; a success or a problem, with its status."""
    answer = await client.request(method, f"/datasets/{name}/rows", content=content)
    return answer.json() | {"status": answer.status_code}


def column(told: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in told["columns"] if each["name"] == name)
    return found


def as_parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


async def count_tables(services: Services) -> int:
    async with services.sessions() as session:
        query = "SELECT count(*) FROM pg_tables WHERE schemaname = 'data'"
        return int((await session.execute(text(query))).scalar_one())


@pytest.mark.skipif(not TELCO.exists(), reason="the real data lie beside the project, in ../shared/data")
async def test_telco_is_understood(client: httpx.AsyncClient) -> None:
    await describe(client, id_column="customerID", label_column="Churn", positive_value="Yes")
    told = await send(client, TELCO.read_bytes())
    assert (told["n_rows"], told["n_accounts"], told["n_labelled"], told["n_churned"]) == (7043, 7043, 7043, 1869)
    assert told["churn_rate"] == pytest.approx(0.265, abs=0.0005)
    charges = column(told, "TotalCharges")
    assert (charges["kind"], charges["minimum"], charges["maximum"]) == ("numeric", 18.8, 8684.8)
    assert charges["missing_share"] == pytest.approx(11 / 7043)
    assert column(told, "SeniorCitizen")["kind"] == "numeric"
    assert [each["level"] for each in column(told, "Partner")["levels"]] == ["No", "Yes"]
    assert column(told, "Churn")["levels"] == [{"level": "Yes", "n": 1869}, {"level": "No", "n": 5174}]
    assert [each["name"] for each in told["columns"] if each["excluded"]] == ["Churn"]


async def test_what_is_understood_is_shown(client: httpx.AsyncClient) -> None:
    await describe(client)
    told = await send(client, ROWS)
    assert told["status"] == 201
    assert (told["number"], told["n_rows"], told["n_labelled"], told["n_churned"]) == (1, 3, 2, 1)
    seats = column(told, "seats")
    assert (seats["kind"], seats["minimum"], seats["maximum"]) == ("numeric", 1, 2.5)
    assert seats["missing_share"] == pytest.approx(1 / 3)
    assert column(told, "plan")["levels"] == [{"level": "a", "n": 2}, {"level": "b", "n": 1}]
    assert told["warnings"] == []


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + ROWS,
        ROWS.replace(",", ";"),
        ROWS.replace(",", "\t"),
        ROWS.replace("\n", "\r\n"),
        ROWS.rstrip("\n"),
        ROWS.replace("\n2,", "\n\n2,"),
        '"id","seats","plan","left"\n"00001",1,"a",yes\n2,"2.5",b,no\n3,"",a,\n',
        "plan,left,id,seats\na,yes,00001,1\nb,no,2,2.5\na,,3,\n",
        "id,seats,plan,left\n3,,a,\n2,2.50,b,no\n00001,1.0, a ,yes\n",
    ],
)
async def test_the_same_rows_written_otherwise_have_the_same_hash(client: httpx.AsyncClient, content: str) -> None:
    await describe(client)
    first, second = await send(client, ROWS), await send(client, content)
    assert second["status"] == 201, second
    assert second["data_hash"] == first["data_hash"]
    assert second["number"] == 2


async def test_other_rows_have_another_hash(client: httpx.AsyncClient) -> None:
    await describe(client)
    hashes = {(await send(client, ROWS.replace("3,,a", other)))["data_hash"] for other in ("3,,a", "3,0,a", "4,,a")}
    assert len(hashes) == 3


async def test_csv_and_parquet_of_the_sample_say_the_same(client: httpx.AsyncClient, tmp_path: Path) -> None:
    sample = make_sample(500)
    write_csv(sample.snapshots, tmp_path / "rows.csv")
    more = {"id_column": "account_id", "label_column": "churned", "positive_value": "true", "as_of_column": "as_of"}
    await describe(client, **more)
    csv = await send(client, (tmp_path / "rows.csv").read_bytes())
    parquet = await send(client, as_parquet(sample.snapshots))
    assert csv["data_hash"] == parquet["data_hash"]
    assert csv["columns"] == parquet["columns"]
    assert csv["instants"] == [
        {"as_of": "2025-03-01T00:00:00Z", "n_rows": 500, "n_labelled": csv["n_labelled"], "n_churned": csv["n_churned"]}
    ]


async def test_quotes_newlines_and_any_letters_are_kept(client: httpx.AsyncClient) -> None:
    await describe(client)
    told = await send(client, 'id,plan "ü" 値,left\na,"x, ""y""\nz",yes\nb,5" pipe,no\n')
    levels = [each["level"] for each in column(told, 'plan "ü" 値')["levels"]]
    assert levels == ['5" pipe', 'x, "y"\nz']


async def test_what_ends_lines_elsewhere_ends_none_here(client: httpx.AsyncClient) -> None:
    await describe(client)
    told = await send(client, "id,a\u2028b\x0b,left\n1,c\x85d,yes\n2,e\u2028f,no\n")
    assert (told["n_rows"], told["columns"][0]["name"]) == (2, "a\u2028b")
    assert [each["level"] for each in told["columns"][0]["levels"]] == ["c\x85d", "e\u2028f"]


async def test_columns_that_tell_nothing_are_no_features(client: httpx.AsyncClient) -> None:
    await describe(client, exclude_columns=["secret", "absent"])
    lines = [f"{i},{i % 3},1,name {i},2024-01-{i % 28 + 1:02},,x,{'yes' if i % 2 else 'no'}" for i in range(30)]
    told = await send(client, "id,use,same,who,since,empty,secret,left\n" + "\n".join(lines))
    reasons = {each["name"]: each["excluded"] for each in told["columns"]}
    assert reasons["use"] is None
    assert "same value" in reasons["same"]
    assert "names accounts" in reasons["who"]
    assert "time" in reasons["since"]
    assert "missing" in reasons["empty"]
    assert "exclude_columns" in reasons["secret"]
    assert [warning.split(":")[0] for warning in told["warnings"]] == ["absent", "since"]


async def test_a_number_column_with_one_word_says_which_line(client: httpx.AsyncClient) -> None:
    await describe(client)
    told = await send(client, HEAD + '1,1,"two\nlines",yes\n2,2,b,no\n3,many,b,no\n')
    assert column(told, "seats")["kind"] == "categorical"
    assert "line 5" in column(told, "seats")["note"]
    assert any("line 5" in warning for warning in told["warnings"])


LATIN = (HEAD + "1,1,caf\u00e9,yes\n").encode("latin-1")
REFUSED: dict[str, tuple[str | bytes, str]] = {
    "empty": (b"", "empty"),
    "header only": (HEAD, "no rows"),
    "blank": ("\n\n", "no header"),
    "ragged": (ROWS + "4,1\n", "line 5"),
    "ragged after a quoted newline": (HEAD + '1,1,"a\nb",yes\n2,1\n', "line 4"),
    "quote left open": (HEAD + '1,1,a,yes\n2,1,b,"no\n', "line 3"),
    "not utf-8": (LATIN, "line 2"),
    "cut utf-8": ("id,left\n1,é".encode()[:-1], "line 2"),
    "nul": (HEAD + "1,1,a\0b,yes\n", "line 2"),
    "same name twice": ("id,a,a,left\n1,1,1,yes\n", "twice"),
    "no name": (",id,left\n0,1,yes\n", "column 1 has no name"),
    "no id column": ("key,left\n1,yes\n", "no column id"),
    "no label column": ("id,a\n1,1\n", "no column left"),
    "empty id": (HEAD + "1,1,a,yes\n ,1,a,no\n", "line 3, column id"),
    "long id": (HEAD + "x" * 201 + ",1,a,yes\n", "line 2, column id"),
    "third label": (HEAD + "1,1,a,yes\n2,1,a,no\n3,1,a,maybe\n", "'maybe', 'no'"),
    "positive value never": (
        HEAD + "1,1,a,Yes\n2,1,a,Yes\n",
        "'yes' does not occur in column left: it holds 'yes' alone",
    ),
    "account twice": (HEAD + "7,1,a,yes\n8,1,a,yes\n7,2,b,no\n", "lines 2 and 4"),
    "gzip": (b"\x1f\x8b\x08\x00", "gzip"),
    "excel": (b"PK\x03\x04", "excel"),
    "cut parquet": (b"PAR1 and no more", "damaged"),
    "parquet without id": (as_parquet(pa.table({"left": ["yes"]})), "no column id"),
    "parquet fractions as id": (as_parquet(pa.table({"id": [1.0, 1.5], "left": ["yes", "no"]})), "row 2, column id"),
    "parquet null id": (as_parquet(pa.table({"id": [1, None], "left": ["yes", "no"]})), "row 2, column id"),
    "parquet account twice": (as_parquet(pa.table({"id": [1, 2, 1], "left": ["yes", "no", "no"]})), "rows 1 and 3"),
    "too wide": (",".join(["id", "left", *(f"c{i}" for i in range(900))]) + "\n", "902 columns"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_understood_is_refused_whole(
    client: httpx.AsyncClient, services: Services, case: str
) -> None:
    content, words = REFUSED[case]
    await describe(client)
    told = await send(client, content)
    assert (told["status"], told["code"]) == (422, "unreadable_file"), told
    assert words in told["detail"].lower()
    assert await count_tables(services) == 0
    assert (await client.get("/datasets/d")).json()["revision"] is None


async def test_the_hint_for_an_account_that_comes_twice_is_the_date_column(client: httpx.AsyncClient) -> None:
    await describe(client)
    told = await send(client, HEAD + "7,1,a,yes\n7,2,b,no\n")
    assert "as_of_column" in told["hint"]
    assert told["lines"] == [2, 3]


async def test_dated_rows_have_one_row_per_account_and_instant(client: httpx.AsyncClient) -> None:
    await describe(client, as_of_column="day")
    head = "id,day,left\n"
    good = await send(client, head + "a,2024-01-01,yes\na,2024-02-01,no\nb,2024-02-01T00:00:00+00:00,no\n")
    assert (good["n_rows"], good["n_accounts"]) == (3, 2)
    assert [each["as_of"][:10] for each in good["instants"]] == ["2024-02-01", "2024-01-01"]
    twice = await send(client, head + "a,2024-01-01,yes\nb,2024-01-01,no\na,2024-01-01T01:00:00+01:00,no\n")
    assert "lines 2 and 4" in twice["detail"]
    for cell in ("", "1/2/2024", "2024-02-30", "0"):
        bad = await send(client, head + f"a,2024-01-01,yes\nb,{cell},no\n")
        assert (bad["status"], bad["line"], bad["column"]) == (422, 3, "day"), bad


async def test_appending_replaces_rows_of_the_same_account(client: httpx.AsyncClient) -> None:
    await describe(client)
    first = await send(client, ROWS)
    second = await send(client, HEAD + "3,9,c,yes\n4,,b,\n", method="POST")
    assert (second["status"], second["number"], second["n_rows_uploaded"]) == (201, 2, 2)
    assert (second["n_rows"], second["n_accounts"], second["n_labelled"], second["n_churned"]) == (4, 4, 3, 2)
    assert column(second, "seats")["maximum"] == 9
    assert {each["level"]: each["n"] for each in column(second, "plan")["levels"]} == {"a": 1, "b": 2, "c": 1}
    whole = await send(client, HEAD + "00001,1,a,yes\n2,2.5,b,no\n3,9,c,yes\n4,,b,\n")
    assert whole["data_hash"] == second["data_hash"] != first["data_hash"]


async def test_the_first_append_is_as_good_as_a_put(client: httpx.AsyncClient) -> None:
    await describe(client)
    told = await send(client, ROWS, method="POST")
    assert (told["status"], told["number"], told["n_rows"]) == (201, 1, 3)


async def test_an_append_may_lack_labels_but_no_feature(client: httpx.AsyncClient) -> None:
    await describe(client)
    await send(client, ROWS)
    unlabelled = await send(client, "id,seats,plan,new\n9,1,z,1\n", method="POST")
    assert (unlabelled["n_rows"], unlabelled["n_labelled"]) == (4, 2)
    assert len(unlabelled["warnings"]) == 2
    lacking = await send(client, "id,seats,left\n9,1,no\n", method="POST")
    assert (lacking["status"], lacking["column"]) == (422, "plan")


@pytest.mark.parametrize(
    ("row", "place"),
    [("9,many,a,no", "line 2, column seats"), ("9,1,a,No", "'No', 'no'"), ("9,1,a,YES", "'YES', 'no'")],
)
async def test_an_append_must_fit_what_was_there(client: httpx.AsyncClient, row: str, place: str) -> None:
    await describe(client)
    await send(client, ROWS)
    told = await send(client, HEAD + row + "\n", method="POST")
    assert told["status"] == 422
    assert place in told["detail"].replace("Line", "line")
    assert (await client.get("/datasets/d")).json()["revision"]["number"] == 1


async def test_concurrent_uploads_take_turns(client: httpx.AsyncClient) -> None:
    await describe(client)
    await send(client, ROWS)
    told = await asyncio.gather(*(send(client, HEAD + f"n{i},1,a,no\n", method="POST") for i in range(6)))
    assert sorted(each["number"] for each in told) == [2, 3, 4, 5, 6, 7]
    newest = (await client.get("/datasets/d")).json()
    assert newest["revision"]["n_rows"] == 9
    assert [each["number"] for each in newest["revisions"]] == [7, 6, 5, 4, 3, 2, 1]


async def test_an_upload_above_the_limit_is_refused(app: FastAPI, client: httpx.AsyncClient) -> None:
    await describe(client)
    app.state.services.uploads._max_bytes = 1000
    told = await send(client, ROWS + "".join(f"x{i},1,a,no\n" for i in range(200)))
    assert (told["status"], told["code"]) == (413, "upload_too_large")


async def test_an_upload_that_breaks_off_leaves_nothing(client: httpx.AsyncClient, services: Services) -> None:
    await describe(client)

    async def broken() -> AsyncIterator[bytes]:
        yield ROWS.encode()
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await services.uploads.replace("d", broken(), media_type="text/csv", actor="test")
    assert await count_tables(services) == 0


@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data; boundary=x"])
async def test_a_body_that_is_no_file_is_refused(client: httpx.AsyncClient, media_type: str) -> None:
    await describe(client)
    answer = await client.put("/datasets/d/rows", content=ROWS, headers={"content-type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media")


async def test_rows_for_no_dataset_are_refused(client: httpx.AsyncClient) -> None:
    told = await send(client, ROWS)
    assert (told["status"], told["code"]) == (404, "not_found")


async def test_a_column_without_a_value_keeps_the_kind_it_had(client: httpx.AsyncClient) -> None:
    await describe(client)
    await send(client, ROWS)
    told = await send(client, HEAD + "1,1,,yes\n2,2,,no\n")
    assert (column(told, "plan")["kind"], column(told, "plan")["missing_share"]) == ("categorical", 1)


async def test_infinite_cells_are_counted_and_left_out_of_the_range(client: httpx.AsyncClient) -> None:
    await describe(client)
    told = await send(client, HEAD + "1,inf,a,yes\n2,-Infinity,b,no\n3,4,b,no\n4,5,b,no\n5,nan,b,no\n")
    seats = column(told, "seats")
    assert (seats["kind"], seats["minimum"], seats["maximum"], seats["n_infinite"]) == ("numeric", 4, 5, 2)
    assert seats["missing_share"] == pytest.approx(0.2)


async def test_many_columns_are_measured(client: httpx.AsyncClient) -> None:
    await describe(client)
    names = [f"c{i}" for i in range(700)]
    rows = "".join(
        f"{row},{'yes' if row % 2 else 'no'},{','.join(str(row + i) for i in range(700))}\n" for row in range(3)
    )
    told = await send(client, f"id,left,{','.join(names)}\n{rows}")
    assert told["status"] == 201, told
    assert (column(told, "c699")["minimum"], column(told, "c699")["maximum"]) == (699, 701)


async def test_a_third_label_in_rows_appended_is_told_as_such(client: httpx.AsyncClient) -> None:
    await describe(client)
    await send(client, ROWS)
    told = await send(client, HEAD + "7,1,a,perhaps\n", method="POST")
    assert "'no', 'perhaps' beside the positive value" in told["detail"]


async def test_rows_of_the_future_are_told(client: httpx.AsyncClient) -> None:
    await describe(client, as_of_column="day")
    head = "id,day,seats,left\n"
    rows = "1,2026-01-01,1,yes\n2,2026-01-01,2,no\n3,2199-02-01,3,\n4,2199-03-01T06:00:00Z,4,\n"
    told = await send(client, head + rows)
    assert told["status"] == 201
    [warning] = told["warnings"]
    assert warning.startswith("2 of these rows are dated in the future, the latest 2199-03-01 06:00 UTC")
    assert "day" in warning
    past = await send(client, head + "5,2026-01-01,1,no\n", method="POST")
    assert past["warnings"] == []
