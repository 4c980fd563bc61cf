"""A store with datasets, versions and published runs, put there row by row for the tests of scoring and monitoring."""

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import Sessions, copy_in, make_engine, make_sessions
from app.ml.frame import Feature, FeatureKind, Frame
from app.ml.trainer import FittedModel, train
from app.schemas.config import ModelConfig, ProbabilityTiers, ScoringConfig, TrainingConfig
from app.schemas.monitoring import MonitorIn, MonitorOut
from app.schemas.scoring import BatchIn
from app.services.bundles import Bundles
from app.services.champions import Champions
from app.services.datasets import Datasets
from app.services.frames import Frames
from app.services.jobs import JobContext, Jobs
from app.services.models import Models
from app.services.monitoring import Monitoring
from app.services.online import Online
from app.services.outcomes import Outcomes
from app.services.revisions import get_revision
from app.services.run_tables import attach_run_table, create_run_table, index_by_risk, run_table
from app.services.run_tiers import settle_tiers
from app.services.scores import Scores
from app.services.scoring import Scoring
from app.services.uploads import Uploads
from app.settings import Settings
from app.tables import Bundle, Dataset, Job, Promotion, Revision, ScoringRun, TrainedModel, Training, Version

T = TypeVar("T")
INSTANT = pa.timestamp("us", "UTC")
FEATURES = (
    Feature("tenure", FeatureKind.NUMERIC),
    Feature("autopay", FeatureKind.BOOLEAN),
    Feature("plan", FeatureKind.CATEGORICAL),
)
DEFAULT_TIERS = ProbabilityTiers()
REASONS = '[{"feature":"plan","value":"a","contribution":0.5,"text":"plan is a (raises the risk)"}]'
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class World:
    """A database and short ways to fill it."""

    engine: AsyncEngine
    sessions: Sessions

    async def add_dataset(self, name: str = "customers", **fields: Any) -> Dataset:
        wanted = {"kind": "snapshots", "id_column": "id", "label_column": "churned", "positive_value": "yes"}
        dataset = Dataset(name=name, split_seed=1, created_by="test", **(wanted | fields))
        return await self._add(dataset)

    async def add_revision(self, dataset: Dataset, number: int = 1) -> Revision:
        counts = {"n_rows": 0, "n_accounts": 0, "n_labelled": 0, "n_churned": 0}
        columns = [{"name": feature.name} for feature in FEATURES]
        revision = Revision(dataset_id=dataset.id, number=number, data_hash="0" * 64, columns=columns, created_by="t")
        for name, value in counts.items():
            setattr(revision, name, value)
        return await self._add(revision)

    async def add_job(self, dataset: Dataset, kind: str, status: str = "succeeded", **fields: Any) -> Job:
        return await self._add(
            Job(kind=kind, dataset_id=dataset.id, params={}, status=status, created_by="t", **fields)
        )

    async def add_version(self, dataset: Dataset, revision: Revision, fitted: FittedModel | None = None) -> int:
        """A version with a bundle, by default one that can score `FEATURES`."""
        job, fitted = await self.add_job(dataset, "train"), fitted or fit_model()
        sha256, data = fitted.bundle.sha256, fitted.bundle.to_bytes()
        async with self.sessions.begin() as session:
            await session.merge(Bundle(sha256=sha256, bytes=data))
            training = Training(
                job_id=job.id,
                dataset_id=dataset.id,
                revision_id=revision.id,
                experiment="e",
                config={},
                split={},
                data_hash="0" * 64,
                features_hash="0" * 64,
                warnings=[],
            )
            session.add(training)
            await session.flush()
            scores = np.sort(fitted.oof_probabilities).astype("<f4").tobytes()
            model = TrainedModel(
                training_id=training.id,
                role="primary",
                model_type="logistic",
                recipe_hash="0" * 64,
                bundle_sha256=sha256,
                report={},
                reference_scores=scores,
            )
            session.add(model)
            await session.flush()
            version = Version(dataset_id=dataset.id, trained_model_id=model.id, mlflow_name="m", registered_by="t")
            session.add(version)
        return version.version

    async def promote(self, dataset: Dataset, version: int, stage: str = "Production", **fields: Any) -> None:
        await self._add(
            Promotion(dataset_id=dataset.id, stage=stage, action="promote", to_version=version, actor="t", **fields)
        )

    async def add_run(
        self,
        dataset: Dataset,
        revision: Revision,
        version: int,
        scores: Sequence[tuple[str, float]],
        *,
        as_of: Sequence[datetime] | datetime = JANUARY,
        current: bool = True,
        tiers: ProbabilityTiers = DEFAULT_TIERS,
        **fields: Any,
    ) -> ScoringRun:
        """A published run with these scores."""
        instants = [as_of] * len(scores) if isinstance(as_of, datetime) else list(as_of)
        config = ScoringConfig(tiers=tiers).model_dump(mode="json")
        run = ScoringRun(
            kind="batch",
            dataset_id=dataset.id,
            version=version,
            revision_id=revision.id,
            config=config,
            current=current,
            n_scored=len(scores),
            **fields,
        )
        async with self.sessions.begin() as session:
            session.add(run)
            await session.flush()
            await create_run_table(session, run.id)
            rows = prediction_rows(run.id, version, scores, instants, tiers)
            await copy_in(await session.connection(), rows, run_table(run.id), schema="data")
            settled = await settle_tiers(session, run.id, tiers, 0.2)
            run.tiers, run.warnings = settled.tiers, settled.warnings
            await index_by_risk(session, run.id)
        async with self.sessions.begin() as session:
            await attach_run_table(session, run.id)
        async with self.sessions.begin() as session:
            run = await session.get_one(ScoringRun, run.id)
            run.published_at = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
        return run

    async def begin(self, job_id: int, attempt: int = 1) -> JobContext:
        """Take a job as a worker would."""
        async with self.sessions.begin() as session:
            job = await session.get_one(Job, job_id)
            job.status, job.attempt = "running", attempt
        return JobContext(job.id, attempt, job.kind, job.params, job.dataset_id, "test")

    async def end(self, job_id: int, result: dict[str, Any], status: str = "succeeded") -> None:
        """End a job as a worker would."""
        async with self.sessions.begin() as session:
            job = await session.get_one(Job, job_id)
            job.status, job.result = status, result
            job.finished_at = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()

    async def count(self, query: str) -> int:
        async with self.sessions() as session:
            return int((await session.execute(text(query))).scalar_one())

    async def _add(self, row: T) -> T:
        async with self.sessions.begin() as session:
            session.add(row)
        return row


@asynccontextmanager
async def open_world(database_url: str) -> AsyncIterator[World]:
    engine = make_engine(database_url, Settings())
    yield World(engine, make_sessions(engine))
    await engine.dispose()


def prediction_rows(
    run_id: int,
    version: int,
    scores: Sequence[tuple[str, float]],
    instants: Sequence[datetime],
    tiers: ProbabilityTiers,
) -> pa.Table:
    p = [score for _, score in scores]
    return pa.table(
        {
            "run_id": pa.array([run_id] * len(p), pa.int64()),
            "account_id": pa.array([account for account, _ in scores], pa.string()),
            "churn_probability": pa.array(p, pa.float64()),
            "risk_tier": ["high" if x >= tiers.high else "medium" if x >= tiers.medium else "low" for x in p],
            "model_version": pa.array([version] * len(p), pa.int32()),
            "scored_at": pa.array([JANUARY] * len(p), INSTANT),
            "as_of": pa.array(list(instants), INSTANT),
            "reasons": ['[{"feature":"plan","value":"a","contribution":0.5,"text":"plan is a (raises the risk)"}]']
            * len(p),
        }
    )


def draw_frame(n: int, seed: int, *, shift: float = 0.0) -> Frame:
    """Accounts of whom those with a short tenure leave; `shift` moves every tenure by so many."""
    rng = np.random.default_rng(seed)
    tenure = rng.normal(10, 3, n)
    autopay = rng.random(n) < 0.5
    plan = rng.choice(["a", "b", "c"], n)
    churned = rng.random(n) < 1 / (1 + np.exp(0.6 * (tenure - 7) + 1.0 * autopay))
    features = pa.table({"tenure": tenure + shift, "autopay": autopay, "plan": plan})
    accounts = pa.array([f"{seed}-{number:06d}" for number in range(n)])
    return Frame(accounts, features, churned.astype(np.float64))


@cache
def fit_model() -> FittedModel:
    """A small logistic model; trained once a session."""
    frame = draw_frame(1500, seed=1)
    sides = np.array((["train"] * 3 + ["validation", "test"]) * 300)
    result = train(
        frame,
        sides,
        FEATURES,
        ModelConfig.model_validate({"model_type": "logistic"}),
        TrainingConfig(shap=False),
        profile_rows=sides != "test",
        progress=lambda step, share: None,
        n_threads=1,
    )
    return result.primary


def csv_of(frame: Frame, *, as_of: datetime | None = None, with_labels: bool = True) -> bytes:
    """The frame as a file to upload."""
    columns = {"id": frame.accounts, **{name: frame.features[name] for name in frame.features.column_names}}
    known = [] if frame.churned is None else frame.churned.tolist()
    labels = ["yes" if label == 1 else "" if label != label or not with_labels else "no" for label in known]
    columns |= {"churned": pa.array(labels)}
    if as_of is not None:
        columns["as_of"] = pa.array([as_of.isoformat()] * len(frame))
    sink = io.BytesIO()
    pa_csv.write_csv(pa.table(columns), sink)
    return sink.getvalue()


async def stream_of(data: bytes) -> AsyncIterator[bytes]:
    yield data


@dataclass(frozen=True)
class Desk:
    """The services of scoring on one world, over its engine."""

    world: World
    datasets: Datasets
    uploads: Uploads
    scoring: Scoring
    online: Online
    scores: Scores
    monitoring: Monitoring
    outcomes: Outcomes

    async def upload(self, frame: Frame, name: str = "customers", *, append: bool = False, **how: Any) -> Revision:
        """A new revision of these rows."""
        verb = self.uploads.append if append else self.uploads.replace
        await verb(name, stream_of(csv_of(frame, **how)), media_type="text/csv", actor="test")
        async with self.world.sessions() as session:
            dataset = await self.datasets.resolve(session, name)
            return await get_revision(session, dataset)

    async def score(self, body: dict[str, Any] | None = None, *, attempt: int = 1) -> dict[str, Any]:
        """Ask for a batch and do it here."""
        job = await self.scoring.submit(BatchIn.model_validate(body or {}), actor="test")
        return await self.scoring.run(await self.world.begin(job.id, attempt))

    async def check(self, body: dict[str, Any] | None = None) -> MonitorOut:
        """Ask for a check, do it here, and let its job end as a worker would."""
        job = await self.monitoring.submit(MonitorIn.model_validate(body or {}), actor="test")
        result = await self.monitoring.run(await self.world.begin(job.id))
        await self.world.end(job.id, result)
        return MonitorOut.model_validate(result)


def open_desk(world: World, settings: Settings | None = None) -> Desk:
    settings, sessions = settings or Settings(), world.sessions
    datasets, frames = Datasets(sessions, settings), Frames(sessions)
    jobs = Jobs(sessions, heartbeat_timeout_seconds=10)
    bundles = Bundles(sessions, n_threads=1)
    models = Models(sessions, datasets=datasets, jobs=jobs)
    parts: dict[str, Any] = {"datasets": datasets, "frames": frames, "models": models, "bundles": bundles}
    return Desk(
        world,
        datasets,
        Uploads(sessions, datasets, max_upload_bytes=10**8),
        Scoring(world.engine, sessions, settings, jobs=jobs, **parts),
        Online(sessions, settings, champions=Champions(sessions, bundles, poll_seconds=1), **parts),
        Scores(sessions, datasets, models),
        Monitoring(sessions, settings, jobs=jobs, **parts),
        Outcomes(sessions, datasets),
    )
