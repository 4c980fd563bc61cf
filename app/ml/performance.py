"""Realised performance: whether what the model said has come true."""

from dataclasses import dataclass

from app.ml.drift import HealthStatus, worst
from app.schemas.config import MonitoringConfig
from app.stats.arrays import Interval
from app.stats.proportions import wilson

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
    n, n_churners : matured accounts, and those of them that churned
    n_immature : accounts whose outcome can't be known yet
    """

    auc: float | None
    auc_interval: Interval | None
    auc_at_gate: float | None
    mean_predicted: float | None
    churn_rate: float | None
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
