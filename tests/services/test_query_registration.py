"""Queries tried out as their dataset is described: what is understood of them, and what is refused."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.container import Services, open_services
from app.errors import SourceRefused
from app.schemas.query import QueryIn
from app.settings import Settings
from tests.services.query_world import FEATURES, LABELS, STEP_DAYS, Account, create, days_ago, describe
from tests.warehouse import PASSWORD, VARIABLE, Warehouse

CLAUSE = "FROM shop.accounts WHERE created_at < :as_of AND coalesce(left_at > :as_of, true)"


async def nothing_is_stored(services: Services) -> bool:
    query = "SELECT (SELECT count(*) FROM datasets) + (SELECT count(*) FROM pg_tables WHERE schemaname = 'data')"
    async with services.sessions() as session:
        return bool((await session.execute(text(query))).scalar_one() == 0)


async def test_the_answer_says_what_was_understood(
    client: httpx.AsyncClient, warehouse: Warehouse, accounts: list[Account]
) -> None:
    answer = await create(client, warehouse, exclude_columns=["text"])
    assert answer.status_code == 201, answer.text
    body, as_of = answer.json(), days_ago(30)
    assert (body["id_column"], body["label_column"], body["as_of_column"]) == ("account_id", "churned", "as_of")
    assert body["spec"]["features_sql"] == FEATURES
    assert (body["spec"]["step_days"], body["spec"]["password_env"]) == (STEP_DAYS, VARIABLE)
    told = body["understood"]
    there = [each for each in accounts if each.is_active(as_of)]
    assert told["as_of"].replace("Z", "+00:00") == as_of.isoformat()
    assert (told["n_rows"], told["n_labelled"]) == (len(there), len(there))
    assert told["n_churned"] == sum(each.has_churned(as_of) for each in there)
    assert (told["label_type"], told["is_sample"]) == ("bool", False)
    assert {each["name"]: (each["type"], each["kind"]) for each in told["columns"]} == {
        "tier": ("enum", "categorical"),
        "ends in 0": ("bool", "boolean"),
        "text": ("text", "unsupported"),
        "n_orders_30d": ("int8", "numeric"),
        "spend": ("numeric", "numeric"),
        "created_at": ("timestamptz", "timestamp"),
    }
    shown = (await client.get("/datasets/shop")).json()
    assert (shown["kind"], shown["understood"], shown["revision"]) == ("query", None, None)
    assert PASSWORD not in answer.text


@pytest.mark.parametrize(
    ("label", "more"),
    [
        ("(left_at <= :as_of + make_interval(days => :horizon_days)) IS TRUE", {}),
        ("CASE WHEN left_at <= :as_of + make_interval(days => :horizon_days) THEN 1 ELSE 0 END", {}),
        (
            "CASE WHEN left_at <= :as_of + make_interval(days => :horizon_days) THEN 1.0 ELSE 0.0 END",
            {"positive_value": "1"},
        ),
        (
            "CASE WHEN left_at <= :as_of + make_interval(days => :horizon_days) THEN 'gone' ELSE 'here' END",
            {"positive_value": "gone"},
        ),
    ],
)
async def test_labels_are_booleans_numbers_or_words(
    client: httpx.AsyncClient,
    warehouse: Warehouse,
    accounts: list[Account],
    label: str,
    more: dict[str, Any],
) -> None:
    answer = await create(client, warehouse, labels_sql=f"SELECT id AS account_id, {label} AS churned {CLAUSE}", **more)
    assert answer.status_code == 201, answer.text
    there = [each for each in accounts if each.is_active(days_ago(30))]
    assert answer.json()["understood"]["n_churned"] == sum(each.has_churned(days_ago(30)) for each in there)


async def test_what_looks_odd_is_warned_of(client: httpx.AsyncClient, warehouse: Warehouse) -> None:
    features = FEATURES.replace("a.created_at < :as_of", "a.created_at < :as_of AND a.id < 'a0300'")
    labels = LABELS.replace("FROM shop.accounts", "FROM (SELECT * FROM shop.accounts WHERE id > 'a0009') AS a")
    answer = await create(client, warehouse, features_sql=features, labels_sql=labels, exclude_columns=["none"])
    warnings = " ".join(answer.json()["understood"]["warnings"])
    for expected in (
        "none: in exclude_columns",
        "labels are of accounts that features_sql does not return",
        "no label",
    ):
        assert expected in warnings


FAULTS: dict[str, tuple[str | None, dict[str, Any]]] = {
    "no such column": ("/features_sql", {"features_sql": f"SELECT id AS account_id, nope {CLAUSE}"}),
    "no id": ("/features_sql", {"features_sql": f"SELECT id {CLAUSE}"}),
    "another name of the id": ("/features_sql", {"id_column": "key"}),
    "id of a float": ("/features_sql", {"features_sql": f"SELECT 1.5::float8 AS account_id {CLAUSE}"}),
    "id twice": (None, {"features_sql": f"SELECT 'x'::text AS account_id, 1 AS n {CLAUSE}"}),
    "id missing": (None, {"features_sql": f"SELECT nullif(id, 'a0003') AS account_id, 1 AS n {CLAUSE}"}),
    "column twice": ("/features_sql", {"features_sql": f"SELECT id AS account_id, 1 AS n, 2 AS n {CLAUSE}"}),
    "label among the features": (
        "/features_sql",
        {"features_sql": f"SELECT id AS account_id, left_at < now() AS churned {CLAUSE}"},
    ),
    "no rows": ("/features_sql", {"features_sql": f"SELECT id AS account_id, 1 AS n {CLAUSE} AND false"}),
    "no labels": ("/labels_sql", {"labels_sql": f"SELECT id AS account_id, true AS churned {CLAUSE} AND false"}),
    "no label column": ("/labels_sql", {"labels_sql": f"SELECT id AS account_id, true AS gone {CLAUSE}"}),
    "label of a date": ("/labels_sql", {"labels_sql": f"SELECT id AS account_id, left_at AS churned {CLAUSE}"}),
    "label of three numbers": (
        None,
        {"labels_sql": f"SELECT id AS account_id, length(id) + (id > 'a0100')::int AS churned {CLAUSE}"},
    ),
    "label of other words": (None, {"labels_sql": f"SELECT id AS account_id, 'gone'::text AS churned {CLAUSE}"}),
    "labels twice": (None, {"labels_sql": f"SELECT 'x'::text AS account_id, true AS churned {CLAUSE}"}),
    "excludes the id": ("", {"exclude_columns": ["account_id"]}),
}


@pytest.mark.parametrize(("pointer", "more"), FAULTS.values(), ids=FAULTS)
async def test_what_can_not_be_used_is_refused(
    client: httpx.AsyncClient, services: Services, warehouse: Warehouse, pointer: str | None, more: dict[str, Any]
) -> None:
    answer = await create(client, warehouse, **more)
    assert answer.status_code == 422, answer.text
    assert [each["pointer"] for each in answer.json()["errors"]] == ([pointer] if pointer is not None else [])
    assert await nothing_is_stored(services)


async def test_an_error_names_the_line_and_no_value(client: httpx.AsyncClient, warehouse: Warehouse) -> None:
    answer = await create(client, warehouse, features_sql=f"SELECT id AS account_id\n, nope {CLAUSE}")
    assert answer.json()["detail"] == 'features_sql: column "nope" does not exist (line 2).'
    answer = await create(client, warehouse, features_sql=f"SELECT id AS account_id, id::int AS n {CLAUSE}")
    assert (answer.status_code, answer.json()["code"]) == (422, "query_refused")
    assert "a0" not in answer.json()["detail"]
    assert "invalid text representation" in answer.json()["detail"]


SOURCES: dict[str, tuple[int, str, Callable[[Warehouse], dict[str, Any]]]] = {
    "nobody there": (422, "source_unreachable", lambda w: {"source_url": w.url(port=1)}),
    "no such database": (422, "source_refused", lambda w: {"source_url": w.url(database="none")}),
    "no such role": (422, "source_refused", lambda w: {"source_url": w.url("nobody")}),
    "no password": (422, "source_refused", lambda w: {"password_env": None}),
    "variable not set": (422, "source_refused", lambda w: {"password_env": "HOLDFAST_SOURCE_NONE"}),
    "other variable": (422, "invalid_request", lambda w: {"password_env": "PATH"}),
    "superuser": (422, "source_refused", lambda w: {"source_url": w.url("postgres")}),
    "reader of files": (422, "source_refused", lambda w: {"source_url": w.url("reader_of_files")}),
    "heir of a superuser": (422, "source_refused", lambda w: {"source_url": w.url("heir")}),
}


@pytest.mark.parametrize(("status", "code", "more"), SOURCES.values(), ids=SOURCES)
async def test_a_source_that_can_not_be_read_is_refused(
    client: httpx.AsyncClient,
    services: Services,
    warehouse: Warehouse,
    status: int,
    code: str,
    more: Callable[[Warehouse], dict[str, Any]],
) -> None:
    answer = await create(client, warehouse, **more(warehouse))
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert PASSWORD not in answer.text
    assert await nothing_is_stored(services)


async def test_a_wrong_password_is_not_repeated(
    client: httpx.AsyncClient, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "guess-me-not")
    answer = await create(client, warehouse)
    assert (answer.status_code, answer.json()["code"]) == (422, "source_refused")
    assert "guess-me-not" not in answer.text
    assert "reader" in answer.json()["detail"]


async def test_rows_can_not_be_sent(client: httpx.AsyncClient, warehouse: Warehouse) -> None:
    await create(client, warehouse)
    answer = await client.put("/datasets/shop/rows", content="account_id,churned\n1,true\n")
    assert (answer.status_code, answer.json()["code"]) == (409, "rows_come_from_query")


async def test_nor_can_facts_and_nobody_is_sent_to_send_rows(client: httpx.AsyncClient, warehouse: Warehouse) -> None:
    await create(client, warehouse)
    answer = await client.put("/datasets/shop/facts/events", content="account_id,kind\n1,login\n")
    assert answer.status_code == 422
    assert answer.json()["hint"] == "Make another dataset with `kind: events`."


async def test_instants_that_are_named_are_tried(
    client: httpx.AsyncClient, warehouse: Warehouse, accounts: list[Account]
) -> None:
    named = [days_ago(90), days_ago(60) + timedelta(hours=5), days_ago(2)]
    body = describe(warehouse, instants=[each.isoformat() for each in named])
    told = (await client.post("/datasets", json=body)).json()["understood"]
    assert told["as_of"].replace("Z", "+00:00") == named[1].isoformat()
    assert told["n_rows"] == sum(each.is_active(named[1]) for each in accounts)


@pytest.mark.parametrize(
    ("hosts", "is_allowed"),
    [("127.0.0.1", True), ("10.0.0.1, 127.0.0.1:{port}", True), ("127.0.0.1:1", False), ("localhost", False)],
)
async def test_the_operator_may_name_the_hosts(
    database_url: str, warehouse: Warehouse, hosts: str, is_allowed: bool
) -> None:
    settings = Settings.model_validate({"database_url": database_url, "query_hosts": hosts.format(port=warehouse.port)})
    body = QueryIn.model_validate(describe(warehouse))
    async with open_services(settings, database_url) as services:
        if is_allowed:
            assert (await services.datasets.create(body, actor="test")).understood is not None
        else:
            with pytest.raises(SourceRefused, match="not among the hosts"):
                await services.datasets.create(body, actor="test")


async def test_a_source_that_hangs_or_speaks_something_else_is_refused(
    client: httpx.AsyncClient, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.warehouse.CONNECT_SECONDS", 0.5)

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    for behave in (greet, hang):
        server = await asyncio.start_server(behave, "127.0.0.1", 0)
        async with server:
            url = warehouse.url(port=server.sockets[0].getsockname()[1])
            answer = await create(client, warehouse, source_url=url)
            assert answer.status_code == 422, answer.text
            assert answer.json()["code"] in {"source_unreachable", "source_refused"}


async def test_a_connection_that_breaks_is_no_fault_of_ours(client: httpx.AsyncClient, warehouse: Warehouse) -> None:
    kills = f"SELECT id AS account_id, pg_terminate_backend(pg_backend_pid()) AS n {CLAUSE}"
    answer = await create(client, warehouse, features_sql=kills)
    assert (answer.status_code, answer.json()["code"]) == (422, "source_unreachable"), answer.text
