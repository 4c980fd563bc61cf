"""Who may set, change or remove the bar among a dataset's defaults over HTTP; the other defaults are everybody's."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.living import open_app
from tests.services.test_datasets import BODY

TOKEN = "correct-horse-battery"
OPERATOR = {"Authorization": f"Bearer {TOKEN}"}
STRANGER = {"Authorization": "Bearer another-token-than-that"}
BAR: dict[str, Any] = {"evaluation": {"min_auc": 0.75}}
LOW: dict[str, Any] = {"evaluation": {"min_auc": 0.5, "promotion_rule": "no_harm"}}
REFUSED = [({}, (401, "not_authenticated")), (STRANGER, (403, "not_allowed"))]


@pytest.fixture
async def http(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with open_app(database_url, tmp_path, run_worker=False, admin_token=TOKEN) as client:
        yield client.http


async def create(http: httpx.AsyncClient, headers: dict[str, str] = OPERATOR, **more: Any) -> httpx.Response:
    return await http.post("/datasets", json=BODY | more, headers=headers)


async def patch(http: httpx.AsyncClient, defaults: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
    return await http.patch("/datasets/d", json={"defaults": defaults}, headers=headers)


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def bar_of(http: httpx.AsyncClient) -> float:
    found: float = (await http.get("/gate/policy", params={"dataset": "d"})).json()["evaluation"]["min_auc"]
    return found


@pytest.mark.parametrize(("headers", "expected"), REFUSED)
@pytest.mark.parametrize("defaults", [LOW, {"evaluation": {"min_auc": 0.9}}, {"training": {"n_folds": 3}} | LOW])
async def test_a_bar_is_not_set_without_the_token(
    http: httpx.AsyncClient, defaults: dict[str, Any], headers: dict[str, str], expected: tuple[int, str]
) -> None:
    await create(http)
    answer = await patch(http, defaults, headers)
    assert told(answer) == expected
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/defaults/evaluation"]
    assert (await http.get("/datasets/d")).json()["defaults"] == {}
    assert await bar_of(http) == 0.7


@pytest.mark.parametrize(("headers", "expected"), REFUSED)
@pytest.mark.parametrize("evaluation", [{}, LOW["evaluation"], {"min_auc": 0.75, "min_recall": 0.1}])
async def test_a_bar_is_neither_changed_nor_removed_without_the_token(
    http: httpx.AsyncClient, evaluation: dict[str, Any], headers: dict[str, str], expected: tuple[int, str]
) -> None:
    assert (await create(http, defaults=BAR)).status_code == 201
    assert told(await patch(http, {"evaluation": evaluation}, headers)) == expected
    assert await bar_of(http) == 0.75


@pytest.mark.parametrize("defaults", [{"training": {"n_folds": 3}}, BAR, BAR | {"training": {"n_folds": 3}}, {}])
async def test_who_leaves_the_bar_as_it_is_needs_no_token(http: httpx.AsyncClient, defaults: dict[str, Any]) -> None:
    await create(http, defaults=BAR)
    answer = await patch(http, defaults, {})
    assert (answer.status_code, answer.json().get("defaults")) == (200, BAR | defaults)


async def test_the_operator_sets_changes_and_removes_the_bar(http: httpx.AsyncClient) -> None:
    await create(http)
    for evaluation, bar in ((BAR["evaluation"], 0.75), (LOW["evaluation"], 0.5), ({}, 0.7)):
        assert (await patch(http, {"evaluation": evaluation}, OPERATOR)).status_code == 200
        assert await bar_of(http) == bar


@pytest.mark.parametrize(("headers", "expected"), REFUSED)
async def test_a_new_dataset_brings_no_bar_without_the_token(
    http: httpx.AsyncClient, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    assert told(await create(http, headers, defaults=LOW)) == expected
    assert (await http.get("/datasets/d")).status_code == 404
    assert (await create(http, {}, defaults={"training": {"n_folds": 3}, "evaluation": {}})).status_code == 201


async def test_a_bar_is_not_removed_with_its_dataset_without_the_token(http: httpx.AsyncClient) -> None:
    await create(http, defaults=BAR)  # whoever deletes it could describe it anew, under the bar of the code
    assert told(await http.delete("/datasets/d")) == (401, "not_authenticated")
    assert await bar_of(http) == 0.75
    assert (await http.delete("/datasets/d", headers=OPERATOR)).status_code == 204


async def test_where_no_token_is_configured_nobody_sets_a_bar(client: httpx.AsyncClient) -> None:
    assert told(await create(client, defaults=LOW)) == (403, "not_allowed")
    assert (await create(client, {})).status_code == 201
    answer = await patch(client, LOW, {})
    assert told(answer) == (403, "not_allowed")
    assert "holdfast policy set" in answer.json()["hint"]


async def test_a_bar_that_no_model_could_pass_is_refused_as_it_is_set(http: httpx.AsyncClient) -> None:
    await create(http)
    crossed = {"evaluation": {"min_calibration_slope": 2}}  # above the greatest slope of the code
    for answer in (await create(http, name="f", defaults=crossed), await patch(http, crossed, OPERATOR)):
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/defaults/evaluation")
    assert (await http.get("/datasets/d")).json()["defaults"] == {}
