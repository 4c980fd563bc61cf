"""Tables and views of the database as a source of rows."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.container import Services
from app.errors import UnreadableFile
from app.services.part_tables import revision_columns
from app.tables import Revision

BODY: dict[str, Any] = {"name": "d", "id_column": "Id", "label_column": "left", "positive_value": "true"}
TABLE = """
CREATE SCHEMA mart;
CREATE TYPE mart.size AS ENUM ('s', 'l');
CREATE TABLE mart.accounts (
    "Id" bigint, seats int, fee numeric(8,2), score real, plan text, code varchar(5), size mart.size, pays boolean,
    since date, tags text[], "left" boolean, "quo""ted" text
);
INSERT INTO mart.accounts VALUES
    (1, 3, 9.90, 'NaN', ' a ', '01', 's', true, '2024-01-01', '{}', true, 'x'),
    (2, NULL, 10, 'Infinity', '', '02', 'l', false, NULL, NULL, false, 'y, "z"'),
    (3, 5, NULL, 1.5, 'b
c', '03', NULL, NULL, NULL, NULL, NULL, NULL);
CREATE VIEW mart.seen AS SELECT * FROM mart.accounts;
"""


@pytest.fixture
async def _mart(services: Services) -> None:
    await run(services, *TABLE.split(";\n")[:-1])


async def run(services: Services, *statements: str) -> None:
    async with services.sessions.begin() as session:
        for statement in statements:
            await session.execute(text(statement))


async def create(client: httpx.AsyncClient, **more: Any) -> httpx.Response:
    return await client.post("/datasets", json=BODY | {"source_table": "mart.seen"} | more)


async def copy(services: Services) -> Revision:
    async with services.sessions() as session:
        dataset = await services.datasets.resolve(session, None)
    return await services.datasets.fix_revision(dataset.id)


@pytest.mark.usefixtures("_mart")
async def test_a_view_is_copied_with_the_types_it_has(client: httpx.AsyncClient, services: Services) -> None:
    assert (await create(client)).status_code == 201
    revision = await copy(services)
    assert (revision.number, revision.n_rows, revision.n_labelled, revision.n_churned) == (1, 3, 2, 1)
    kinds = {each.name: each.kind.value for each in revision_columns(revision) if each.column}
    assert kinds == dict.fromkeys(("seats", "fee", "score"), "numeric") | {"pays": "boolean"} | dict.fromkeys(
        ("plan", "code", "size", 'quo"ted'), "categorical"
    )
    async with services.sessions() as session:
        dataset = await services.datasets.resolve(session, None)
    frame = await (await services.frames.open(dataset, revision)).newest(["1", "2", "3"])
    assert frame.features.select(["seats", "score", "plan", "code", "pays", 'quo"ted']).to_pylist() == [
        {"seats": 3, "score": None, "plan": "a", "code": "01", "pays": True, 'quo"ted': "x"},
        {"seats": None, "score": float("inf"), "plan": None, "code": "02", "pays": False, 'quo"ted': 'y, "z"'},
        {"seats": 5, "score": 1.5, "plan": "b\nc", "code": "03", "pays": None, 'quo"ted': None},
    ]


@pytest.mark.usefixtures("_mart")
async def test_a_copy_is_a_revision_only_where_it_differs(client: httpx.AsyncClient, services: Services) -> None:
    await create(client)
    first, same = await copy(services), await copy(services)
    assert (first.number, same.number, same.id) == (1, 1, first.id)
    await run(services, 'UPDATE mart.accounts SET seats = 4 WHERE "Id" = 1')
    assert (await copy(services)).number == 2
    async with services.sessions() as session:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'data'"
        assert (await session.execute(text(tables))).scalar_one() == 2


@pytest.mark.usefixtures("_mart")
async def test_a_copy_that_can_not_be_leaves_nothing(client: httpx.AsyncClient, services: Services) -> None:
    await create(client)
    await run(services, "INSERT INTO mart.accounts SELECT * FROM mart.accounts LIMIT 1")
    with pytest.raises(UnreadableFile, match="an account twice"):
        await copy(services)
    await run(services, "DELETE FROM mart.accounts")
    with pytest.raises(UnreadableFile, match="no rows"):
        await copy(services)
    async with services.sessions() as session:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'data'"
        assert (await session.execute(text(tables))).scalar_one() == 0


@pytest.mark.usefixtures("_mart")
async def test_a_view_that_writes_is_stopped(client: httpx.AsyncClient, services: Services) -> None:
    await run(
        services,
        "CREATE FUNCTION mart.wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM datasets; SELECT 1'",
        'CREATE VIEW mart.bad AS SELECT "Id", "left", mart.wipe() AS n FROM mart.accounts',
    )
    await create(client, source_table="mart.bad")
    with pytest.raises(Exception, match="read-only"):
        await copy(services)
    assert (await client.get("/datasets/d")).status_code == 200


@pytest.mark.usefixtures("_mart")
@pytest.mark.parametrize(
    "source",
    ["public.predictions", "public.jobs", "public.current_scores", "public.pgqueuer", "public.alembic_version",
     "data.part_1", "mlflow.runs", "pg_catalog.pg_authid", "information_schema.tables", "mart.none", "none.accounts"],
)  # fmt: skip
async def test_only_tables_of_the_user_are_sources(client: httpx.AsyncClient, source: str) -> None:
    answer = await create(client, source_table=source)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/source_table"


@pytest.mark.usefixtures("_mart")
@pytest.mark.parametrize(("field", "name"), [("id_column", "id"), ("label_column", "x"), ("as_of_column", "plan")])
async def test_the_columns_must_be_there(client: httpx.AsyncClient, field: str, name: str) -> None:
    answer = await create(client, **{field: name})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == f"/{field}"


@pytest.mark.usefixtures("_mart")
async def test_rows_can_not_be_sent_to_a_table(client: httpx.AsyncClient) -> None:
    await create(client)
    answer = await client.put("/datasets/d/rows", content="Id,left\n1,true\n")
    assert (answer.status_code, answer.json()["code"]) == (409, "rows_come_from_table")
