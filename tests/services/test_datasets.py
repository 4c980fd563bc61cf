"""Describing datasets over real requests, finding them, and their defaults."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.container import Services
from app.errors import InvalidRequest, NoRows, NotFound
from app.schemas.datasets import SnapshotsIn
from app.services.revisions import get_revision
from tests.services.test_uploads import ROWS, send

BODY: dict[str, Any] = {"name": "d", "id_column": "id", "label_column": "left", "positive_value": "yes"}
SEEDS: list[dict[str, int]] = [{}, {}, {"split_seed": 7}]


async def create(client: httpx.AsyncClient, **more: Any) -> httpx.Response:
    return await client.post("/datasets", json=BODY | more)


async def create_at_the_store(services: Services, **more: Any) -> None:
    """As the operator does it, who may bring a bar of the gate."""
    await services.datasets.create(SnapshotsIn.model_validate(BODY | more), actor="operator")


async def test_a_dataset_is_shown_as_it_was_described(client: httpx.AsyncClient) -> None:
    more = {"as_of_column": "day", "horizon_days": 60, "exclude_columns": ["x"], "split_seed": 3}
    made = await create(client, **more, defaults={"training": {"n_folds": 4}})
    assert made.status_code == 201, made.text
    shown = (await client.get("/datasets/d")).json()
    assert shown | BODY | more == shown
    assert (shown["lead_days"], shown["defaults"]) == (0, {"training": {"n_folds": 4}})
    assert (shown["revision"], shown["revisions"]) == (None, [])


async def test_a_name_is_taken_once(client: httpx.AsyncClient) -> None:
    await create(client)
    again = await create(client)
    assert (again.status_code, again.json()["code"]) == (409, "dataset_exists")


async def test_the_same_accounts_are_dealt_alike_unless_a_seed_is_given(client: httpx.AsyncClient) -> None:
    seeds = [(await create(client, name=f"d{i}", **more)).json()["split_seed"] for i, more in enumerate(SEEDS)]
    assert seeds[0] == seeds[1] != seeds[2]


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"name": "No Spaces"}, "/name"),
        ({"name": "\u0000"}, ""),
        ({"id_column": ""}, "/id_column"),
        ({"label_column": "id"}, ""),
        ({"exclude_columns": ["left"]}, ""),
        ({"horizon_days": 0}, "/horizon_days"),
        ({"horizon_days": True}, "/horizon_days"),
        ({"lead_days": -1}, "/lead_days"),
        ({"split_seed": 2**31}, "/split_seed"),
        ({"defaults": {"training": {"n_folds": 1}}}, "/defaults/training/n_folds"),
        ({"defaults": {"trainings": {}}}, "/defaults/trainings"),
        ({"more": 1}, "/more"),
        ({"source_table": "no_schema"}, "/source_table"),
    ],
)
async def test_what_can_not_be_is_pointed_at(client: httpx.AsyncClient, more: dict[str, Any], pointer: str) -> None:
    answer = await create(client, **more)
    assert answer.status_code == 422, answer.text
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


async def test_datasets_are_listed_in_pages(client: httpx.AsyncClient) -> None:
    for name in ("c", "a", "b"):
        await create(client, name=name)
    first = (await client.get("/datasets", params={"limit": 2})).json()
    assert [each["name"] for each in first["items"]] == ["a", "b"]
    second = (await client.get("/datasets", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert ([each["name"] for each in second["items"]], second["next_cursor"]) == (["c"], None)


async def test_revisions_are_listed_in_pages(client: httpx.AsyncClient) -> None:
    await create(client)
    for _ in range(3):
        await send(client, ROWS)
    first = (await client.get("/datasets/d/revisions", params={"limit": 2})).json()
    assert [each["number"] for each in first["items"]] == [3, 2]
    assert first["items"][0]["churn_rate"] == 0.5
    second = (await client.get("/datasets/d/revisions", params={"cursor": first["next_cursor"]})).json()
    assert [each["number"] for each in second["items"]] == [1]


async def test_sections_of_defaults_are_replaced_one_by_one(client: httpx.AsyncClient, services: Services) -> None:
    await create_at_the_store(
        services, defaults={"training": {"n_folds": 4, "shap": False}, "evaluation": {"min_auc": 0.6}}
    )
    body = {"defaults": {"training": {"n_folds": 3}, "scoring": {"tiers": {"kind": "relative"}}}}
    answer = await client.patch("/datasets/d", json=body)
    expected = {"training": {"n_folds": 3}, "evaluation": {"min_auc": 0.6}, "scoring": {"tiers": {"kind": "relative"}}}
    assert answer.json()["defaults"] == expected
    cleared = await client.patch("/datasets/d", json={"defaults": {"training": {}}})
    assert cleared.json()["defaults"] == {key: expected[key] for key in ("evaluation", "scoring")}
    assert (await client.get("/datasets/d")).json()["defaults"] == cleared.json()["defaults"]


async def test_a_wrong_default_is_pointed_at_and_changes_nothing(client: httpx.AsyncClient, services: Services) -> None:
    await create_at_the_store(services, defaults={"evaluation": {"min_auc": 0.6}})
    answer = await client.patch("/datasets/d", json={"defaults": {"evaluation": {"min_auc": 2}}})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/defaults/evaluation/min_auc")
    assert (await client.get("/datasets/d")).json()["defaults"] == {"evaluation": {"min_auc": 0.6}}


@pytest.mark.parametrize(
    ("defaults", "pointer"),
    [
        ({"model": {"xgboost_params": {"depth": 3}}}, "/defaults/model/xgboost_params/depth"),
        ({"monitoring": {"psi_critical": 0.05}}, "/defaults/monitoring"),  # below the warning limit of the code
        (
            {"training": {"search": {"n_trials": 5, "space": {"num_leaves": {"low": 2, "high": 9}}}}},
            "/defaults/training/search/space/num_leaves/low",  # of LightGBM; the model is XGBoost
        ),
        (
            {"model": {"model_type": "auto"}, "training": {"search": {"n_trials": 5}}},
            "/defaults/training/search",
        ),
    ],
)
async def test_defaults_that_would_refuse_every_request_are_refused(
    client: httpx.AsyncClient, defaults: dict[str, Any], pointer: str
) -> None:
    await create(client)
    made = await create(client, name="f", defaults=defaults)
    patched = await client.patch("/datasets/d", json={"defaults": defaults})
    for answer in (made, patched):
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await client.get("/datasets/d")).json()["defaults"] == {}


async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    for method, path in (("GET", "/datasets/x"), ("PATCH", "/datasets/x"), ("GET", "/datasets/x/revisions")):
        answer = await client.request(method, path, json={"defaults": {}} if method == "PATCH" else None)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_the_only_dataset_needs_no_name(client: httpx.AsyncClient, services: Services) -> None:
    async with services.sessions() as session:
        with pytest.raises(NotFound, match="no dataset yet"):
            await services.datasets.resolve(session, None)
        await create(client, name="one")
        assert (await services.datasets.resolve(session, None)).name == "one"
        await create(client, name="two")
        with pytest.raises(InvalidRequest, match="one, two"):
            await services.datasets.resolve(session, None)
        assert (await services.datasets.resolve(session, "two")).name == "two"


async def test_a_revision_is_found_by_number(client: httpx.AsyncClient, services: Services) -> None:
    await create(client)
    async with services.sessions() as session:
        dataset = await services.datasets.resolve(session, None)
        with pytest.raises(NoRows):
            await get_revision(session, dataset)
        await send(client, ROWS)
        await send(client, ROWS)
        assert (await get_revision(session, dataset)).number == 2
        assert (await get_revision(session, dataset, 1)).number == 1
        with pytest.raises(NotFound, match="no revision 3"):
            await get_revision(session, dataset, 3)
    assert (await services.datasets.fix_revision(dataset.id)).number == 2


async def test_a_description_without_rows_can_be_replaced(client: httpx.AsyncClient) -> None:
    await create(client, positive_value="Yes")
    refused = await send(client, ROWS)
    assert "'Yes' does not occur in column left" in refused["detail"]
    assert "DELETE /datasets/d" in refused["hint"]
    deleted = await client.delete("/datasets/d")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (await client.get("/datasets/d")).status_code == 404
    await create(client)
    assert (await send(client, ROWS))["status"] == 201


async def test_a_dataset_with_rows_is_not_deleted(client: httpx.AsyncClient) -> None:
    await create(client)
    await send(client, ROWS)
    answer = await client.delete("/datasets/d")
    assert (answer.status_code, answer.json()["code"]) == (409, "dataset_in_use")
    assert (await client.get("/datasets/d")).json()["revision"]["number"] == 1


async def test_a_dataset_that_is_not_there_is_not_deleted(client: httpx.AsyncClient) -> None:
    assert (await client.delete("/datasets/d")).status_code == 404


async def test_jobs_that_ended_outlive_their_dataset_and_others_keep_it(
    client: httpx.AsyncClient, services: Services
) -> None:
    await create(client)
    async with services.sessions() as session:
        dataset = await services.datasets.resolve(session, "d")
    job = await services.jobs.submit("train", {}, dataset_id=dataset.id, actor="test")
    assert (await client.delete("/datasets/d")).json()["code"] == "dataset_in_use"
    await services.jobs.cancel(job.id)
    assert (await client.delete("/datasets/d")).status_code == 204
    assert (await services.jobs.get(job.id)).dataset is None


async def test_rows_on_their_way_to_a_dataset_that_is_deleted_are_refused(
    client: httpx.AsyncClient, services: Services
) -> None:
    await create(client)

    async def stream() -> AsyncIterator[bytes]:
        yield ROWS.encode()
        await services.datasets.delete("d")

    with pytest.raises(NotFound):
        await services.uploads.replace("d", stream(), media_type="text/csv", actor="test")
