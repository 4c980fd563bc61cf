"""Batch scoring with exact reasons, against the least that any scoring must do.

The yardstick, measured in the same run: read the rows by COPY, encode, predict with the bare booster, write account
and probability by COPY. Run: python -m benchmarks.score [accounts], with DATABASE_URL, or on a private PostgreSQL.
"""

import asyncio
import io
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from sqlalchemy import text

from app.container import Services, open_services, open_store
from app.db import copy_in
from app.ml.frame import Frame
from app.ml.trainer import FittedModel, train
from app.sample import make_sample
from app.schemas.config import ModelConfig, TrainingConfig
from app.schemas.datasets import SnapshotsIn
from app.schemas.scoring import BatchIn
from app.services.part_tables import stored_columns
from app.services.revisions import get_revision
from app.settings import Settings
from app.tables import Dataset, Revision
from tests.services.scoring_world import World

N_ACCOUNTS = 200_000
N_TRAINED_ON = 20_000
PIECE = 1 << 16


async def stream(table: pa.Table) -> AsyncIterator[bytes]:
    sink = io.BytesIO()
    pa_csv.write_csv(table.drop_columns(["as_of"]), sink)
    sink.seek(0)
    while piece := sink.read(PIECE):
        yield piece


async def load(services: Services, n_accounts: int) -> tuple[Dataset, Revision]:
    """The sample as an undated dataset."""
    name = f"score-{time.time_ns()}"
    body = SnapshotsIn(name=name, id_column="account_id", label_column="churned", positive_value="true")
    await services.datasets.create(body, actor="benchmark")
    snapshots = make_sample(n_accounts).snapshots
    await services.uploads.replace(name, stream(snapshots), media_type="text/csv", actor="benchmark")
    async with services.sessions() as session:
        dataset = await services.datasets.resolve(session, name)
        return dataset, await get_revision(session, dataset)


async def fit(services: Services, dataset: Dataset, revision: Revision) -> FittedModel:
    """XGBoost with its defaults, on the labelled ones of the first accounts."""
    chunks = (await services.frames.open(dataset, revision)).active_chunks(chunk_size=N_TRAINED_ON)
    frame = await anext(chunks)
    features = tuple(each.feature for each in stored_columns(revision) if each.excluded is None)
    rng = np.random.default_rng(1)
    labelled = Frame(frame.accounts, frame.features, (rng.random(len(frame)) < _leaving(frame)).astype(np.float64))
    sides = rng.choice(["train", "validation", "test"], len(frame), p=[0.6, 0.2, 0.2])
    everything = np.ones(len(frame), dtype=bool)
    training = TrainingConfig(shap=False)
    result = train(
        labelled, sides, features, ModelConfig(), training, profile_rows=everything, progress=_quiet, n_threads=2
    )
    return result.primary


def _leaving(frame: Frame) -> np.ndarray:
    """Any risk that takes trees of some depth to learn."""
    tenure = np.array(frame.features["tenure_months"].to_numpy(), dtype=np.float64)
    logins = np.array(frame.features["logins_30d"].to_numpy(), dtype=np.float64)
    return np.asarray(1 / (1 + np.exp(0.03 * tenure + 0.4 * np.log1p(logins) * (tenure > 12))))


def _quiet(step: str, share: float) -> None:
    """Nobody looks."""


async def bare(services: Services, dataset: Dataset, revision: Revision, fitted: FittedModel) -> tuple[int, float]:
    """The yardstick: rows and seconds."""
    scorer = await services.bundles.load_bytes(fitted.bundle.sha256)
    async with services.sessions.begin() as session:
        await session.execute(text("DROP TABLE IF EXISTS data.bare"))
        await session.execute(text("CREATE TABLE data.bare (account_id text, churn_probability float8)"))
    began, n = time.perf_counter(), 0
    async for frame in (await services.frames.open(dataset, revision)).active_chunks(chunk_size=100_000):
        p = await asyncio.to_thread(scorer.score, frame.features)
        rows = pa.table({"account_id": frame.accounts, "churn_probability": pa.array(p)})
        async with services.sessions.begin() as session:
            n += await copy_in(await session.connection(), rows, "bare", schema="data")
    return n, time.perf_counter() - began


async def whole(services: Services, world: World, dataset: Dataset, version: int) -> tuple[int, float]:
    """A batch as a worker does it: rows and seconds."""
    body = BatchIn.model_validate({"dataset": dataset.name, "version": str(version)})
    job = await services.scoring.submit(body, actor="benchmark")
    context = await world.begin(job.id)
    began = time.perf_counter()
    result = await services.scoring.run(context)
    await world.end(job.id, result)
    return int(result["n_accounts_scored"]), time.perf_counter() - began


async def measure(n_accounts: int) -> None:
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        settings = Settings(home=Path(home) / "home")
        async with open_store(settings) as url, open_services(settings, url) as services:
            dataset, revision = await load(services, n_accounts)
            fitted = await fit(services, dataset, revision)
            world = World(services.engine, services.sessions)
            version = await world.add_version(dataset, revision, fitted)
            before = _peak_mb()
            n, least = await bare(services, dataset, revision, fitted)
            print(f"{n:,} active accounts, {len(fitted.feature_names)} features, {fitted.n_rounds} rounds")
            print(f"least:  {least:6.1f} s, {n / least:8,.0f} rows/s")
            n, seconds = await whole(services, world, dataset, version)
            print(f"batch:  {seconds:6.1f} s, {n / seconds:8,.0f} rows/s, {seconds / least:.1f} times the least")
            print(f"peak memory {_peak_mb():.0f} MB, {before:.0f} MB before")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else N_ACCOUNTS))


if __name__ == "__main__":
    main()
