"""Training: a job that fits a model and its baseline, tells MLflow, and stores both once however often it runs."""

import asyncio
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from app.code_version import code_version
from app.db import Sessions
from app.errors import Conflict, FieldError, InvalidRequest, ShapFailed
from app.features.definitions import define_features
from app.features.plan import FeaturePlan
from app.ml.explain import ExplanationError
from app.ml.frame import Feature
from app.ml.leaks.findings import Finding
from app.ml.trainer import TrainingResult, train
from app.ml.trials import Trial
from app.registry import Registry, TrackedRun
from app.schemas.config import ModelConfig, TrainingConfig
from app.schemas.jobs import JobOut
from app.schemas.training import TrainIn
from app.services.aliases import AliasMirror, model_copy
from app.services.artifacts import (
    flat_metrics,
    flat_params,
    flat_reports,
    tracked_trials,
    version_tags,
    write_artifacts,
)
from app.services.bundles import Bundles
from app.services.datasets import Datasets
from app.services.fact_sources import is_copied
from app.services.fact_storing import spec_of
from app.services.frames import Frames
from app.services.jobs import JobContext, Jobs
from app.services.leaks import probe_rows, require_no_leaks
from app.services.policy import in_force
from app.services.registration import register_model
from app.services.revisions import get_revision
from app.services.row_source import label_span
from app.services.search_trials import PROGRESS as SEARCH_PROGRESS
from app.services.search_trials import SearchTrials, require_searchable
from app.services.training_report import (
    ROLES,
    features_hash,
    label_words,
    model_reports,
    recipe_hash,
    score_bytes,
    training_summary,
)
from app.services.training_rows import TrainingRows
from app.settings import Settings
from app.tables import Dataset, Revision, TrainedModel, Training, Version

# Where the steps of the fit begin and end, as shares of the whole job.
PROGRESS = {"encode": (0.05, 0.1), "fit model": (0.1, 0.6), "fit baseline": (0.6, 0.8), "report": (0.8, 0.85)}


@dataclass(frozen=True)
class _Work:
    """What one training works on."""

    context: JobContext
    dataset: Dataset
    revision: Revision
    rows: TrainingRows
    model: ModelConfig
    training: TrainingConfig
    leaks: Sequence[Finding]
    warnings: list[str]
    trials: Sequence[Trial]  # of earlier attempts
    on_trial: Callable[[Trial], None]


class Trainings:
    """Takes requests to train, and is the handler of the job."""

    def __init__(
        self,
        sessions: Sessions,
        settings: Settings,
        *,
        datasets: Datasets,
        frames: Frames,
        jobs: Jobs,
        bundles: Bundles,
        registry: Registry,
        aliases: AliasMirror,
    ) -> None:
        self._sessions = sessions
        self._settings = settings
        self._datasets = datasets
        self._frames = frames
        self._jobs = jobs
        self._bundles = bundles
        self._registry = registry
        self._aliases = aliases
        self._trials = SearchTrials(sessions)

    async def submit(self, body: TrainIn, *, actor: str) -> JobOut:
        """Queue a training whose parameters are known to be usable; the effective configs are settled now."""
        async with self._sessions() as session:
            dataset = await self._datasets.resolve(session, body.dataset)
            uploaded = None if is_copied(dataset) else await get_revision(session, dataset)
        model = in_force(ModelConfig, dataset, self._settings, body.model)
        training = in_force(TrainingConfig, dataset, self._settings, body.training)
        if uploaded is not None:
            source = await self._frames.open(dataset, uploaded)  # of facts, all must be there
            if dataset.kind != "events":  # which features facts have, the job knows
                _require_both_classes(dataset, uploaded)
                _require_columns(source.features, body, dataset)
        require_searchable(model, training)
        params = {
            "model": model.model_dump(mode="json"),
            "training": training.model_dump(mode="json"),
            "register": body.wants_version,
            "description": body.description,
        }
        return await self._jobs.submit("train", params, dataset_id=dataset.id, actor=actor)

    async def run(self, context: JobContext) -> dict[str, Any]:
        """Train, unless an attempt before this one has; then make the version, where one is wanted."""
        self._registry.require()
        training_id = await self._find(context)
        if training_id is None:
            training_id = await self._train(context)
        if context.params["register"]:
            await self._copy_version(context, training_id)
        async with self._sessions() as session:
            return await training_summary(session, training_id)

    async def _find(self, context: JobContext) -> int | None:
        async with self._sessions() as session:
            return await session.scalar(select(Training.id).where(Training.job_id == context.id))

    async def _train(self, context: JobContext) -> int:
        """MLflow takes seconds to import, so that happens while the models are being fitted."""
        opening = asyncio.create_task(asyncio.to_thread(self._registry.open))
        try:
            work = await self._read(context)
            result = await asyncio.to_thread(_fit, work, self._settings.n_threads or os.cpu_count() or 1)
        finally:
            await asyncio.wait([opening])
        opening.result()
        reports = model_reports(result, work.rows.features)
        await context.step("track", 0.87)
        mlflow_run = await asyncio.to_thread(self._track, work, result, reports)
        await context.step("store", 0.95)
        return await self._store(work, result, reports, mlflow_run)

    async def _read(self, context: JobContext) -> _Work:
        await context.step("read", 0.0)
        if context.dataset_id is None:
            raise ValueError("a training needs a dataset")
        revision = await self._datasets.fix_revision(context.dataset_id)
        async with self._sessions() as session:
            dataset = await session.get_one(Dataset, context.dataset_id)
        model = ModelConfig.model_validate(context.params["model"])
        training = TrainingConfig.model_validate(context.params["training"])
        source = await self._frames.open(dataset, revision)
        rows = await self._frames.training_rows(dataset, source, split=training.split)
        rows = replace(rows, features=_without(rows.features, training.exclude_features, dataset))
        await context.step("probe for leaks", 0.03)
        leaks = await probe_rows(rows)
        found = require_no_leaks(leaks, training.accept_leaks)
        warnings = [*rows.warnings, *rows.source.notes, *_excluded_in_vain(dataset, rows.source.plan), *found]
        trials, on_trial = await self._trials.read(context.id), self._trials.store_from_thread(context)
        return _Work(context, dataset, revision, rows, model, training, leaks, warnings, trials, on_trial)

    def _track(self, work: _Work, result: TrainingResult, reports: dict[str, dict[str, Any]]) -> str:
        y = np.asarray(work.rows.frame.churned, dtype=np.float64)
        with tempfile.TemporaryDirectory(prefix="holdfast-") as name:
            folder = Path(name)
            code = code_version(self._settings.commit)
            write_artifacts(folder, result, reports, y[work.rows.sides == "test"], _about(work, result, code))
            run = TrackedRun(
                job_id=work.context.id,
                experiment=_experiment(work),
                name=f"{work.model.model_type.value}-{work.context.id}",
                artifacts=folder,
                params=flat_params(work.model, work.training, result),
                metrics=flat_metrics(result) | flat_reports(reports),
                trials=tracked_trials(result.search),
                tags={
                    **work.training.tags,
                    **version_tags(result, code),
                    "dataset": work.dataset.name,
                    "revision": str(work.revision.number),
                },
            )
            return self._registry.log_run(run)

    async def _store(
        self, work: _Work, result: TrainingResult, reports: dict[str, dict[str, Any]], mlflow_run: str
    ) -> int:
        """Bundles, training, models and version in one transaction, so that all exist or none."""
        data = {role: await asyncio.to_thread(getattr(result, role).bundle.to_bytes) for role in ROLES}
        asked = {"primary": work.model.model_type.value, "baseline": result.baseline.bundle.kind.value}
        async with self._sessions.begin() as session:
            await work.context.guard(session)
            training = _training_row(work, result, mlflow_run)
            session.add(training)
            await session.flush()
            for role in ROLES:
                trained = TrainedModel(
                    training_id=training.id,
                    role=role,
                    model_type=getattr(result, role).bundle.kind.value,
                    recipe_hash=recipe_hash(
                        asked[role],
                        work.model,
                        work.training,
                        work.rows.split["kind"],
                        work.dataset,
                        searched=result.search if role == "primary" else None,
                    ),
                    bundle_sha256=await self._bundles.store(session, data[role]),
                    report=reports[role],
                    reference_scores=score_bytes(getattr(result, role).reference_scores),
                )
                session.add(trained)
                await session.flush()
                if role == "primary" and work.context.params["register"]:
                    words = work.context.params["description"]
                    await register_model(session, trained, work.dataset, description=words, actor=work.context.actor)
        return training.id

    async def _copy_version(self, context: JobContext, training_id: int) -> None:
        """Tell MLflow of the version; a later attempt finds what this one did."""
        await context.step("register", 0.97)
        query = select(Version, TrainedModel.role, Training.mlflow_run).select_from(Version)
        query = query.join(TrainedModel).join(Training).where(Training.id == training_id)
        async with self._sessions() as session:
            rows = (await session.execute(query.where(TrainedModel.role == "primary"))).all()
        for row in rows:
            await self._aliases.copy_version(context, model_copy(*row))


def _fit(work: _Work, n_threads: int) -> TrainingResult:
    shares = SEARCH_PROGRESS if work.training.search else PROGRESS

    def report(step: str, share: float) -> None:
        begin, end = shares[step.partition(":")[0]]
        work.context.progress(step, begin + share * (end - begin))

    rows = work.rows
    try:
        return train(
            rows.frame,
            rows.sides,
            rows.features,
            work.model,
            work.training,
            profile_rows=rows.profile_rows,
            progress=report,
            n_threads=n_threads,
            plan=rows.source.plan,
            history=work.trials,
            on_trial=work.on_trial,
            gap=None if rows.as_of is None else label_span(work.dataset),
        )
    except ExplanationError as error:
        raise ShapFailed(f"The explanations failed: {error.__cause__ or error}") from error
    except ValueError as error:
        raise _cannot_train(error, work) from error


def _cannot_train(error: ValueError, work: _Work) -> Exception:
    """The trainer's own refusals are the caller's to mend; any other ValueError is a bug."""
    if not type(error).__module__.startswith("app.ml"):
        return error
    hint = f"GET /datasets/{work.dataset.name} shows columns, labels and missing shares; mend the rows and train again."
    return Conflict(f"These rows can't be trained on: {error}.", hint=hint)


def _require_both_classes(dataset: Dataset, revision: Revision) -> None:
    n_stayed = revision.n_labelled - revision.n_churned
    if not revision.n_churned or not n_stayed:
        raise Conflict(
            f"Revision {revision.number} of {dataset.name} has {revision.n_churned} rows that churned and "
            f"{n_stayed} that stayed; training needs both.",
            hint=f"Look at GET /datasets/{dataset.name}: is `{dataset.positive_value}` what a churner has?",
        )


def _require_columns(features: Sequence[Feature], body: TrainIn, dataset: Dataset) -> None:
    """Refuse a request that leaves out features which are not there, or splits by dates which are not there."""
    if body.training is None:
        return
    known = {each.name for each in features}
    errors = [
        FieldError(f"/training/exclude_features/{at}", f"there is no feature {name}")
        for at, name in enumerate(body.training.exclude_features)
        if name not in known
    ]
    if body.training.split == "temporal" and dataset.as_of_column is None:
        errors.append(FieldError("/training/split", "the dataset has no as_of_column, so nothing to split by time"))
    if errors:
        hint = f"GET /datasets/{dataset.name} lists the columns."
        raise InvalidRequest(f"{dataset.name} does not have the columns for that.", errors=errors, hint=hint)


def _without(features: Sequence[Feature], left_out: Sequence[str], dataset: Dataset) -> tuple[Feature, ...]:
    """The features but those that the training leaves out, which must be there."""
    unknown = sorted(set(left_out) - {each.name for each in features})
    if unknown:
        raise Conflict(
            f"{dataset.name} has no feature {unknown[0]} to leave out.",
            hint=f"GET /datasets/{dataset.name} lists columns, GET /datasets/{dataset.name}/features what is built.",
        )
    return tuple(each for each in features if each.name not in left_out)


def _excluded_in_vain(dataset: Dataset, plan: Mapping[str, Any] | None) -> list[str]:
    """Sentences on features that a description of events leaves out, though its plan has none of that name."""
    if dataset.kind != "events" or plan is None:
        return []
    spec = spec_of(dataset)
    every = define_features(spec.model_copy(update={"exclude_features": []}), FeaturePlan.from_json(plan))
    vain = sorted(set(spec.exclude_features) - {each.name for each in every})
    return [f"exclude_features of {dataset.name} names {name}, which is no feature of it." for name in vain]


def _experiment(work: _Work) -> str:
    return work.training.experiment or work.dataset.name


def _about(work: _Work, result: TrainingResult, code: Mapping[str, str | None]) -> dict[str, Any]:
    """What a model card says beside the model's report."""
    return {
        "dataset": work.dataset.name,
        "revision": work.revision.number,
        "job": work.context.id,
        "experiment": _experiment(work),
        "label": label_words(work.dataset),
        "split": work.rows.split,
        "warnings": [*work.warnings, *result.warnings],
        "code": code,
    }


def _training_row(work: _Work, result: TrainingResult, mlflow_run: str) -> Training:
    return Training(
        job_id=work.context.id,
        dataset_id=work.dataset.id,
        revision_id=work.revision.id,
        mlflow_run=mlflow_run,
        experiment=_experiment(work),
        config={"model": work.model.model_dump(mode="json"), "training": work.training.model_dump(mode="json")},
        split={**work.rows.split, "n_rows": result.n_rows},
        information_end=work.rows.information_end,
        data_hash=work.revision.data_hash,
        features_hash=features_hash(work.rows.features),
        warnings=[*work.warnings, *result.warnings],
        leaks=[each.to_json() for each in work.leaks],
    )
