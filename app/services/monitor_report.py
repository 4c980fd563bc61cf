"""The report of a check: drift, tiers and realised performance put together, and its row in the log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.ml.drift import DriftReport, worst
from app.ml.frame import Floats
from app.ml.performance import Performance
from app.schemas.config import MonitoringConfig
from app.schemas.monitoring import MonitorOut, TierShiftOut
from app.services.jobs import JobContext
from app.services.realised import RealisedRun
from app.tables import Dataset, MonitoringLog, ScoringRun, TrainedModel, Version

ALL_WELL = "Nothing to do: no drift worth a step, and nothing in the outcomes speaks against the model."


@dataclass(frozen=True)
class Findings:
    """What a check found."""

    drift: DriftReport
    performance: Performance
    judged_run_id: int | None
    runs: list[RealisedRun]
    tiers: list[TierShiftOut]


def make_report(
    context: JobContext,
    dataset: Dataset,
    run: ScoringRun,
    config: MonitoringConfig,
    found: Findings,
    *,
    now: datetime,
) -> MonitorOut:
    """The verdict is the worse one of drift and performance; one that could not be judged has no say."""
    drift, performance = found.drift, found.performance
    actions = [*drift.recommended_actions, *performance.recommended_actions]
    return MonitorOut(
        job_id=context.id,
        dataset=dataset.name,
        version=run.version,
        provisional=run.provisional,
        run_id=run.id,
        report_date=now,
        health_status=worst([drift.health_status, performance.health_status]).value,
        drift_status=drift.health_status.value,
        performance_status=performance.health_status.value,
        n_drifted_features=drift.n_drifted,
        n_critical_features=drift.n_critical,
        prediction_drift_score=drift.score.psi if drift.score else None,
        performance_degradation=performance.degradation,
        recommended_actions=actions or [ALL_WELL],
        n_reference=drift.n_reference,
        n_scored=drift.n_current,
        score_drift=drift.score,
        features=list(drift.features),
        tiers=found.tiers,
        realised=[each.to_out() for each in found.runs],
        judged_run_id=found.judged_run_id,
        saved=bool(context.params["save"]),
        monitoring=config,
    )


async def read_tier_shifts(session: AsyncSession, run: ScoringRun) -> list[TierShiftOut]:
    """The run's tiers beside the share that the reference scores have under the same cut-offs."""
    query = select(TrainedModel.reference_scores).join(Version, Version.trained_model_id == TrainedModel.id)
    stored = await session.scalar(query.where(Version.version == run.version))
    reference = np.frombuffer(stored or b"", dtype="<f4").astype(np.float64)
    tiers = run.tiers or []
    return [
        TierShiftOut(tier=tier["tier"], n=tier["n"], share=tier["share"], expected_share=expected)
        for tier, expected in zip(tiers, _expected_shares(reference, tiers), strict=True)
    ]


def _expected_shares(reference: Floats, tiers: list[Mapping[str, Any]]) -> list[float | None]:
    if not reference.size:
        return [None] * len(tiers)
    at_or_above = [float(np.mean(reference >= tier["from_probability"])) for tier in tiers]
    return [above - before for above, before in zip(at_or_above, [0.0, *at_or_above[:-1]], strict=True)]


async def save_report(session: AsyncSession, report: MonitorOut, dataset: Dataset) -> None:
    """One row per job, however often it runs."""
    row = {name: getattr(report, name) for name in _LOGGED}
    row |= {
        "dataset_id": dataset.id,
        "recommended_actions": "\n".join(report.recommended_actions),
        "report": report.model_dump(mode="json"),
    }
    await session.execute(insert(MonitoringLog).values(**row).on_conflict_do_nothing(index_elements=["job_id"]))


_LOGGED = (
    "report_date",
    "health_status",
    "n_drifted_features",
    "n_critical_features",
    "prediction_drift_score",
    "performance_degradation",
    "version",
    "run_id",
    "job_id",
)
