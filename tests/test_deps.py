"""What every endpoint asks of a request, on all of them."""

import re
from typing import Any

import httpx
import pytest

from app.main import create_app

FOR_MACHINES = {"/healthz", "/readyz", "/metrics"}  # probes and scrapers add parameters of their own
OPERATIONS = [
    (method.upper(), path, operation)
    for path, item in create_app().openapi()["paths"].items()
    for method, operation in item.items()
]
ASKED = [pytest.param(*each, id=f"{each[0]} {each[1]}") for each in OPERATIONS if each[1] not in FOR_MACHINES]


@pytest.mark.parametrize(("method", "path", "operation"), ASKED)
async def test_a_query_parameter_that_is_not_there_is_refused(
    client: httpx.AsyncClient, method: str, path: str, operation: dict[str, Any]
) -> None:
    answer = await client.request(method, re.sub(r"\{\w+\}", "1", path), params={"nonsense": "1"})
    assert answer.status_code == 422, answer.text
    assert [each["pointer"] for each in answer.json()["errors"]] == ["query/nonsense"]
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query":
            assert parameter["name"] in answer.json()["detail"]


async def test_what_is_there_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.get("/datasets", params={"format": "csv", "limit": 2})
    assert answer.json()["detail"] == "There is no query parameter format here; there are: cursor, limit."
    alone = await client.get("/score/batches/1", params={"limit": 2})
    assert alone.json()["detail"] == "There is no query parameter limit here; there is none."


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/docs", "/redoc", "/openapi.json"])
async def test_probes_and_pages_take_anything(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path, params={"verbose": "1"})).status_code == 200
