import json
from dataclasses import replace

import numpy as np
import pytest

from app.ml.gate import Evidence, Judgement, Production, Recommendation, Verdict, judge
from app.ml.judgement import Check, Look
from app.schemas.config import EvaluationConfig
from app.stats.power import pass_probability
from benchmarks.gate import draw_evidence, study

CONFIG = EvaluationConfig()
PRODUCTION = "improvement_over_production"


def draw(
    seed: int,
    n: int = 4000,
    rate: float = 0.15,
    *,
    auc: float = 0.80,
    baseline_auc: float = 0.74,
    production_auc: float | None = None,
    same_recipe: bool = False,
) -> Evidence:
    rng = np.random.default_rng(seed)
    return draw_evidence(
        rng, n, rate, auc=auc, baseline_auc=baseline_auc, production_auc=production_auc, same_recipe=same_recipe
    )


def twin(evidence: Evidence, *, same_recipe: bool = False) -> Evidence:
    """The candidate is in production already."""
    everywhere = np.ones(evidence.y.size, dtype=bool)
    return replace(evidence, production=Production(7, evidence.p_model, everywhere, same_recipe))


def of(judgement: Judgement, name: str) -> Check:
    return next(check for check in judgement.checks if check.name == name)


def test_a_good_first_model_is_promoted_with_all_six_checks_told() -> None:
    found = judge(draw(1), CONFIG)
    assert [check.name for check in found.checks] == [
        "thresholds",
        "improvement_over_baseline",
        "improvement_over_production",
        "calibration",
        "distribution",
        "stability",
    ]
    assert (found.recommendation, found.provisional) == (Recommendation.PROMOTE, False)
    assert (found.rule, found.deciding_check) == ("first_champion", "thresholds")
    assert of(found, "improvement_over_production").verdict is Verdict.NOT_APPLICABLE
    assert all(check.sentence for check in found.checks)


def test_a_model_below_the_bar_is_rejected() -> None:
    found = judge(draw(2, auc=0.62, baseline_auc=0.58), CONFIG)
    assert of(found, "thresholds").verdict is Verdict.FAIL
    assert found.recommendation is Recommendation.REJECT
    assert found.sentences[0] == f"Reject for thresholds: {of(found, 'thresholds').sentence}"


def test_few_churners_and_no_production_promote_provisionally() -> None:
    found = judge(draw(30, n=300, rate=0.12, auc=0.78, baseline_auc=0.68), EvaluationConfig(min_auc=0.75))
    assert of(found, "thresholds").verdict is Verdict.INSUFFICIENT
    assert (found.recommendation, found.provisional) == (Recommendation.PROMOTE, True)
    assert "thresholds" in found.insufficient
    assert "judge again as outcomes mature" in found.sentences[0]
    assert "churners. Under 200 one test side says little" in found.sentences[-1]


def test_provisional_asks_every_estimate_to_be_on_the_right_side() -> None:
    found = judge(draw(30, n=300, rate=0.12, auc=0.78, baseline_auc=0.79), CONFIG)
    check = of(found, "improvement_over_baseline")
    assert (check.verdict, check.right_side) == (Verdict.INSUFFICIENT, False)
    assert found.recommendation is Recommendation.HOLD
    assert found.sentences[0].endswith(f"for improvement over baseline: {check.sentence}")


def test_with_production_too_little_evidence_means_hold() -> None:
    found = judge(draw(4, n=600, auc=0.79, production_auc=0.78), CONFIG)
    assert of(found, "improvement_over_production").verdict is Verdict.INSUFFICIENT
    assert (found.recommendation, found.provisional) == (Recommendation.HOLD, False)
    assert "churners would show" in found.sentences[0]


def test_a_truly_better_model_is_promoted_over_production() -> None:
    found = judge(draw(5, n=10_000, auc=0.80, production_auc=0.76), CONFIG)
    assert (found.recommendation, found.rule) == (Recommendation.PROMOTE, "better")
    assert found.deciding_check == "improvement_over_production"


def test_a_truly_worse_model_is_rejected() -> None:
    found = judge(draw(6, n=10_000, auc=0.76, production_auc=0.80), CONFIG)
    assert of(found, "improvement_over_production").verdict is Verdict.FAIL
    assert found.recommendation is Recommendation.REJECT


@pytest.mark.parametrize("same_recipe", [False, True], ids=["better", "not worse"])
def test_equal_scores_have_no_error_and_pass(*, same_recipe: bool) -> None:
    found = judge(twin(draw(7), same_recipe=same_recipe), CONFIG)
    check = of(found, "improvement_over_production")
    assert (check.estimate, check.interval, check.verdict) == (0.0, (0.0, 0.0), Verdict.PASS)
    assert found.recommendation is Recommendation.PROMOTE


def test_equal_recipes_are_judged_by_not_worse_unless_the_policy_says_otherwise() -> None:
    evidence = draw(8, production_auc=0.80, same_recipe=True)
    check = of(judge(evidence, CONFIG), "improvement_over_production")
    assert (check.details["rule"], check.threshold) == ("not_worse", -0.01)
    strict = judge(evidence, EvaluationConfig(promotion_rule="better"))
    assert (strict.rule, of(strict, "improvement_over_production").threshold) == ("better", 0.0)


def test_margins_do_not_add_up_past_the_anchor() -> None:
    evidence = draw(9, n=10_000, auc=0.76, production_auc=0.76, same_recipe=True)
    best = draw(9, n=10_000, auc=0.82, production_auc=0.76)  # the same seed: the same labels and common noise
    np.testing.assert_array_equal(best.y, evidence.y)
    production = Production(7, evidence.p_model, np.ones(10_000, dtype=bool), True, None, 3, best.p_model)
    found = judge(replace(evidence, production=production), CONFIG)
    check = of(found, "improvement_over_production")
    assert check.estimate == 0.0
    assert check.details["anchor"]["verdict"] is Verdict.FAIL
    assert "version 3, the last promoted as better" in check.sentence
    assert found.recommendation is Recommendation.REJECT


def test_only_fair_rows_are_compared() -> None:
    evidence = draw(10, production_auc=0.5)
    assert evidence.production is not None
    fair = np.arange(evidence.y.size) < 2000
    spoiled = np.where(fair, evidence.p_model, evidence.y)  # production has seen the labels of the other rows
    found = judge(replace(evidence, production=replace(evidence.production, p=spoiled, fair=fair)), CONFIG)
    check = of(found, "improvement_over_production")
    assert (check.estimate, check.details["n"]) == (0.0, 2000)


@pytest.mark.parametrize("n_churners", [0, 19])
def test_fewer_than_twenty_fair_churners_decide_nothing(n_churners: int) -> None:
    evidence = twin(draw(11))
    assert evidence.production is not None
    fair = (evidence.y == 0) | (np.cumsum(evidence.y) <= n_churners)
    found = judge(replace(evidence, production=replace(evidence.production, fair=fair)), CONFIG)
    check = of(found, "improvement_over_production")
    assert check.verdict is Verdict.INSUFFICIENT
    assert found.recommendation is Recommendation.HOLD
    assert "too few" in check.sentence


def test_a_baseline_that_is_as_good_is_said_so_in_words() -> None:
    found = judge(draw(12, auc=0.78, baseline_auc=0.785), CONFIG)
    assert found.baseline_as_good
    assert any("logistic baseline is not shown to be worse" in sentence for sentence in found.sentences)
    assert not judge(draw(12, auc=0.80, baseline_auc=0.70), CONFIG).baseline_as_good


def test_a_late_look_takes_back_no_lead_on_the_baseline() -> None:
    """Looks pay for passing; that the baseline is as good is advice, at the same confidence at each."""
    early = draw(1, 8000, auc=0.80, baseline_auc=0.792)
    first, late = judge(early, CONFIG), judge(replace(early, look=Look(40, 40)), CONFIG)
    lows = [judged.checks[1].to_json()["interval"][0] for judged in (first, late)]
    assert lows[0] > 0 > lows[1]
    assert (first.baseline_as_good, late.baseline_as_good) == (False, False)


def test_a_first_champion_whose_baseline_is_as_good_is_held_for_it() -> None:
    found = judge(draw(1, auc=0.78, baseline_auc=0.775), CONFIG)
    assert of(found, "improvement_over_baseline").right_side
    assert found.baseline_as_good
    assert found.recommendation is Recommendation.HOLD
    assert "baseline" in found.sentences[0]


def test_a_baseline_as_candidate_is_compared_with_the_base_rate() -> None:
    evidence = replace(draw(13), baseline_is_model=True)
    found = judge(evidence, CONFIG)
    check, thresholds = of(found, "improvement_over_baseline"), of(found, "thresholds")
    assert check.estimate is not None
    assert thresholds.estimate is not None
    assert check.interval is not None
    assert thresholds.interval is not None
    assert check.estimate == pytest.approx(thresholds.estimate - 0.5)
    assert check.interval == pytest.approx([end - 0.5 for end in thresholds.interval])
    assert check.verdict is Verdict.PASS
    assert not found.baseline_as_good


def test_one_failing_check_rejects_even_where_the_deciding_one_passes() -> None:
    evidence = draw(14)
    found = judge(replace(evidence, p_model=evidence.p_model / 3), CONFIG)
    assert of(found, "thresholds").verdict is Verdict.PASS
    assert of(found, "calibration").verdict is Verdict.FAIL
    assert found.recommendation is Recommendation.REJECT


def test_power_is_stated_for_an_equal_a_better_and_a_worse_model() -> None:
    found = judge(draw(15, production_auc=0.80), CONFIG)
    se = of(found, "improvement_over_production").details["se"]
    assert found.power.reference == "production"
    assert found.power.equal == pytest.approx(0.025)
    assert found.power.better == pytest.approx(pass_probability(0.02, se=se, threshold=0), abs=0.05)
    assert found.power.worse is not None
    assert found.power.worse < 0.001
    assert set(found.power.churners_needed) == {"0.01", "0.02"}


def test_power_of_a_twin_does_not_promise_to_see_every_difference() -> None:
    power = judge(twin(draw(16), same_recipe=True), CONFIG).power
    assert power.equal == 1.0
    assert power.better is not None
    assert power.better < 1.0


@pytest.mark.parametrize("rows", [0, 1, 5, 40], ids=lambda n: f"{n} rows")
@pytest.mark.parametrize("one_class", [False, True])
def test_whatever_is_missing_the_answer_is_json_without_nan(rows: int, *, one_class: bool) -> None:
    evidence = draw(17, n=4000)
    y = np.zeros(rows) if one_class else evidence.y[:rows]
    small = replace(
        evidence,
        y=y,
        accounts=np.array([f"account {i}" for i in range(rows)], dtype=object),
        p_model=evidence.p_model[:rows],
        p_baseline=evidence.p_baseline[:rows],
        production=Production(1, evidence.p_baseline[:rows], np.ones(rows, dtype=bool)),
    )
    for case in (small, replace(small, production=None), replace(small, baseline_is_model=True)):
        found = judge(case, CONFIG)
        assert found.recommendation is not Recommendation.REJECT
        assert json.loads(json.dumps(found.to_json(), allow_nan=False))["checks"][0]["name"] == "thresholds"


def test_a_check_has_the_agreed_shape() -> None:
    for check in judge(draw(18, production_auc=0.78), CONFIG).to_json()["checks"]:
        assert list(check) == [
            "name", "estimate", "interval", "confidence", "threshold", "verdict", "sentence", "details",
        ]  # fmt: skip


def test_rows_of_one_account_are_one_piece_of_evidence() -> None:
    once = draw(19, n=1000)
    thrice = replace(
        once,
        y=np.tile(once.y, 3),
        p_model=np.tile(once.p_model, 3),
        p_baseline=np.tile(once.p_baseline, 3),
        accounts=np.tile(once.accounts, 3),
    )
    single, triple = judge(once, CONFIG), judge(thrice, CONFIG)
    for name in ("thresholds", "improvement_over_baseline"):
        assert of(triple, name).interval == pytest.approx(of(single, name).interval, abs=0.001)


@pytest.mark.slow
def test_rates_of_promotion_are_those_that_were_stated() -> None:
    equal = study(2000, 0.10, 0.0, same_recipe=False, runs=200, seed=5)
    better = study(10_000, 0.10, 0.02, same_recipe=False, runs=60, seed=5)
    assert equal.promoted <= 0.06  # nominal 2.5 %
    assert better.promoted >= 0.9
    assert better.passes == pytest.approx(better.stated_power, abs=0.08)
    assert equal.se_constant == pytest.approx(0.122, abs=0.02)


@pytest.mark.parametrize("production_auc", [None, 0.78])
def test_the_deciding_check_shows_a_bootstrap_beside_delong(production_auc: float | None) -> None:
    evidence = draw(20, n=1500, production_auc=production_auc)
    found = judge(evidence, CONFIG)
    for check in found.checks:
        assert ("bootstrap" in check.details) == (check.name == found.deciding_check)
    check = of(found, found.deciding_check)
    assert check.interval is not None
    assert check.details["bootstrap"]["n_draws"] == 1000
    assert check.details["bootstrap"]["interval"] == pytest.approx(check.interval, abs=0.006)
    without = judge(evidence, CONFIG, n_draws=0)
    assert "bootstrap" not in of(without, found.deciding_check).details
    assert without.recommendation is found.recommendation


def test_no_harm_promotes_what_is_not_shown_to_be_worse_and_says_how_weak_that_is() -> None:
    config = EvaluationConfig(promotion_rule="no_harm")
    evidence = draw(23, n=800, auc=0.79, production_auc=0.79)
    found, strict = judge(evidence, config), judge(evidence, EvaluationConfig(promotion_rule="not_worse"))
    check = of(found, "improvement_over_production")
    assert check.interval is not None
    assert check.interval.low < -0.01 < 0 < check.interval.high
    assert of(strict, "improvement_over_production").verdict is Verdict.INSUFFICIENT
    assert (check.verdict, check.threshold) == (Verdict.PASS, -0.01)
    assert found.recommendation is Recommendation.PROMOTE
    assert found.to_json()["weak_evidence"]
    assert any(sentence.startswith("Weak evidence") for sentence in found.sentences)
    assert not strict.to_json()["weak_evidence"]


@pytest.mark.parametrize("auc", [0.77, 0.70])
def test_no_harm_does_not_promote_what_lies_lower_or_is_shown_to_be_worse(auc: float) -> None:
    evidence = draw(22, n=1500, auc=auc, baseline_auc=0.6, production_auc=0.80)
    found = judge(evidence, EvaluationConfig(promotion_rule="no_harm"))
    check = of(found, "improvement_over_production")
    assert check.verdict is not Verdict.PASS
    assert found.recommendation is not Recommendation.PROMOTE


def test_power_under_no_harm_is_how_often_it_passes() -> None:
    """Simulated on the scale of the difference: an estimate above -.01 whose interval reaches 0."""
    found = judge(draw(23, n=1500, production_auc=0.80), EvaluationConfig(promotion_rule="no_harm"))
    se = of(found, "improvement_over_production").details["se"]
    drawn = np.random.default_rng(1).normal(0.0, se, 200_000)
    assert found.power.equal == pytest.approx(np.mean((drawn >= -0.01) & (drawn + 1.96 * se >= 0)), abs=0.005)


def shown_worse_within_the_margin() -> Evidence:
    """A difference of about -.003, wholly below 0 and wholly above -.01: many rows, and two scores much alike."""
    rng, evidence = np.random.default_rng(4), draw(24, n=60_000)
    shaken = np.clip(evidence.p_model * np.exp(rng.normal(0, 0.13, evidence.y.size)), 0, 1)
    everywhere = np.ones(evidence.y.size, dtype=bool)
    return replace(evidence, p_model=shaken, production=Production(7, evidence.p_model, everywhere))


def test_no_harm_does_not_say_that_what_is_shown_to_be_worse_is_not() -> None:
    """It passes for the reason that `not_worse` has: the loss is shown to be within the margin."""
    check = of(judge(shown_worse_within_the_margin(), EvaluationConfig(promotion_rule="no_harm")), PRODUCTION)
    assert check.interval is not None
    assert -0.01 < check.interval.low < check.interval.high < 0
    assert check.verdict is Verdict.PASS
    assert "not shown to be worse" not in check.sentence
    assert "at or above the -0.01" in check.sentence


def test_power_under_no_harm_counts_both_ways_to_pass() -> None:
    found = judge(shown_worse_within_the_margin(), EvaluationConfig(promotion_rule="no_harm"))
    se = of(found, PRODUCTION).details["se"]
    drawn = np.random.default_rng(1).normal(0.0, se, 200_000)
    passes = ((drawn >= -0.01) & (drawn + 1.96 * se >= 0)) | (drawn - 1.96 * se >= -0.01)
    assert found.power.equal == pytest.approx(np.mean(passes), abs=0.005)
    assert (found.power.equal or 0) > 0.98  # that the upper end reaches 0 happens 97.5 % of the time


@pytest.mark.parametrize(("number", "told"), [(7, "99.82"), (14, "99.952"), (60, "99.9973")])
def test_no_late_look_is_said_to_be_at_certainty(number: int, told: str) -> None:
    evidence = replace(draw(25, n=2000, production_auc=0.79), look=Look(number, number + 2))
    found = judge(evidence, CONFIG)
    assert f"({told} % interval" in of(found, PRODUCTION).sentence
    look = next(each for each in found.sentences if each.startswith(f"Look {number}"))
    assert f"to pass takes {told} % confidence instead of 95 %" in look
    assert "(100 %" not in json.dumps(found.to_json())


def test_without_a_fair_row_the_comparison_is_refused_with_the_reason() -> None:
    evidence = draw(24, production_auc=0.7)
    assert evidence.production is not None
    nowhere = replace(evidence.production, fair=np.zeros(evidence.y.size, dtype=bool), unfair="it has seen them all.")
    found = judge(replace(evidence, production=nowhere), CONFIG)
    check = of(found, "improvement_over_production")
    assert check.sentence == "No comparison with version 1 in production: it has seen them all."
    assert check.details["refused"] == "it has seen them all."
    assert (check.verdict, found.recommendation) == (Verdict.INSUFFICIENT, Recommendation.HOLD)
    assert found.sentences[0] == f"Hold: {check.sentence}"
