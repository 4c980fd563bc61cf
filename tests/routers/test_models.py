"""The history and a comparison as tables for spreadsheets."""

import csv
import io
import json

import httpx
from sqlalchemy import select

from app.container import Services
from app.tables import TrainedModel, Version
from tests.registry_rows import add_dataset, add_version, report


async def table(client: httpx.AsyncClient, path: str) -> list[dict[str, str]]:
    answer = await client.get(path, params={"format": "csv"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


async def test_a_comparison_as_csv_says_what_it_says_as_json(client: httpx.AsyncClient, services: Services) -> None:
    async with services.sessions.begin() as session:
        dataset = await add_dataset(session)
        numbers = [await add_version(session, dataset) for _ in range(2)]
        query = select(TrainedModel).join(Version, Version.trained_model_id == TrainedModel.id)
        trained = (await session.scalars(query.where(Version.version == numbers[1]))).one()
        trained.report = report(
            parameters={"max_depth": 3}, features=[{"name": "plan", "kind": "numeric", "used": True}]
        )
    path = f"/models/{numbers[0]}/compare/{numbers[1]}"
    rows = await table(client, path)
    said = (await client.get(path)).json()
    by_name = {(row["part"], row["name"]): row for row in rows}
    assert len(by_name) == len(rows)
    assert by_name["parameter", "max_depth"] | {"a": "6", "b": "3"} == by_name["parameter", "max_depth"]
    assert [by_name["feature", name][side] for name, side in (("tenure", "a"), ("plan", "a"))] == ["True", "False"]
    metrics = {row["name"]: float(row["a"]) for row in rows if row["part"] == "metric"}
    assert metrics == {row["name"]: row["a"] for row in said["metrics"]}
    assert said["paired"] is None
    assert not [row for row in rows if row["part"] == "paired metric"]


async def test_the_history_as_csv_has_a_line_a_version(client: httpx.AsyncClient, services: Services) -> None:
    async with services.sessions.begin() as session:
        dataset = await add_dataset(session)
        for _ in range(2):
            await add_version(session, dataset)
    body = {"stage": "Production", "force": True, "reason": "first"}
    assert (await client.post("/models/1/promote", json=body)).status_code == 200
    rows = await table(client, "/models")
    assert [row["version"] for row in rows] == ["2", "1"]
    [reign] = json.loads(rows[1]["stages"])
    assert (reign["stage"], reign["until"], reign["reason"]) == ("Production", None, "first")
