"""A training whose worker is killed, twice, at the worst moments: in the end everything exists exactly once."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest
from sqlalchemy import text

from app.container import Services, open_services
from app.sample import make_sample, write_csv
from app.schemas.datasets import SnapshotsIn
from app.schemas.training import TrainIn
from app.worker import running_worker
from tests.working import ROOT, execute, family, make_settings, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WORKER = """
import asyncio
from app.settings import Settings
from app.worker import run_worker
asyncio.run(run_worker(Settings(), warm=("app.child",)))
"""
PATIENCE_SECONDS = 120
COUNTS = """
SELECT (SELECT count(*) FROM trainings), (SELECT count(*) FROM trained_models), (SELECT count(*) FROM versions),
       (SELECT last_value FROM version_numbers), (SELECT count(*) FROM mlflow.runs),
       (SELECT count(*) FROM mlflow.model_versions)
"""


@pytest.fixture
async def services(database_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    settings = make_settings(database_url, home=tmp_path)
    async with open_services(settings, database_url) as services:
        await _add_sample(services, tmp_path / "sample.csv")
        yield services


async def _add_sample(services: Services, path: Path) -> None:
    write_csv(make_sample(2000).snapshots, path)
    description = {"name": "customers", "id_column": "account_id", "label_column": "churned", "positive_value": "true"}
    body = SnapshotsIn.model_validate(description | {"as_of_column": "as_of", "horizon_days": 60})
    await services.datasets.create(body, actor="tester")

    async def stream() -> AsyncIterator[bytes]:
        yield path.read_bytes()

    await services.uploads.replace("customers", stream(), media_type="text/csv", actor="tester")


@contextmanager
def worker_process(services: Services) -> Iterator[psutil.Process]:
    environment = os.environ | {
        "DATABASE_URL": services.database_url,
        "HOLDFAST_HOME": str(services.settings.home),
        "HOLDFAST_HEARTBEAT_TIMEOUT_SECONDS": str(services.settings.heartbeat_timeout_seconds),
        "HOLDFAST_LOG_LEVEL": "ERROR",
    }
    with subprocess.Popen([sys.executable, "-c", WORKER], env=environment, cwd=ROOT) as process:
        worker = psutil.Process(process.pid)
        try:
            yield worker
        finally:
            for one in family(worker):
                with suppress(psutil.NoSuchProcess):
                    one.kill()


async def test_a_killed_training_leaves_one_run_and_one_version(services: Services) -> None:
    body = {"register": True, "training": {"shap": False}}
    job_id = (await services.training.submit(TrainIn.model_validate(body), actor="tester")).id

    async def fits() -> bool:
        return (await services.jobs.get(job_id)).step == "fit model"

    async def tracked() -> bool:
        [[exists]] = await execute(services, "SELECT to_regclass('mlflow.runs') IS NOT NULL")
        query = "SELECT count(*) FROM mlflow.runs WHERE status = 'FINISHED'"
        return bool(exists) and (await execute(services, query))[0][0] == 1

    with worker_process(services) as worker:
        await until(fits, within_seconds=PATIENCE_SECONDS)
        worker.kill()
    async with services.engine.begin() as held:  # nobody can store a training meanwhile
        await held.execute(text("LOCK TABLE trainings IN EXCLUSIVE MODE"))
        with worker_process(services) as worker:
            await until(tracked, within_seconds=PATIENCE_SECONDS)
            worker.kill()
    async with running_worker(services.settings, services.database_url):
        job = await services.jobs.get(job_id, wait_seconds=PATIENCE_SECONDS)
    assert (job.status, job.attempt) == ("succeeded", 3), job.problem
    assert await execute(services, COUNTS) == [(1, 2, 1, 1, 1, 1)]
    assert job.result is not None
    assert services.registry.find_runs(job_id) == [job.result["mlflow_run"]]
