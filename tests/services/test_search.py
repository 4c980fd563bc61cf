"""A search as part of a training: killed at the worst moments, refused where it can't be, told of in the result."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.container import Services
from app.errors import InvalidRequest
from app.schemas.training import TrainIn
from app.worker import running_worker
from tests.services.test_training_killed import PATIENCE_SECONDS, services, worker_process
from tests.working import execute, until

__all__ = ["services"]  # a fixture

N_TRIALS = 8
QUICK = {"model_type": "lightgbm", "lightgbm_params": {"n_estimators": 20}}
SPACE = {"learning_rate": {"low": 0.01, "high": 0.3, "log": True}, "max_depth": {"low": 1, "high": 6}}
SEARCH = {"n_trials": N_TRIALS, "space": SPACE}
TRIALS = "SELECT number, params::text, state, log_loss, fold_losses::text, n_rounds FROM search_trials WHERE job_id = "
CHILDREN = """
SELECT count(*), count(DISTINCT number.value), count(*) FILTER (WHERE status IN ('FINISHED', 'KILLED')),
       count(*) FILTER (WHERE best.value = 'true')
FROM mlflow.runs
JOIN mlflow.tags AS number ON number.run_uuid = runs.run_uuid AND number.key = 'holdfast_trial'
JOIN mlflow.tags AS best ON best.run_uuid = runs.run_uuid AND best.key = 'holdfast_best'
JOIN mlflow.tags AS parent ON parent.run_uuid = runs.run_uuid AND parent.key = 'mlflow.parentRunId'
JOIN mlflow.tags AS job ON job.run_uuid = parent.value AND job.key = 'holdfast_job'
WHERE job.value = """


async def submit(services: Services, search: dict[str, Any], **more: Any) -> int:
    body = {"model": QUICK, "training": {"shap": False, "search": search}, **more}
    return (await services.training.submit(TrainIn.model_validate(body), actor="tester")).id


async def finish(services: Services, job_id: int) -> dict[str, Any]:
    job = await services.jobs.get(job_id, wait_seconds=PATIENCE_SECONDS)
    assert job.status == "succeeded", job.problem
    assert job.result is not None
    return job.result | {"attempt": job.attempt}


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_search_killed_twice_ends_as_one_that_was_not(services: Services) -> None:
    """Killed in mid-search, and again when MLflow knows of everything and the store of nothing."""
    job_id = await submit(services, SEARCH, register=True)

    async def searches() -> bool:
        return len(await execute(services, TRIALS + str(job_id))) >= 4

    async def tracked() -> bool:
        [[exists]] = await execute(services, "SELECT to_regclass('mlflow.runs') IS NOT NULL")
        query = f"SELECT count(*) FROM mlflow.runs WHERE status = 'FINISHED' AND name = 'lightgbm-{job_id}'"
        return bool(exists) and (await execute(services, query))[0][0] == 1

    with worker_process(services) as worker:
        await until(searches, within_seconds=PATIENCE_SECONDS)
        worker.kill()
    before = await execute(services, f"{TRIALS}{job_id} ORDER BY number")
    assert 4 <= len(before) < N_TRIALS
    async with services.engine.begin() as held:  # nobody can store a training meanwhile
        await held.execute(text("LOCK TABLE trainings IN EXCLUSIVE MODE"))
        with worker_process(services) as worker:
            await until(tracked, within_seconds=PATIENCE_SECONDS)
            worker.kill()
    async with running_worker(services.settings, services.database_url):
        killed = await finish(services, job_id)
        other_id = await submit(services, SEARCH)
        unharmed = await finish(services, other_id)
    assert (killed["attempt"], unharmed["attempt"]) == (3, 1)
    trials = await execute(services, f"{TRIALS}{job_id} ORDER BY number")
    assert [row[0] for row in trials] == list(range(N_TRIALS))
    assert trials[: len(before)] == before
    assert trials == await execute(services, f"{TRIALS}{other_id} ORDER BY number")
    assert killed["primary"]["bundle_sha256"] == unharmed["primary"]["bundle_sha256"]
    for each in (job_id, other_id):
        assert await execute(services, f"{CHILDREN}'{each}'") == [(N_TRIALS, N_TRIALS, N_TRIALS, 1)]
    assert services.registry.find_runs(job_id) == [killed["mlflow_run"]]
    assert await execute(services, "SELECT count(*) FROM trainings") == [(2,)]


@pytest.mark.slow
async def test_the_result_tells_of_the_search_and_the_recipe_is_the_space(services: Services) -> None:
    async with running_worker(services.settings, services.database_url):
        found = await finish(services, await submit(services, SEARCH, register=True))
        again = await finish(services, await submit(services, SEARCH, model=QUICK | {"seed": 5}))
        smaller = {"n_trials": 2, "space": {"max_depth": SPACE["max_depth"]}}
        other = await finish(services, await submit(services, smaller))
    told = found["search"]
    assert told["n_trials"] == told["n_complete"] + told["n_pruned"] + told["n_failed"] == N_TRIALS
    assert told["best_log_loss"] <= told["log_loss_as_asked"]
    assert told["params_as_asked"] == {"learning_rate": 0.1, "max_depth": 6}
    assert told["best_params"].items() <= found["primary"]["parameters"].items()
    assert found["config"]["training"]["search"]["n_trials"] == N_TRIALS
    assert found["primary"]["parameters"] != again["primary"]["parameters"]
    assert (await services.models.get("1", None)).search == told
    hashes = {}
    for result in (found, again, other):
        query = f"SELECT role, recipe_hash FROM trained_models WHERE training_id = {result['training_id']}"
        hashes[result["job_id"]] = dict(await execute(services, query))
    of_found, of_again, of_other = hashes.values()
    assert of_found == of_again
    assert of_found["primary"] != of_other["primary"]
    assert of_found["baseline"] == of_other["baseline"]


@pytest.mark.slow
async def test_a_search_can_be_cancelled(services: Services) -> None:
    job_id = await submit(services, {"n_trials": 1000})

    async def searches() -> bool:
        step = (await services.jobs.get(job_id)).step or ""
        return step.startswith("search: trial ") and " of 1000, best log-loss 0." in step

    async with running_worker(services.settings, services.database_url):
        await until(searches, within_seconds=PATIENCE_SECONDS)
        await services.jobs.cancel(job_id)
        job = await services.jobs.get(job_id, wait_seconds=PATIENCE_SECONDS)
    assert job.status == "cancelled"
    assert 0.1 <= job.progress < 0.6


@pytest.mark.parametrize(
    ("model", "space", "pointer"),
    [
        ({}, {"max_depth": {"low": 2, "high": 99}}, "/training/search/space/max_depth/high"),
        ({}, {"num_leaves": {"low": 2, "high": 9}}, "/training/search/space/num_leaves/low"),
        ({"model_type": "logistic"}, {"C": {"choices": [1, -1]}}, "/training/search/space/C/choices/1"),
    ],
)
async def test_what_cannot_be_searched_is_refused_before_a_job_is_made(
    services: Services, model: dict[str, Any], space: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await submit(services, {"n_trials": 5, "space": space}, model=model)
    assert [error.pointer for error in refused.value.errors] == [pointer]
    assert await execute(services, "SELECT count(*) FROM jobs") == [(0,)]


async def test_a_default_of_the_dataset_is_searched_and_can_be_switched_off(services: Services) -> None:
    defaults = '{"training": {"search": {"n_trials": 7}}}'
    await execute(services, f"UPDATE datasets SET defaults = '{defaults}'")
    for training, expected in (({}, 7), ({"search": {"n_trials": 9}}, 9), ({"search": None}, None)):
        body = TrainIn.model_validate({"training": training})
        job = await services.training.submit(body, actor="tester")
        search = job.params["training"]["search"]
        assert (search and search["n_trials"]) == expected


@pytest.mark.parametrize(
    ("search", "pointer"),
    [
        ({}, "/training/search"),
        ({"n_trials": 5000}, "/training/search/n_trials"),
        ({"n_trials": 5, "space": {"a/b": {"choices": [1]}}}, "/training/search/space/a~1b"),
        ({"n_trials": 5, "space": {"C": {"low": 2, "high": 1}}}, "/training/search/space/C"),
        ({"n_trials": 5, "space": {"C": {"choices": [1, True]}}}, "/training/search/space/C/choices/1"),
    ],
)
async def test_a_search_that_cannot_be_is_refused_over_http(
    client: httpx.AsyncClient, search: dict[str, Any], pointer: str
) -> None:
    body = json.dumps({"training": {"search": search}})
    answer = await client.post("/train", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
