"""Realised performance: whether what the model said has come true."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.ml.drift import HealthStatus, worst
from app.ml.frame import Floats
from app.schemas.config import MonitoringConfig
from app.stats.arrays import Interval
from app.stats.calibration import calibration_line
from app.stats.proportions import wilson
from app.stats.ranking import auc_estimate

MIN_CHURNERS = 20  # under it a comparison says nothing: STATISTICS.md section 4


@dataclass(frozen=True)
class Realised:
    """What came of the accounts a version scored.

    Attributes
    ----------
    auc : 0..1, on the matured accounts; None with one class only
    auc_interval : its 95 % interval; None with it
    auc_at_gate : the AUC its evaluation found; None where there was none
    mean_predicted, churn_rate : of the matured accounts, 0..1; None without any
    calibration_slope : of the recalibration line, 1 is right; None where there is no such line
    n, n_churners : matured accounts, and those of them that churned
    n_immature : accounts whose outcome can't be known yet
    """

    auc: float | None
    auc_interval: Interval | None
    auc_at_gate: float | None
    mean_predicted: float | None
    churn_rate: float | None
    calibration_slope: float | None
    n: int
    n_churners: int
    n_immature: int


@dataclass(frozen=True)
class Performance:
    """The verdict on realised performance.

    `degradation` is the AUC at the gate minus the realised one; None where either is unknown.
    """

    health_status: HealthStatus
    degradation: float | None
    recommended_actions: list[str]


def realise(y: Floats, p: Floats, *, n_immature: int, auc_at_gate: float | None) -> Realised:
    """The figures of one run; those that one class alone can't tell are None.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed: the matured accounts whose outcome is known; may be empty.
    p : ndarray of shape (n,)
        The probabilities they were given, 0..1.
    n_immature, auc_at_gate
        As in `Realised`.
    """
    n, n_churners = y.size, int(y.sum())
    auc = auc_estimate(y, p) if 0 < n_churners < n else None
    slope = calibration_line(y, p).slope if auc else math.nan
    return Realised(
        auc=auc.value if auc else None,
        auc_interval=auc.interval() if auc and math.isfinite(auc.se) else None,
        auc_at_gate=auc_at_gate,
        mean_predicted=float(p.mean()) if n else None,
        churn_rate=n_churners / n if n else None,
        calibration_slope=slope if math.isfinite(slope) else None,
        n=n,
        n_churners=n_churners,
        n_immature=n_immature,
    )


def judge_newest(runs: Sequence[Realised], config: MonitoringConfig) -> tuple[Performance, int | None]:
    """The verdict on the newest run that can be judged, else that has any outcome, else on the newest of all.

    One run alone: judging each, one in twenty would be called bad for nothing. `runs` has one or more, the newest
    first; the second answer is the position of the run judged, None where no run has an outcome.
    """
    verdicts = [judge_realised(each, config) for each in runs]
    judged = [at for at, each in enumerate(verdicts) if each.health_status is not HealthStatus.INSUFFICIENT]
    some = [at for at, each in enumerate(runs) if each.n]
    chosen = [*judged, *some, 0][0]
    return verdicts[chosen], chosen if runs[chosen].n else None


def judge_realised(realised: Realised, config: MonitoringConfig) -> Performance:
    """Compare realised with promised performance.

    A fall in AUC counts where it reaches its limit and the realised 95 % interval lies below the AUC at the gate; a
    gap between the mean probability and the churn rate where it reaches its limit and lies outside the 95 % interval.
    Fewer than 20 churners, or 20 accounts that stayed, are not enough.
    """
    if min(realised.n_churners, realised.n - realised.n_churners) < MIN_CHURNERS:
        return Performance(HealthStatus.INSUFFICIENT, None, [_too_few(realised)])
    verdicts = [_judge_auc(realised, config), _judge_mean(realised, config)]
    status = worst(status for status, _ in verdicts)
    return Performance(status, _degradation(realised), [action for _, action in verdicts if action])


def _too_few(realised: Realised) -> str:
    waiting = f"; {realised.n_immature} accounts are not matured yet" if realised.n_immature else ""
    return (
        f"Realised performance rests on {realised.n_churners} churners among {realised.n} matured accounts, "
        f"and is judged from {MIN_CHURNERS} of either kind on{waiting}: report outcomes as they come in."
    )


def _degradation(realised: Realised) -> float | None:
    if realised.auc is None or realised.auc_at_gate is None:
        return None
    return realised.auc_at_gate - realised.auc


def _judge_auc(realised: Realised, config: MonitoringConfig) -> tuple[HealthStatus, str]:
    fall = _degradation(realised)
    if fall is None or realised.auc_interval is None or realised.auc_at_gate is None:
        return HealthStatus.INSUFFICIENT, ""
    beyond_chance = realised.auc_interval.high < realised.auc_at_gate
    if not beyond_chance or fall < config.auc_drop_warning:
        return HealthStatus.HEALTHY, ""
    told = f"AUC fell from {realised.auc_at_gate:.3f} at the gate to {realised.auc:.3f} on matured outcomes"
    if fall >= config.auc_drop_critical:
        return HealthStatus.CRITICAL, f"{told}: train a new version, or roll back if an earlier one did better."
    return HealthStatus.WARNING, f"{told}: train a new version and let the gate compare."


def _judge_mean(realised: Realised, config: MonitoringConfig) -> tuple[HealthStatus, str]:
    if realised.mean_predicted is None or realised.churn_rate is None:
        return HealthStatus.INSUFFICIENT, ""
    low, high = wilson(realised.n_churners, realised.n)
    within = low <= realised.mean_predicted <= high
    if within or abs(realised.mean_predicted - realised.churn_rate) < config.calibration_mean_warning:
        return HealthStatus.HEALTHY, ""
    return HealthStatus.WARNING, (
        f"{realised.mean_predicted:.1%} churn was predicted and {realised.churn_rate:.1%} came: "
        f"probabilities are off, train a new version on newer outcomes."
    )
