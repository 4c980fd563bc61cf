from dataclasses import replace

import pytest

from app.ml.drift import HealthStatus
from app.ml.performance import Realised, judge_realised
from app.schemas.config import MonitoringConfig
from app.stats.arrays import Interval

CONFIG = MonitoringConfig()
GOOD = Realised(
    auc=0.80,
    auc_interval=Interval(0.78, 0.82),
    auc_at_gate=0.81,
    mean_predicted=0.10,
    churn_rate=0.11,
    n=3000,
    n_churners=330,
    n_immature=40,
)


def test_as_promised_is_healthy_with_nothing_to_do() -> None:
    found = judge_realised(GOOD, CONFIG)
    assert found.health_status is HealthStatus.HEALTHY
    assert found.degradation == pytest.approx(0.01)
    assert found.recommended_actions == []


@pytest.mark.parametrize(
    ("auc", "interval", "status"),
    [
        (0.77, Interval(0.75, 0.79), HealthStatus.WARNING),
        (0.72, Interval(0.69, 0.75), HealthStatus.CRITICAL),
        (0.72, Interval(0.62, 0.82), HealthStatus.HEALTHY),
    ],
    ids=["fell", "fell far", "may be chance"],
)
def test_a_fall_beyond_chance_counts(auc: float, interval: Interval, status: HealthStatus) -> None:
    found = judge_realised(replace(GOOD, auc=auc, auc_interval=interval), CONFIG)
    assert found.health_status is status
    assert bool(found.recommended_actions) is (status is not HealthStatus.HEALTHY)


def test_a_mean_that_is_off_beyond_chance_counts() -> None:
    found = judge_realised(replace(GOOD, mean_predicted=0.16), CONFIG)
    assert found.health_status is HealthStatus.WARNING
    assert "16.0% churn was predicted and 11.0% came" in found.recommended_actions[0]
    chance = judge_realised(replace(GOOD, mean_predicted=0.145, n=200, n_churners=22), CONFIG)  # Wilson .074 to .161
    assert chance.health_status is HealthStatus.HEALTHY


@pytest.mark.parametrize(("n", "n_churners"), [(300, 19), (40, 25), (0, 0)])
def test_too_few_of_either_kind_is_insufficient(n: int, n_churners: int) -> None:
    found = judge_realised(replace(GOOD, n=n, n_churners=n_churners), CONFIG)
    assert found.health_status is HealthStatus.INSUFFICIENT
    assert found.degradation is None
    assert "40 accounts are not matured yet" in found.recommended_actions[0]


def test_without_an_auc_at_the_gate_the_mean_is_still_judged() -> None:
    found = judge_realised(replace(GOOD, auc_at_gate=None), CONFIG)
    assert (found.health_status, found.degradation) == (HealthStatus.HEALTHY, None)
