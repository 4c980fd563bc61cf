"""Realised performance: per run, what came of the accounts that it scored."""

import math
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.ml.drift import HealthStatus
from app.ml.performance import Performance, Realised, judge_realised
from app.schemas.config import MonitoringConfig
from app.schemas.monitoring import RealisedOut
from app.services.ledger import find_newest_verdict
from app.services.outcomes import RealisedRows
from app.stats.calibration import calibration_line
from app.stats.ranking import auc_estimate
from app.tables import ScoringRun


@dataclass(frozen=True)
class RealisedRun:
    """The figures of one run, and what they rest on."""

    run: ScoringRun
    rows: RealisedRows
    realised: Realised

    def to_out(self) -> RealisedOut:
        """As an answer, with the slope of recalibration beside them."""
        p, y = self.rows.p, self.rows.y
        slope = calibration_line(y, p).slope if 0 < self.realised.n_churners < self.realised.n else math.nan
        return RealisedOut(
            **self.realised.__dict__,
            run_id=self.run.id,
            published_at=self.run.published_at,
            n_unreported=self.rows.n_unreported,
            calibration_slope=slope if math.isfinite(slope) else None,
        )


def realise_run(run: ScoringRun, rows: RealisedRows, auc_at_gate: float | None) -> RealisedRun:
    """The figures of one run; those that one class alone can't tell are None."""
    n, n_churners = rows.y.size, int(rows.y.sum())
    auc = auc_estimate(rows.y, rows.p) if 0 < n_churners < n else None
    realised = Realised(
        auc=auc.value if auc else None,
        auc_interval=auc.interval() if auc and math.isfinite(auc.se) else None,
        auc_at_gate=auc_at_gate,
        mean_predicted=float(rows.p.mean()) if n else None,
        churn_rate=n_churners / n if n else None,
        n=n,
        n_churners=n_churners,
        n_immature=rows.n_immature,
    )
    return RealisedRun(run, rows, realised)


def judge_newest(runs: list[tuple[ScoringRun, Realised]], config: MonitoringConfig) -> tuple[Performance, int | None]:
    """The verdict on the newest run that can be judged, else that has any outcome, else on the newest of all.

    One run alone: judging each, one in twenty would be called bad for nothing.
    """
    verdicts = [(judge_realised(realised, config), run, realised) for run, realised in runs]
    judged = [v for v in verdicts if v[0].health_status is not HealthStatus.INSUFFICIENT]
    some = [v for v in verdicts if v[2].n]
    verdict, run, realised = (judged or some or verdicts)[0]
    return verdict, run.id if realised.n else None


async def read_auc_at_gate(session: AsyncSession, version: int) -> float | None:
    """What the gate found; None where it has not judged."""
    verdict = await find_newest_verdict(session, version)
    checks = verdict.judgement["checks"] if verdict else []
    found = next((check["estimate"] for check in checks if check["name"] == "thresholds"), None)
    return None if found is None else float(found)
