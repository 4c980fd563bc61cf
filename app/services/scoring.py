"""Batch scoring: every active account of a dataset, each exactly once, published whole."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import Sessions, copy_in
from app.errors import NoActiveAccounts, RowsDoNotFit
from app.ml.encoding import EncodingError
from app.ml.frame import Frame
from app.ml.profile import Counts, count_frame
from app.ml.scorer import Scorer
from app.schemas.config import ScoringConfig
from app.schemas.jobs import JobOut
from app.schemas.scoring import BatchIn
from app.services.bundles import Bundles
from app.services.datasets import Datasets
from app.services.frames import Frames
from app.services.jobs import JobContext, Jobs
from app.services.ledger import find_champion, lock_ledger
from app.services.models import Models
from app.services.policy import in_force
from app.services.prediction_rows import score_frame
from app.services.run_tables import attach_run_table, create_run_table, drop_run, index_by_risk, run_table
from app.services.run_tiers import known_cutoffs, settle_tiers
from app.settings import Settings
from app.tables import Dataset, Job, Revision, ScoringRun


@dataclass(frozen=True)
class _Batch:
    """What one attempt works on."""

    context: JobContext
    dataset: Dataset
    revision: Revision
    scorer: Scorer
    config: ScoringConfig
    run: ScoringRun

    @property
    def base_rate(self) -> float:
        return self.scorer.bundle.development_churn_rate


@dataclass
class _Tally:
    """What is counted on the way, and what is to be said of the rows."""

    notes: Sequence[str] = ()
    n: int = 0
    newest: datetime | None = None
    counts: Counts | None = None

    def add(self, frame: Frame, counts: Counts, newest: datetime | None) -> None:
        self.n += len(frame)
        self.counts = counts if self.counts is None else self.counts + counts
        self.newest = max(filter(None, (self.newest, newest)), default=None)


class Scoring:
    """Scores batches."""

    def __init__(
        self,
        engine: AsyncEngine,
        sessions: Sessions,
        settings: Settings,
        *,
        datasets: Datasets,
        frames: Frames,
        models: Models,
        bundles: Bundles,
        jobs: Jobs,
    ) -> None:
        self._engine = engine
        self._sessions = sessions
        self._settings = settings
        self._datasets = datasets
        self._frames = frames
        self._models = models
        self._bundles = bundles
        self._jobs = jobs

    async def submit(self, body: BatchIn, *, actor: str) -> JobOut:
        """Queue the scoring; the version is settled now, so that a promotion in between can't change what was asked."""
        async with self._sessions.begin() as session:
            dataset, version = await self._models.resolve(session, body.version, dataset=body.dataset)
        config = in_force(ScoringConfig, dataset, self._settings, body.scoring)
        params = {"version": version.version, "scoring": config.model_dump(mode="json")}
        return await self._jobs.submit("score", params, dataset_id=dataset.id, actor=actor)

    async def run(self, context: JobContext) -> dict[str, Any]:
        """Score all active accounts, attach the rows in one transaction and publish them in the next."""
        await self.sweep()
        filled = await self._take_over(context)
        if filled is None:
            batch = await self._begin(context)
            tally = await self._fill(batch)
            await self._finish(batch, tally)
            await self._attach(batch)
            filled = batch.run.id
        return await self._publish(context, filled)

    async def sweep(self) -> None:
        """Drop what jobs that ended left unpublished."""
        ended = Job.status.not_in(("queued", "running"))
        left = select(ScoringRun.id).join(Job, Job.id == ScoringRun.job_id)
        async with self._sessions() as session:
            runs = (await session.scalars(left.where(ScoringRun.published_at.is_(None), ended))).all()
        for run_id in runs:
            await drop_run(self._engine, run_id)

    async def _take_over(self, context: JobContext) -> int | None:
        """The run that an earlier attempt has filled and attached; one it left half-way is dropped."""
        async with self._sessions.begin() as session:
            await context.guard(session)
            run = await session.scalar(select(ScoringRun).where(ScoringRun.job_id == context.id))
        if run is None or run.n_scored is not None:
            return None if run is None else run.id
        await drop_run(self._engine, run.id)
        return None

    async def _begin(self, context: JobContext) -> _Batch:
        """Make the run and its table; nobody sees either before it is published."""
        await context.step("prepare", 0.0)
        if context.dataset_id is None:
            raise ValueError("a scoring job has a dataset")
        revision = await self._datasets.fix_revision(context.dataset_id, to="score")
        scorer = await self._bundles.load(context.params["version"])
        config = ScoringConfig.model_validate(context.params["scoring"])
        async with self._sessions.begin() as session:
            await context.guard(session)
            dataset = await session.get_one(Dataset, context.dataset_id)
            run = ScoringRun(
                kind="batch",
                job_id=context.id,
                dataset_id=dataset.id,
                version=context.params["version"],
                revision_id=revision.id,
                config=config.model_dump(mode="json"),
            )
            session.add(run)
            await session.flush()
            await create_run_table(session, run.id)
        return _Batch(context, dataset, revision, scorer, config, run)

    async def _fill(self, batch: _Batch) -> _Tally:
        """Score and COPY chunk by chunk, each in a transaction of its own: memory is bounded by the chunk."""
        source = await self._frames.open(batch.dataset, batch.revision, batch.scorer.bundle.plan)
        tally = _Tally(source.notes)
        async for frame in source.active_chunks(chunk_size=batch.config.chunk_size):
            await self._store(batch, frame, tally)
            batch.context.progress("score", min(tally.n / max(batch.revision.n_accounts, 1), 1.0) * 0.95)
        if not tally.n:
            raise NoActiveAccounts(
                f"No account of {batch.dataset.name} is active in revision {batch.revision.number}: nothing to score."
            )
        return tally

    async def _store(self, batch: _Batch, frame: Frame, tally: _Tally) -> None:
        try:
            rows, counts = await asyncio.to_thread(_score_and_count, batch, frame)
        except EncodingError as error:
            raise RowsDoNotFit(
                f"Revision {batch.revision.number} does not fit version {batch.run.version}: {error}."
            ) from error
        async with self._sessions.begin() as session:
            await batch.context.guard(session)
            await copy_in(await session.connection(), rows, run_table(batch.run.id), schema="data")
        newest = None if frame.as_of is None else max(frame.as_of.to_pylist())
        tally.add(frame, counts, newest)

    async def _finish(self, batch: _Batch, tally: _Tally) -> None:
        """Deal the tiers that need all scores, count them, and index the rows while the table is still private."""
        await batch.context.step("tiers", 0.95)
        run = batch.run
        async with self._sessions.begin() as session:
            await batch.context.guard(session)
            settled = await settle_tiers(session, run.id, batch.config.tiers, batch.base_rate)
            await index_by_risk(session, run.id)
            run.tiers, run.n_scored = settled.tiers, settled.n_scored
            run.warnings = settled.warnings + [{"sentence": note, "alternatives": []} for note in tally.notes]
            run.feature_counts = tally.counts.to_json() if tally.counts else None
            run.as_of = tally.newest

    async def _attach(self, batch: _Batch) -> None:
        """Make the rows part of `predictions`.

        Its own transaction: a query planned before the partition was there would find nothing in a run that was
        published in the same one. With it the run is filled for good; another attempt only publishes it.
        """
        run = batch.run
        async with self._sessions.begin() as session:
            await batch.context.guard(session)
            await attach_run_table(session, run.id)
            figures = {
                name: getattr(run, name) for name in ("n_scored", "tiers", "warnings", "feature_counts", "as_of")
            }
            await session.execute(update(ScoringRun).where(ScoringRun.id == run.id).values(**figures))

    async def _publish(self, context: JobContext, run_id: int) -> dict[str, Any]:
        """Show the run; under the lock of the ledger, so that `current` is true of the instant it is said."""
        await context.step("publish", 0.99)
        async with self._sessions.begin() as session:
            await context.guard(session)
            run = await session.get_one(ScoringRun, run_id)
            if run.published_at is None:
                await lock_ledger(session, run.dataset_id)
                champion = await find_champion(session, run.dataset_id)
                run.current = champion is not None and champion.to_version == run.version
                run.provisional = champion is not None and run.current and champion.provisional
                run.published_at = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
            dataset = await session.get_one(Dataset, run.dataset_id)
        return _result(run, dataset.name)


def _score_and_count(batch: _Batch, frame: Frame) -> tuple[pa.Table, Counts]:
    rows, probabilities = score_frame(
        batch.scorer,
        frame,
        run_id=batch.run.id,
        version=batch.run.version,
        cutoffs=known_cutoffs(batch.config.tiers, batch.base_rate),
        n_reasons=batch.config.n_reasons,
        scored_at=batch.run.started_at,
    )
    return rows, count_frame(batch.scorer.bundle.profile, frame, probabilities)


def _result(run: ScoringRun, dataset: str) -> dict[str, Any]:
    """What the job answers."""
    return {
        "run_id": run.id,
        "dataset": dataset,
        "version": run.version,
        "current": run.current,
        "provisional": run.provisional,
        "n_accounts_scored": run.n_scored,
        "tiers": run.tiers,
        "warnings": run.warnings,
        "next": f"GET /score/accounts?dataset={dataset} lists the accounts by risk; "
        f'POST /monitor {{"dataset": "{dataset}"}} checks for drift.',
    }
