"""Small seeded versions of what benchmarks/gate shows over a thousand runs a cell."""

import numpy as np
import pytest

from benchmarks.gate import coverage, draw_evidence, draw_labels, looks, study
from benchmarks.gate_peers import PointGates, mlflow_passes
from benchmarks.gate_small import small_business


@pytest.mark.slow
def test_of_twenty_equal_candidates_seldom_any_passes() -> None:
    found = looks(600, 0.2, runs=80, seed=2)
    assert found.in_turn <= 0.1  # 4 % over many
    assert found.best_last <= found.in_turn
    assert found.point > 0.8
    assert found.unpaid > found.in_turn


@pytest.mark.slow
@pytest.mark.parametrize("instants", [1, 5])
def test_intervals_hold_the_truth_as_often_as_they_say(instants: int) -> None:
    found = coverage(1500, 0.15, runs=200, seed=3, instants=instants)
    assert 0.90 < found.auc < 0.985  # .95 has a standard error of .015 here
    assert 0.90 < found.difference < 0.985


@pytest.mark.slow
def test_at_a_loss_that_equals_the_margin_not_worse_seldom_passes() -> None:
    assert study(2000, 0.10, -0.01, same_recipe=True, runs=150, seed=4).passes <= 0.06
    assert study(2000, 0.10, 0.0, same_recipe=False, runs=150, seed=4, instants=5).passes <= 0.06


@pytest.mark.slow
def test_a_small_business_gets_a_useful_answer() -> None:
    good, poor = small_business(0.80, runs=2, seed=5), small_business(0.60, runs=2, seed=5)
    assert good.promoted + good.provisional > 0.6
    assert poor.promoted + poor.provisional < 0.4
    assert good.mean_auc == pytest.approx(good.true_auc, abs=0.05)
    assert poor.mean_auc == pytest.approx(poor.true_auc, abs=0.05)


def test_accounts_of_several_instants_churn_at_the_rate_asked_for() -> None:
    y, accounts = draw_labels(np.random.default_rng(1), 50_000, 0.1, 5)
    assert y.mean() == pytest.approx(0.1, abs=0.005)
    assert np.unique(accounts, return_counts=True)[1].tolist() == [5] * 10_000
    ever = np.bincount(accounts, weights=y) > 0
    assert ever.mean() == pytest.approx(0.2 * (1 - 0.5**5), abs=0.01)  # rows of one account are alike


def test_mlflow_looks_at_point_values() -> None:
    assert mlflow_passes(0.7551, 0.75)
    assert not mlflow_passes(0.7549, 0.75)
    assert not mlflow_passes(0.69, 0.60)


def test_the_point_gate_asks_for_its_gain() -> None:
    gates = PointGates(mlflow=False)
    for seed, auc in ((1, 0.85), (2, 0.65)):
        gates.look(draw_evidence(np.random.default_rng(seed), 4000, 0.2, auc=auc, production_auc=0.75))
    gates.look(draw_evidence(np.random.default_rng(3), 400, 0.2))  # nothing to compare with
    assert gates.point_share == 0.5
    assert np.isnan(gates.mlflow_share)
