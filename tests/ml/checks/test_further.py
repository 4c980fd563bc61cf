"""The checks that a policy may ask for beside the six, on evidence whose truth is planted."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.ml.checks.leak_suspicion import check_leak_suspicion
from app.ml.checks.list_stability import check_list_stability
from app.ml.checks.profit import NAME, check_profit
from app.ml.checks.rules import failing_confidence
from app.ml.checks.segments import check_segments
from app.ml.evidence_bytes import evidence_from_bytes, evidence_to_bytes
from app.ml.gate import judge
from app.ml.judgement import Check, Evidence, Production, Recommendation, Verdict
from app.schemas.config import (
    EvaluationConfig,
    LeakSuspicionConfig,
    ListStabilityConfig,
    ProfitConfig,
    SegmentsConfig,
    TopShareCut,
)
from benchmarks.gate import draw_evidence

CONFIG = EvaluationConfig()
BY_PLAN = SegmentsConfig(features=["plan"])
ALL_ON = {
    "segments": {"features": ["plan"]},
    "profit": {"value_per_account": 100, "contact_cost": 5, "save_rate": 0.4, "capacity": 0.1, "require": "positive"},
    "list_stability": {},
    "leak_suspicion": {},
}


def parted(
    seed: int, n: int = 6000, *, n_segments: int = 3, weak: int | None = None, off: int | None = None
) -> Evidence:
    """Rows of equal segments; in the weak one the score is of no use, in the other one too low by far."""
    rng = np.random.default_rng(seed)
    evidence = draw_evidence(rng, n, 0.15, auc=0.80)
    codes, p = rng.integers(n_segments, size=n), evidence.p_model.copy()
    if weak is not None:
        p[codes == weak] = rng.permutation(p[codes == weak])
    if off is not None:
        p[codes == off] /= 4
    names = tuple(f"plan: {at}" for at in range(n_segments))
    return replace(
        evidence, p_model=p, segment_features=("plan",), segment_names=names, segment_codes=codes[np.newaxis]
    )


def weak_ones(check: Check) -> list[str]:
    return [each["segment"] for each in check.details["segments"] if each["verdict"] is Verdict.FAIL]


def test_a_model_that_works_everywhere_has_no_weak_segment() -> None:
    check = check_segments(parted(1), CONFIG, BY_PLAN)
    assert (check.verdict, check.right_side, check.details["n_tests"]) == (Verdict.PASS, True, 6)
    assert check.estimate == min(each["auc"]["estimate"] for each in check.details["segments"])


@pytest.mark.parametrize("broken", [{"weak": 1}, {"off": 1}])
def test_the_segment_that_is_weak_is_named(broken: dict[str, Any]) -> None:
    check = check_segments(parted(2, **broken), CONFIG, BY_PLAN)
    assert (check.verdict, check.right_side) == (Verdict.FAIL, False)
    assert weak_ones(check) == ["plan: 1"]
    assert "plan: 1" in check.sentence


def test_many_good_segments_seldom_fail_by_chance() -> None:
    """Twenty segments whose AUC is about the limit: each judged by itself, several of the rounds would fail."""
    wrong = 0
    for seed in range(60):
        evidence = parted(seed, 6000, n_segments=20)
        wrong += (
            check_segments(evidence, CONFIG, SegmentsConfig(features=["plan"], min_auc=0.795)).verdict is Verdict.FAIL
        )
    assert wrong <= 3


def test_segments_too_small_are_not_judged() -> None:
    evidence = parted(3, 300, n_segments=3)
    assert evidence.segment_codes is not None
    rare = np.where(np.arange(300) < 10, 2, evidence.segment_codes.clip(0, 0))
    check = check_segments(replace(evidence, segment_codes=rare), CONFIG, BY_PLAN)
    assert check.details["too_small"] == ["plan: 2"]
    assert [each["segment"] for each in check.details["segments"]] == ["plan: 0"]


def test_a_feature_that_the_evidence_lacks_decides_nothing() -> None:
    check = check_segments(parted(4), CONFIG, SegmentsConfig(features=["plan", "city"]))
    assert (check.verdict, check.right_side) == (Verdict.INSUFFICIENT, False)
    assert "city" in check.sentence


# ---- profit --------------------------------------------------------------------------------------------------------


def assumed(**changes: Any) -> ProfitConfig:
    fields = {"value_per_account": 100, "contact_cost": 5, "save_rate": 0.4, "capacity": 0.1, "require": "positive"}
    return ProfitConfig.model_validate(fields | changes)


def test_profit_is_what_the_list_of_that_length_earns() -> None:
    evidence = draw_evidence(np.random.default_rng(5), 4000, 0.15, auc=0.80)
    check = check_profit(evidence, CONFIG, assumed())
    top = np.argsort(-evidence.p_model)[:400]
    assert check.estimate == pytest.approx((40 * evidence.y[top].sum() - 5 * 400) / 4000)
    assert check.verdict is Verdict.PASS


def test_a_contact_that_costs_more_than_it_saves_fails() -> None:
    evidence = draw_evidence(np.random.default_rng(6), 4000, 0.15, auc=0.80)
    check = check_profit(evidence, CONFIG, assumed(contact_cost=60))
    assert (check.verdict, check.right_side) == (Verdict.FAIL, False)


def in_production(evidence: Evidence, p: Any, **more: Any) -> Evidence:
    return replace(evidence, production=Production(7, p, np.ones(evidence.y.size, dtype=bool), **more))


def test_profit_against_production_is_paired() -> None:
    evidence = draw_evidence(np.random.default_rng(7), 4000, 0.15, auc=0.80)
    relative = assumed(require="not_below_production")
    assert check_profit(evidence, CONFIG, relative).verdict is Verdict.NOT_APPLICABLE
    same = check_profit(in_production(evidence, evidence.p_model), CONFIG, relative)
    assert (same.estimate, same.interval, same.verdict) == (0.0, (0.0, 0.0), Verdict.PASS)
    assert "at or above 0." in same.sentence
    guess = np.random.default_rng(0).permutation(evidence.p_model)
    assert check_profit(in_production(evidence, guess), CONFIG, relative).verdict is Verdict.PASS
    worse = replace(in_production(evidence, evidence.p_model), p_model=guess)
    assert check_profit(worse, CONFIG, relative).verdict is Verdict.FAIL
    assert check_profit(worse, CONFIG, assumed(require="not_below_production", max_loss=50)).verdict is Verdict.PASS


@pytest.mark.parametrize("require", ["positive", "not_below_production"])
def test_a_list_of_nobody_tells_nothing(require: str) -> None:
    evidence = draw_evidence(np.random.default_rng(7), 4000, 0.15, auc=0.80)
    evidence = in_production(evidence, evidence.p_model)
    for nobody in (
        check_profit(evidence, CONFIG, assumed(require=require, capacity=0.0001)),
        check_profit(replace(evidence, p_model=np.full(4000, 0.15)), CONFIG, assumed(require=require)),
    ):
        assert nobody.verdict is Verdict.INSUFFICIENT
        assert "Of 4,000 rows nobody is among them" in nobody.sentence


def test_without_rows_fair_to_production_there_is_no_profit_to_compare() -> None:
    evidence = draw_evidence(np.random.default_rng(7), 4000, 0.15, auc=0.80)
    unfair = Production(7, evidence.p_model, np.zeros(4000, dtype=bool), unfair="it has learned from all of them")
    config = EvaluationConfig(profit=assumed(require="not_below_production"))
    check = next(each for each in judge(replace(evidence, production=unfair), config).checks if each.name == NAME)
    assert (check.verdict, check.estimate) == (Verdict.INSUFFICIENT, None)
    assert "version 7 in production: it has learned from all of them" in check.sentence


def test_the_interval_of_the_profit_covers_the_truth() -> None:
    """Scores that are the chance to churn, uniform on 0..0.4: the top tenth churns at .38."""
    rng, covered = np.random.default_rng(8), 0
    blank = draw_evidence(rng, 1500, 0.15, auc=0.80)
    for _ in range(400):
        p = rng.uniform(0, 0.4, 1500)
        evidence = replace(blank, y=(rng.random(1500) < p).astype(np.float64), p_model=p)
        interval = check_profit(evidence, CONFIG, assumed()).interval
        assert interval is not None
        covered += interval.low <= 0.1 * (0.38 * 40 - 5) <= interval.high
    assert 0.925 <= covered / 400 <= 0.98


def test_a_check_of_the_profit_needs_a_capacity() -> None:
    with pytest.raises(ValueError, match="capacity"):
        assumed(capacity=None)


# ---- the list ------------------------------------------------------------------------------------------------------


def with_lists(new: Any, old: Any) -> Evidence:
    evidence = draw_evidence(np.random.default_rng(9), 1000, 0.15, auc=0.80)
    paired = None if old is None else np.asarray(old, dtype=np.float64)
    return in_production(
        replace(evidence, active_scores=np.asarray(new, dtype=np.float64)), evidence.p_model, active_paired=paired
    )


def test_who_stays_enters_and_leaves_is_counted() -> None:
    """The first three accounts are on the old list, the second to fifth on the new one; the last has no old score."""
    old = [0.9, 0.8, 0.7, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, np.nan]
    new = [0.1, 0.8, 0.8, 0.8, 0.8, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9]
    asked = ListStabilityConfig.model_validate({"cutoff": {"kind": "probability", "value": 0.5}, "min_stay": 0.6})
    check = check_list_stability(with_lists(new, old), CONFIG, asked)
    assert check.estimate == pytest.approx(2 / 3)
    counted = {name: check.details[f"n_{name}"] for name in ("active", "old", "new", "stay", "leave", "enter")}
    assert counted == {"active": 10, "old": 3, "new": 4, "stay": 2, "leave": 1, "enter": 2}
    assert (check.verdict, check.right_side) == (Verdict.INSUFFICIENT, True)


def test_the_same_scores_keep_the_list_and_others_do_not() -> None:
    scores = np.random.default_rng(10).permutation(2000) / 2000
    asked = ListStabilityConfig(cutoff=TopShareCut(value=0.1))
    assert check_list_stability(with_lists(scores, scores), CONFIG, asked).verdict is Verdict.PASS
    turned = check_list_stability(with_lists(scores, scores[::-1]), CONFIG, asked)
    assert turned.verdict is Verdict.FAIL
    assert turned.estimate == pytest.approx(0.1, abs=0.07)


def test_without_a_list_there_is_nothing_to_keep() -> None:
    asked = ListStabilityConfig()
    alone = draw_evidence(np.random.default_rng(9), 500, 0.15, auc=0.80)
    assert check_list_stability(alone, CONFIG, asked).verdict is Verdict.NOT_APPLICABLE
    for unknown in (with_lists([0.1], None), with_lists([0.1], [np.nan])):
        check = check_list_stability(unknown, CONFIG, asked)
        assert (check.verdict, check.right_side) == (Verdict.INSUFFICIENT, False)


# ---- leaks ---------------------------------------------------------------------------------------------------------


def with_leaks(suspected: tuple[str, ...] | None, importances: Any) -> Evidence:
    evidence = draw_evidence(np.random.default_rng(11), 500, 0.15, auc=0.80)
    names = tuple(f"f{at}" for at in range(np.asarray(importances).shape[1]))
    return replace(
        evidence, suspected_leaks=suspected, fold_importances=np.asarray(importances, float), feature_names=names
    )


EVEN = [[3.0, 3.0, 3.0], [3.0, 3.1, 2.9], [2.9, 3.0, 3.1]]
ALL_IN_ONE = [[97.0, 2.0, 1.0], [98.0, 1.0, 1.0], [97.5, 1.5, 1.0]]


@pytest.mark.parametrize(
    ("suspected", "importances", "verdict", "right_side"),
    [
        ((), EVEN, Verdict.PASS, True),
        (("f1:single_feature",), EVEN, Verdict.FAIL, False),
        (None, EVEN, Verdict.INSUFFICIENT, False),
        ((), ALL_IN_ONE, Verdict.FAIL, False),
        ((), [[1.0], [1.0]], Verdict.PASS, True),
        ((), [[0.0, 0.0], [0.0, 0.0]], Verdict.INSUFFICIENT, False),
    ],
)
def test_a_suspicion_and_a_feature_that_is_everything_fail(
    suspected: tuple[str, ...] | None, importances: Any, verdict: Verdict, right_side: bool
) -> None:
    check = check_leak_suspicion(with_leaks(suspected, importances), CONFIG, LeakSuspicionConfig())
    assert (check.verdict, check.right_side) == (verdict, right_side)
    check.to_json()


def test_an_accepted_name_is_told_with_where_to_look() -> None:
    check = check_leak_suspicion(with_leaks(("f1:twin",), EVEN), CONFIG, LeakSuspicionConfig())
    assert "f1:twin" in check.sentence


# ---- all together --------------------------------------------------------------------------------------------------


def everything(seed: int, **broken: Any) -> Evidence:
    return replace(parted(seed, **broken), suspected_leaks=())


def test_they_are_off_by_default_and_each_that_is_on_shares_the_error() -> None:
    config = EvaluationConfig.model_validate(ALL_ON)
    assert len(judge(everything(1), CONFIG).checks) == 6
    names = [check.name for check in judge(everything(1), config).checks]
    assert names[6:] == ["weak_segments", "profit_at_capacity", "list_stability", "leak_suspicion"]
    assert failing_confidence(CONFIG) == pytest.approx(1 - 0.05 / 6)
    assert failing_confidence(config) == pytest.approx(1 - 0.05 / 10)
    told = EvaluationConfig(profit=assumed(require=None))
    assert failing_confidence(told) == pytest.approx(1 - 0.05 / 6)


def test_their_verdicts_enter_the_recommendation() -> None:
    config = EvaluationConfig.model_validate(ALL_ON)
    good = judge(everything(1), config)
    assert good.recommendation is Recommendation.PROMOTE
    weak = everything(1, off=1)
    calibrated = EvaluationConfig(max_calibration_mean_error=0.5, min_calibration_slope=0.01)
    assert judge(weak, calibrated).recommendation is Recommendation.PROMOTE
    by_segment = calibrated.model_copy(update={"segments": BY_PLAN})
    assert judge(weak, by_segment).recommendation is Recommendation.REJECT


def test_what_they_read_survives_being_stored() -> None:
    config = EvaluationConfig.model_validate(ALL_ON)
    evidence = in_production(everything(3), everything(3).p_model, active_paired=everything(3).active_scores)
    again, _ = evidence_from_bytes(evidence_to_bytes(evidence, np.arange(evidence.y.size)))
    assert judge(again, config).to_json() == judge(evidence, config).to_json()
