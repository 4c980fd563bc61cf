import json

import numpy as np
import pytest
from pydantic import TypeAdapter
from statsmodels.stats.proportion import proportion_confint

from app.ml.tiers import assign_tiers, tier_cutoffs, tier_table, tier_warnings
from app.schemas.config import CapacityTiers, ProbabilityTiers, RelativeTiers, Tiers

P = np.array([0.95, 0.70, 0.69, 0.40, 0.39, 0.05])


def test_probability_tiers_hold_their_limits() -> None:
    assert assign_tiers(P, ProbabilityTiers(), 0.2).tolist() == ["high", "high", "medium", "medium", "low", "low"]


def test_relative_tiers_are_multiples_of_the_base_rate() -> None:
    assert tier_cutoffs(P, RelativeTiers(high=3, medium=1.5), 0.2) == pytest.approx((0.6, 0.3))
    assert assign_tiers(P, RelativeTiers(), 0.2).tolist() == ["high", "high", "high", "medium", "medium", "low"]


def test_capacity_counts_take_the_riskiest_then_the_next() -> None:
    assert assign_tiers(P[::-1], CapacityTiers(high=1, medium=3), 0.2).tolist() == [
        "low", "low", "medium", "medium", "medium", "high",
    ]  # fmt: skip


def test_capacity_shares_are_of_the_whole_run() -> None:
    p = np.arange(100) / 100
    tiers = assign_tiers(p, CapacityTiers(high=0.29, medium=0.28), 0.2)
    assert [int((tiers == tier).sum()) for tier in ("high", "medium", "low")] == [29, 28, 43]


def test_ties_that_do_not_fit_go_to_the_tier_below() -> None:
    p = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    assert assign_tiers(p, CapacityTiers(high=2, medium=2), 0.2).tolist() == ["high", *["medium"] * 3, "low"]
    assert assign_tiers(p, CapacityTiers(high=2, medium=1), 0.2).tolist() == ["high", *["low"] * 4]


def test_cutoffs_of_the_whole_give_chunks_the_same_tiers() -> None:
    p = np.random.default_rng(1).random(1000)
    policy = CapacityTiers(high=50, medium=100)
    high, medium = tier_cutoffs(p, policy, 0.2)
    assert ((p >= high).sum(), (p >= medium).sum()) == (50, 150)


def test_table_worked_by_hand() -> None:
    y = np.array([1.0, 1, 0, 1, 0, np.nan])
    table = tier_table(P, y, assign_tiers(P, ProbabilityTiers(), 0.2))
    assert [(row.tier, row.n, row.n_labelled, row.churn_rate) for row in table] == [
        ("high", 2, 2, 1.0),
        ("medium", 2, 2, 0.5),
        ("low", 2, 1, 0.0),
    ]
    assert [row.share_of_churners for row in table] == pytest.approx([2 / 3, 1 / 3, 0])
    assert table[0].mean_probability == pytest.approx(0.825)
    assert table[1].interval == pytest.approx(proportion_confint(1, 2, method="wilson"), abs=1e-6)


def test_empty_tiers_and_unknown_outcomes_are_null() -> None:
    table = tier_table(np.array([0.1]), None, np.array(["low"]))
    assert table[0].to_json() == {
        "tier": "high",
        "n": 0,
        "share": 0.0,
        "mean_probability": None,
        "n_labelled": 0,
        "churn_rate": None,
        "interval": None,
        "share_of_churners": None,
    }
    assert json.dumps([row.to_json() for row in tier_table(np.empty(0), None, np.empty(0, dtype=str))])
    assert tier_warnings(tier_table(np.empty(0), None, np.empty(0, dtype=str)), 0.2) == ()


def test_rare_churn_leaves_the_high_tier_empty_and_is_warned_with_ready_alternatives() -> None:
    p = np.random.default_rng(2).beta(1, 19, 5000)
    (warning,) = tier_warnings(tier_table(p, None, assign_tiers(p, ProbabilityTiers(), 0.05)), 0.05)
    assert "high tier" in warning.sentence
    alternatives: list[Tiers] = [TypeAdapter(Tiers).validate_python(raw) for raw in warning.to_json()["alternatives"]]
    assert [policy.kind for policy in alternatives] == ["capacity", "relative"]
    for policy in alternatives:
        assert tier_warnings(tier_table(p, None, assign_tiers(p, policy, 0.05)), 0.05) == ()


def test_half_the_accounts_at_risk_is_no_choice_and_multiples_are_not_offered_for_common_churn() -> None:
    p = np.linspace(0.3, 0.9, 500)
    (warning,) = tier_warnings(tier_table(p, None, assign_tiers(p, ProbabilityTiers(), 0.6)), 0.6)
    assert "hardly a choice" in warning.sentence
    assert [policy.kind for policy in warning.alternatives] == ["capacity"]


def test_a_policy_that_chooses_is_not_warned() -> None:
    p = np.linspace(0, 0.8, 500)
    assert tier_warnings(tier_table(p, None, assign_tiers(p, ProbabilityTiers(), 0.3)), 0.3) == ()
