"""Versions trained in the test's own process, and the gate's verdicts on them, without MLflow or a worker."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.container import Services
from app.ml.frame import Frame
from app.ml.trainer import train
from app.schemas.config import ModelConfig, TrainingConfig
from app.schemas.datasets import SnapshotsIn
from app.schemas.evaluation import EvaluateIn, EvaluationOut
from app.services.jobs import JobContext
from app.services.revisions import get_revision
from app.services.training_report import features_hash, model_reports, recipe_hash, score_bytes
from app.services.training_rows import TrainingRows
from app.tables import Dataset, Job, TrainedModel, Training, Version
from tests.registry_rows import add_job
from tests.services.scoring_world import csv_of, stream_of

LOGISTIC = ModelConfig.model_validate({"model_type": "logistic"})
WITHOUT_SHAP = TrainingConfig(shap=False)


@dataclass(frozen=True)
class Made:
    """A version, and the rows that it was made of."""

    number: int
    rows: TrainingRows


async def make_version(
    services: Services,
    dataset: Dataset,
    rows: TrainingRows,
    revision: int,
    *,
    model: ModelConfig = LOGISTIC,
    training: TrainingConfig = WITHOUT_SHAP,
    role: str = "primary",
) -> Made:
    """Train and register, without a job."""
    result = train(
        rows.frame,
        rows.sides,
        rows.features,
        model,
        training,
        profile_rows=rows.profile_rows,
        progress=lambda step, share: None,
        n_threads=1,
        plan=rows.source.plan,
    )
    async with services.sessions.begin() as session:
        trained_in = Training(
            job_id=(await add_job(session, dataset, "train")).id,
            dataset_id=dataset.id,
            revision_id=(await get_revision(session, dataset, revision)).id,
            experiment="e",
            config={"model": model.model_dump(mode="json"), "training": training.model_dump(mode="json")},
            split=rows.split,
            information_end=rows.information_end,
            data_hash="0" * 64,
            features_hash=features_hash(rows.features),
            warnings=[],
        )
        session.add(trained_in)
        await session.flush()
        models: dict[str, TrainedModel] = {}
        reports = model_reports(result, rows.features)
        for each, fitted in (("primary", result.primary), ("baseline", result.baseline)):
            models[each] = TrainedModel(
                training_id=trained_in.id,
                role=each,
                model_type=fitted.bundle.kind.value,
                recipe_hash=recipe_hash(fitted.bundle.kind.value, model, training, rows.split["kind"], dataset),
                bundle_sha256=await services.bundles.store(session, fitted.bundle.to_bytes()),
                report=reports[each],
                reference_scores=score_bytes(fitted.reference_scores),
            )
            session.add(models[each])
            await session.flush()
        version = Version(
            dataset_id=dataset.id, trained_model_id=models[role].id, mlflow_name="m", registered_by="test"
        )
        session.add(version)
    return Made(version.version, rows)


@dataclass(frozen=True)
class Court:
    """One dataset, `customers`, of uploaded rows, on which versions are made and judged."""

    services: Services

    async def upload(self, frame: Frame, *, as_of: datetime | None = None, append: bool = False) -> None:
        """A new revision of these rows."""
        uploads = self.services.uploads
        verb = uploads.append if append else uploads.replace
        await verb("customers", stream_of(csv_of(frame, as_of=as_of)), media_type="text/csv", actor="test")

    async def dataset(self) -> Dataset:
        async with self.services.sessions() as session:
            return await self.services.datasets.resolve(session, "customers")

    async def make(self, revision: int | None = None, **how: Any) -> int:
        """A version trained on a revision, by default the newest."""
        services, dataset = self.services, await self.dataset()
        async with services.sessions() as session:
            found = await get_revision(session, dataset, revision)
        source = await services.frames.open(dataset, found)
        rows = await services.frames.training_rows(dataset, source)
        return (await make_version(services, dataset, rows, found.number, **how)).number

    async def judge(self, number: int, **body: Any) -> EvaluationOut:
        """Ask for a verdict and work on the job here."""
        return await self.work(await self.ask(number, **body))

    async def ask(self, number: int, **body: Any) -> JobContext:
        """The job of a verdict, taken as a worker would take it."""
        job = await self.services.evaluation.submit(number, EvaluateIn.model_validate(body), actor="test")
        return await self.take(job.id)

    async def take(self, job_id: int) -> JobContext:
        """A job, taken as a worker would take it."""
        async with self.services.sessions.begin() as session:
            row = await session.get_one(Job, job_id)
            row.status, row.attempt = "running", row.attempt + 1
        return JobContext(row.id, row.attempt, row.kind, row.params, row.dataset_id, row.created_by)

    async def work(self, context: JobContext) -> EvaluationOut:
        """Do the work of the job of a verdict."""
        return EvaluationOut.model_validate(await self.services.evaluation.run(context))


async def open_court(services: Services, **dataset: Any) -> Court:
    """A court on an empty store."""
    fields = {"name": "customers", "kind": "snapshots", "id_column": "id", "label_column": "churned"}
    body = SnapshotsIn.model_validate(fields | {"positive_value": "yes"} | dataset)
    await services.datasets.create(body, actor="test")
    return Court(services)
