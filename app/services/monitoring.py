"""Monitoring: whether the model in use still sees what it learned from, and whether what it said came true."""

import asyncio
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions
from app.errors import NothingChecked, NothingScored
from app.ml.drift import check_drift
from app.ml.performance import judge_newest, realise
from app.ml.profile import Counts
from app.schemas.common import Page, decode_cursor, page_of
from app.schemas.config import MonitoringConfig
from app.schemas.jobs import JobOut
from app.schemas.monitoring import CheckOut, DriftOut, MonitorIn, MonitorOut
from app.services.bundles import Bundles
from app.services.datasets import Datasets
from app.services.frames import Frames
from app.services.jobs import JobContext, Jobs
from app.services.models import Models
from app.services.monitor_report import Findings, make_report, read_tier_shifts, save_report
from app.services.policy import in_force
from app.services.realised import RealisedRows, RealisedRun, read_auc_at_gate, read_realised
from app.services.revisions import get_revision
from app.services.row_source import RowSource
from app.services.runs import find_newest_run, get_published, list_runs_up_to
from app.settings import Settings
from app.tables import Dataset, Job, MonitoringLog, Revision, ScoringRun

MAX_RUNS = 12  # of a version, newest first, whose realised figures are looked at


class Monitoring:
    """Checks the champion, or any run that is named."""

    def __init__(
        self,
        sessions: Sessions,
        settings: Settings,
        *,
        datasets: Datasets,
        models: Models,
        bundles: Bundles,
        frames: Frames,
        jobs: Jobs,
    ) -> None:
        self._sessions = sessions
        self._settings = settings
        self._datasets = datasets
        self._models = models
        self._bundles = bundles
        self._frames = frames
        self._jobs = jobs

    async def submit(self, body: MonitorIn, *, actor: str) -> JobOut:
        """Queue a check of the run named or of the champion's newest one, which is settled now."""
        async with self._sessions() as session:
            run = await self._choose_run(session, body)
            dataset = await session.get_one(Dataset, run.dataset_id)
        config = in_force(MonitoringConfig, dataset, self._settings, body.monitoring)
        params = {"run": run.id, "save": body.save, "monitoring": config.model_dump(mode="json")}
        return await self._jobs.submit("monitor", params, dataset_id=dataset.id, actor=actor)

    async def _choose_run(self, session: AsyncSession, body: MonitorIn) -> ScoringRun:
        if body.run is not None:
            named = await self._datasets.resolve(session, body.dataset) if body.dataset else None
            return await get_published(session, body.run, dataset=named)
        dataset, champion = await self._models.resolve(session, "champion", dataset=body.dataset)
        run = await find_newest_run(session, dataset.id, champion.version)
        if run is None:
            raise NothingScored(f"Version {champion.version}, the champion, has scored nobody yet.")
        return run

    async def run(self, context: JobContext) -> dict[str, Any]:
        """Read what was counted and what came true, then judge; the row of the log is written last, if asked for."""
        config = MonitoringConfig.model_validate(context.params["monitoring"])
        await context.step("drift", 0.1)
        async with self._sessions() as session:
            run = await session.get_one(ScoringRun, context.params["run"])
            dataset = await session.get_one(Dataset, run.dataset_id)
        scorer = await self._bundles.load(run.version)
        drift = check_drift(scorer.bundle.profile, Counts.from_json(run.feature_counts or {}), config)
        await context.step("outcomes", 0.4)
        await self._renew_labels(dataset, run)
        found = await self._look_back(dataset, run)
        performance, at = judge_newest([each.realised for each in found], config)
        judged = None if at is None else found[at].run.id
        await context.step("report", 0.9)
        async with self._sessions.begin() as session:
            await context.guard(session)
            findings = Findings(drift, performance, judged, found, await read_tier_shifts(session, run))
            now = (await session.execute(text("SELECT now()"))).scalar_one()
            report = make_report(context, dataset, run, config, findings, now=now)
            if report.saved:
                await save_report(session, report, dataset)
        return report.model_dump(mode="json")

    async def _renew_labels(self, dataset: Dataset, checked: ScoringRun) -> None:
        """Ask the source of the dataset, where it is one that can be asked, what came of the accounts."""
        async with self._sessions() as session:
            now = (await session.execute(text("SELECT now()"))).scalar_one()
            runs = await list_runs_up_to(session, checked, limit=MAX_RUNS)
        await self._datasets.renew_labels(dataset, {run.as_of for run in runs if run.as_of is not None}, now=now)

    async def _look_back(self, dataset: Dataset, checked: ScoringRun) -> list[RealisedRun]:
        """What came of the runs of this version, the one that is checked first and then those before it."""
        async with self._sessions() as session:
            now = (await session.execute(text("SELECT now()"))).scalar_one()
            auc_at_gate = await read_auc_at_gate(session, checked.version)
            revision = await get_revision(session, dataset)
            runs = await list_runs_up_to(session, checked, limit=MAX_RUNS)
        newest, found = await self._frames.open(dataset, revision), []
        now = min(now, newest.complete_until or now)
        for run in runs:
            rows = await self._realised_rows(dataset, run, newest, now=now)
            figures = await asyncio.to_thread(
                realise, rows.y, rows.p, n_immature=rows.n_immature, auc_at_gate=auc_at_gate
            )
            found.append(RealisedRun(run, rows, figures))
        return found

    async def _realised_rows(
        self, dataset: Dataset, run: ScoringRun, newest: RowSource, *, now: datetime
    ) -> RealisedRows:
        """What is known by now of the accounts of a run; sources look things up on a connection of their own."""
        async with self._sessions() as session:
            scored = await session.get_one(Revision, run.revision_id)
        labels = await newest.labels_query(run.as_of)
        known = await (await self._frames.open(dataset, scored)).known_query(run.as_of)
        async with self._sessions() as session:
            return await read_realised(session, dataset, run, labels=labels, known=known, now=now)

    async def newest(self, dataset: str | None) -> MonitorOut:
        """The newest verdict, saved or not."""
        async with self._sessions() as session:
            found = await self._datasets.resolve(session, dataset)
            query = select(Job.result).where(
                Job.kind == "monitor", Job.dataset_id == found.id, Job.status == "succeeded"
            )
            result = await session.scalar(query.order_by(Job.finished_at.desc(), Job.id.desc()).limit(1))
        if result is None:
            raise NothingChecked(f"No check of {found.name} has succeeded yet.")
        return MonitorOut.model_validate(result)

    async def drift(self, dataset: str | None) -> DriftOut:
        """The features of the newest check, the furthest from the reference first."""
        check = await self.newest(dataset)
        names = ("job_id", "dataset", "version", "run_id", "report_date", "health_status")
        return DriftOut(
            **{name: getattr(check, name) for name in names},
            score=check.score_drift,
            features=sorted(check.features, key=lambda feature: -feature.psi),
        )

    async def list_checks(self, dataset: str | None, *, limit: int, cursor: str | None) -> Page[CheckOut]:
        """Saved verdicts, newest first."""
        position = decode_cursor(cursor, int)
        query = select(MonitoringLog, Dataset.name).join(Dataset, Dataset.id == MonitoringLog.dataset_id)
        query = query.order_by(MonitoringLog.id.desc()).limit(limit + 1)
        query = query.where(MonitoringLog.id < position[0]) if position else query
        async with self._sessions() as session:
            if dataset is not None:
                query = query.where(MonitoringLog.dataset_id == (await self._datasets.resolve(session, dataset)).id)
            rows = (await session.execute(query)).all()
        return page_of([_check_out(*row) for row in rows], limit, lambda last: last.id)


def _check_out(row: MonitoringLog, dataset: str) -> CheckOut:
    fields = {name: getattr(row, name) for name in CheckOut.model_fields if name != "dataset"}
    return CheckOut(**fields, dataset=dataset)
