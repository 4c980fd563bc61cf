"""Who may change the gate's policy over HTTP, and what a caller is told."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.living import open_app

TOKEN = "correct-horse-battery"
BAR: dict[str, Any] = {"evaluation": {"min_auc": 0.75}, "reason": "as agreed"}


@pytest.fixture
async def http(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with open_app(database_url, tmp_path, run_worker=False, admin_token=TOKEN) as client:
        yield client.http


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_the_operator_changes_the_bar_and_everybody_sees_it(http: httpx.AsyncClient) -> None:
    answer = await http.put("/gate/policy", json=BAR, headers=bearer(TOKEN) | {"X-Actor": "ann", "If-Match": '"0"'})
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert (made["actor"], made["reason"], made["evaluation"]["min_auc"]) == ("ann", "as agreed", 0.75)
    shown = await http.get("/gate/policy")
    assert shown.headers["ETag"] == answer.headers["ETag"] == f'"{made["number"]}"'
    assert shown.json()["document"] == made
    assert (await http.get("/gate/policy/versions")).json()["items"] == [made]
    late = await http.put("/gate/policy", json=BAR, headers=bearer(TOKEN) | {"If-Match": '"0"'})
    assert (late.status_code, late.json()["code"]) == (412, "stale_policy")


@pytest.mark.parametrize("headers", [{}, {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}])
async def test_without_a_token_the_caller_is_asked_for_it(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await http.put("/gate/policy", json=BAR, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", TOKEN[:-1], TOKEN.upper(), "caf\u00e9"])
async def test_a_wrong_token_changes_nothing(http: httpx.AsyncClient, token: str) -> None:
    headers = [(b"Authorization", b"Bearer " + token.encode("latin-1"))]
    answer = await http.put("/gate/policy", json=BAR, headers=headers)
    assert answer.status_code == (403 if token else 401)
    assert TOKEN not in answer.text
    assert (await http.get("/gate/policy")).json()["head"] == 0


async def test_a_reason_and_a_bar_are_needed(http: httpx.AsyncClient) -> None:
    refused: list[dict[str, Any]] = [{"evaluation": {}}, {"reason": "x"}, BAR | {"evaluation": {"min_auc": 2}}]
    for body in [*refused, BAR | {"other": 1}]:
        answer = await http.put("/gate/policy", json=body, headers=bearer(TOKEN))
        assert answer.status_code == 422, answer.text


async def test_where_no_token_is_configured_nobody_may(client: httpx.AsyncClient) -> None:
    for headers in ({}, bearer(""), bearer("None")):
        answer = await client.put("/gate/policy", json=BAR, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
        assert "HOLDFAST_ADMIN_TOKEN" in answer.json()["hint"]


async def test_a_dry_run_needs_no_token_and_is_bounded(client: httpx.AsyncClient) -> None:
    dataset = {"name": "d", "id_column": "id", "label_column": "left", "positive_value": "yes"}
    assert (await client.post("/datasets", json=dataset)).status_code == 201
    answer = await client.post("/gate/policy/dry-run", json={"evaluation": {"min_auc": 0.8}})
    assert (answer.status_code, answer.json()["versions"]) == (200, [])
    for wrong in ({}, {"evaluation": {}, "n_versions": 51}, {"evaluation": {}, "n_versions": 0}):
        assert (await client.post("/gate/policy/dry-run", json=wrong)).status_code == 422


async def test_what_can_not_be_included_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/models/latest/evaluations/latest", params={"include": "curve"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "include" in answer.json()["errors"][0]["pointer"]
