"""The curves of an evaluation; their numbers are tested in `stats`, here what is made of them."""

import json
from typing import Any

import numpy as np
import pytest

from app.ml.curves import draw_curves
from app.ml.judgement import Evidence
from app.schemas.config import EvaluationConfig, ProfitConfig
from tests.stats.test_targeting import draw

ASSUMED = ProfitConfig(value_per_account=100, contact_cost=8, save_rate=0.4)


def evidence(y: Any, p: Any, accounts: Any, active: Any = ()) -> Evidence:
    return Evidence(
        y=np.asarray(y, dtype=np.float64),
        accounts=np.asarray(accounts),
        p_model=np.asarray(p, dtype=np.float64),
        p_baseline=np.asarray(p, dtype=np.float64),
        development_churn_rate=0.2,
        reference_scores=np.asarray(p, dtype=np.float64),
        active_scores=np.asarray(active, dtype=np.float64),
        fold_importances=np.ones((2, 2)),
        feature_names=("a", "b"),
    )


def test_thresholds_and_top_shares_tell_whom_to_contact() -> None:
    y, p, accounts = draw(1000, 1, per_account=2)
    curves = draw_curves(evidence(y, p, accounts, active=[0.1, 0.3, 0.6, 0.6]), EvaluationConfig())
    half = next(row for row in curves["thresholds"] if row["cut"] == 0.5)
    hits = [churned for churned, score in zip(y, p, strict=True) if score >= 0.5]
    assert (half["n_flagged"], half["active_share"]) == (len(hits), 0.5)
    assert half["precision"]["estimate"] == pytest.approx(sum(hits) / len(hits))
    assert half["contacts_per_churner"] == pytest.approx(len(hits) / sum(hits))
    assert half["lift"]["estimate"] == pytest.approx(sum(hits) / len(hits) / y.mean())
    for row in curves["gain"]:
        assert row["share"] <= row["top_share"]
        ordered = sorted(zip(p, y, strict=True), reverse=True)[: row["n_flagged"]]
        assert row["recall"]["estimate"] == pytest.approx(sum(churned for _, churned in ordered) / y.sum())
    assert curves["gain"][-1]["recall"]["estimate"] == 1


def test_without_assumptions_profit_is_left_out_and_the_way_to_it_said() -> None:
    curves = draw_curves(evidence(*draw(200, 2)), EvaluationConfig())
    assert curves["profit"] is None
    assert "evaluation.profit" in curves["hint"]


def test_profit_is_told_by_cut_at_the_break_even_and_at_the_best() -> None:
    y, p, accounts = draw(600, 3)
    curves = draw_curves(evidence(y, p, accounts), EvaluationConfig(profit=ASSUMED))
    profit = curves["profit"]
    assert curves["hint"] is None
    for row in profit["curve"]:
        earned = [40 * churned - 8 for churned, score in zip(y, p, strict=True) if score >= row["cut"]]
        assert row["profit"] == pytest.approx(sum(earned) / 600)
        assert row["interval"][0] <= row["profit"] <= row["interval"][1]
    assert profit["break_even"]["probability"] == pytest.approx(0.2)
    assert profit["best"]["profit"] == max(row["profit"] for row in profit["curve"])
    assert profit["best"]["corrected"] < profit["best"]["profit"]
    assert profit["curve"][0]["share"] == 0
    assert profit["curve"][-1]["share"] == 1


def test_the_same_rows_give_the_same_curves() -> None:
    rows = evidence(*draw(300, 4))
    assert draw_curves(rows, EvaluationConfig(profit=ASSUMED)) == draw_curves(rows, EvaluationConfig(profit=ASSUMED))


@pytest.mark.parametrize("y", [[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 1]])
@pytest.mark.parametrize("p", [[0.2, 0.2, 0.2, 0.2], [0.0, 0.4, 0.6, 1.0]])
@pytest.mark.parametrize("accounts", [[0, 0, 0, 0], [0, 1, 2, 3]])
def test_what_can_not_be_told_is_null(y: list[int], p: list[float], accounts: list[int]) -> None:
    for cost in (0, 8, 90):
        assumed = ProfitConfig(value_per_account=100, contact_cost=cost, save_rate=0.4)
        curves = draw_curves(evidence(y, p, accounts), EvaluationConfig(profit=assumed))
        json.dumps(curves, allow_nan=False)
