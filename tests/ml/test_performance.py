from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from app.ml.drift import HealthStatus
from app.ml.performance import Realised, judge_newest, judge_realised, realise
from app.schemas.config import MonitoringConfig
from app.stats.arrays import Interval

CONFIG = MonitoringConfig()
GOOD = Realised(
    auc=0.80,
    auc_interval=Interval(0.78, 0.82),
    auc_at_gate=0.81,
    mean_predicted=0.10,
    churn_rate=0.11,
    calibration_slope=1.0,
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


def test_what_came_true_in_figures() -> None:
    rng = np.random.default_rng(1)
    p = rng.uniform(0.05, 0.95, size=4000)
    y = (rng.random(4000) < p).astype(np.float64)
    found = realise(y, p, n_immature=7, auc_at_gate=0.8)
    assert found.auc == pytest.approx(roc_auc_score(y, p))
    assert found.auc is not None
    assert found.auc_interval is not None
    assert found.auc_interval.low < found.auc < found.auc_interval.high
    assert found.calibration_slope == pytest.approx(1, abs=0.1)
    assert found.mean_predicted == pytest.approx(p.mean())
    assert found.churn_rate == pytest.approx(y.mean())
    assert (found.n, found.n_churners, found.n_immature, found.auc_at_gate) == (4000, int(y.sum()), 7, 0.8)


@pytest.mark.parametrize("y", [[], [1.0, 1.0], [0.0, 0.0]])
def test_one_class_alone_has_no_order(y: list[float]) -> None:
    found = realise(np.array(y), np.full(len(y), 0.5), n_immature=0, auc_at_gate=None)
    assert (found.auc, found.auc_interval, found.calibration_slope) == (None, None, None)
    assert (found.mean_predicted, found.churn_rate) == ((0.5, y[0]) if y else (None, None))


FEW = replace(GOOD, n=30, n_churners=5)
NONE = replace(GOOD, n=0, n_churners=0)
BAD = replace(GOOD, auc=0.6, auc_interval=Interval(0.58, 0.62))


@pytest.mark.parametrize(
    ("runs", "at"), [([FEW, GOOD, BAD], 1), ([NONE, FEW, FEW], 1), ([NONE, NONE], None), ([BAD, GOOD], 0)]
)
def test_one_run_is_judged_the_newest_that_can_be(runs: list[Realised], at: int | None) -> None:
    found, position = judge_newest(runs, CONFIG)
    assert (found, position) == (judge_realised(runs[at or 0], CONFIG), at)
