"""Recipes refitted in folds: nothing leaks from account to account, and the checks read the folds."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from app.ml.cross_fitting import Recipe, deal_repeats, refit
from app.ml.evidence_bytes import evidence_from_bytes, evidence_to_bytes
from app.ml.frame import Feature, FeatureKind, Floats, Frame
from app.ml.gate import CrossFit, Evidence, Judgement, Production, Recommendation, judge
from app.ml.judgement import Check, EvidenceKind, Look
from app.ml.split import deal_folds
from app.ml.trainer import train
from app.schemas.config import EvaluationConfig, ModelConfig, ProfitConfig, TrainingConfig
from app.stats.power import pass_probability
from benchmarks.gate import draw_evidence, draw_scores
from tests.services.scoring_world import FEATURES, draw_frame

QUIET = TrainingConfig(shap=False, n_folds=3)
LOGISTIC = Recipe(ModelConfig.model_validate({"model_type": "logistic"}), QUIET.n_folds, FEATURES)
CONFIG = EvaluationConfig()


def nothing(share: float) -> None:
    """Nobody listens."""


def test_folds_keep_accounts_together_and_churners_apart() -> None:
    frame = draw_frame(300, seed=1)
    twice = Frame(
        pa.concat_arrays([frame.accounts, frame.accounts]),
        pa.concat_tables([frame.features, frame.features]).combine_chunks(),
        np.tile(np.asarray(frame.churned), 2),
    )
    folds = deal_repeats(twice, seed=7)
    assert folds.shape == (4, 600)
    np.testing.assert_array_equal(folds[:, :300], folds[:, 300:])
    churners = [np.bincount(each, weights=twice.churned, minlength=5) for each in folds]
    assert np.ptp(churners, axis=1).max() <= 2
    assert len({tuple(each) for each in folds.tolist()}) == 4
    np.testing.assert_array_equal(folds, deal_repeats(twice, seed=7))


def test_the_same_recipe_in_the_same_folds_gives_the_same_scores_on_any_number_of_threads() -> None:
    frame = draw_frame(300, seed=2)
    folds = deal_repeats(frame, seed=1)[:1]
    shares: list[float] = []
    first = refit(frame, folds, LOGISTIC, n_threads=1, progress=shares.append)
    second = refit(frame, folds, LOGISTIC, n_threads=2, progress=nothing)
    np.testing.assert_array_equal(first.primary, second.primary)
    np.testing.assert_array_equal(first.baseline, second.baseline)
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert roc_auc_score(frame.churned, first.primary[0]) > 0.75  # the truth that is planted in the frame


def test_a_refit_is_a_training_without_its_report() -> None:
    frame = draw_frame(300, seed=4)
    folds = deal_repeats(frame, seed=1)[:1]
    boosted = ModelConfig.model_validate({"model_type": "xgboost", "xgboost_params": {"n_estimators": 10}, "seed": 5})
    refitted = refit(frame, folds, Recipe(boosted, 3, FEATURES), n_threads=2, progress=nothing)
    test, churned = folds[0] == 2, np.asarray(frame.churned, dtype=np.float64)
    sides = np.full(300, "train", dtype="<U10")
    others = np.flatnonzero(~test)
    quarters = deal_folds(frame.accounts.take(pa.array(others)), churned[others], 4, seed=5)
    sides[test], sides[others[quarters == 0]] = "test", "validation"
    trained = train(
        frame,
        sides,
        FEATURES,
        boosted,
        QUIET,
        profile_rows=sides == "train",
        progress=lambda step, share: None,
        n_threads=1,
    )
    np.testing.assert_array_equal(refitted.primary[0, test], trained.primary.test_probabilities)
    np.testing.assert_array_equal(refitted.baseline[0, test], trained.baseline.test_probabilities)


def test_what_names_an_account_tells_nothing_of_its_other_rows() -> None:
    """Labels by the toss of a coin, the same in all rows of an account, and a column that names it: an AUC of .5."""
    rng = np.random.default_rng(3)
    churned = (rng.random(150) < 0.4).astype(np.float64)
    number = np.repeat(rng.permutation(150).astype(np.float64), 3)
    frame = Frame(
        pa.array(np.repeat([f"a{each}" for each in range(150)], 3)), pa.table({"x": number}), churned.repeat(3)
    )
    boosted = ModelConfig.model_validate({"model_type": "xgboost", "xgboost_params": {"n_estimators": 30}})
    recipe = Recipe(boosted, QUIET.n_folds, (Feature("x", FeatureKind.NUMERIC),))
    scores = refit(frame, deal_repeats(frame, seed=1)[:1], recipe, n_threads=2, progress=nothing)
    assert roc_auc_score(frame.churned, scores.primary[0]) < 0.62  # by row it would be 1


def draw(seed: int, *, auc: float = 0.8, production_auc: float | None = None, **changes: Any) -> Evidence:
    """Evidence with 100 churners in 700 rows, of which the test side has a fifth."""
    rng = np.random.default_rng(seed)
    y = np.zeros(700)
    y[:100] = 1
    folds = np.stack([rng.permutation(np.arange(700) % 5) for _ in range(4)])
    scores = draw_scores(rng, y, 1 / 7, (auc, 0.72, production_auc or 0.5))
    p, base, production = (np.tile(each, (4, 1)) for each in scores)
    fit = CrossFit(y, folds, p, base, production if production_auc else None, **changes)
    small = draw_evidence(rng, 140, 1 / 7, auc=auc, production_auc=production_auc)
    return replace(small, cross_fit=fit)


def test_a_late_look_at_folds_is_not_said_to_be_at_the_test_side() -> None:
    found = judge(replace(draw(1, production_auc=0.7), look=Look(3, 4)), CONFIG)
    assert any(each.startswith("Look 3 at these labelled rows, which have judged 4") for each in found.sentences)
    assert "test side, which has judged" not in " ".join(found.sentences)


def test_the_answer_tells_what_judges_the_recipe_from_what_judges_these_bytes() -> None:
    profit = ProfitConfig(value_per_account=100, contact_cost=1, save_rate=0.5, capacity=0.1, require="positive")
    for config, own in (
        (CONFIG, "Distribution, stability judge"),
        (EvaluationConfig(profit=profit), "Distribution, stability, profit at capacity judge"),
    ):
        told = next(each for each in judge(draw(1), config).sentences if "judge the recipe" in each)
        assert told.endswith(f"These figures judge the recipe, not these very bytes. {own} the version itself.")


def check_of(judgement: Judgement, name: str) -> Check:
    return next(check for check in judgement.checks if check.name == name)


def fold_values(fit: CrossFit, p: Floats) -> Floats:
    return np.array(
        [
            roc_auc_score(fit.y[fold == k], scores[fold == k])
            for fold, scores in zip(fit.folds, p, strict=True)
            for k in range(5)
        ]
    )


def test_the_checks_read_the_folds() -> None:
    evidence = draw(1, production_auc=0.7)
    fit = evidence.cross_fit
    assert fit is not None
    assert fit.p_production is not None
    found = judge(evidence, CONFIG)
    assert found.evidence is EvidenceKind.CROSS_FITTED
    own, production = fold_values(fit, fit.p_model), fold_values(fit, fit.p_production)
    thresholds, against = check_of(found, "thresholds"), check_of(found, "improvement_over_production")
    assert thresholds.estimate == pytest.approx(own.mean())
    assert against.estimate == pytest.approx((own - production).mean())
    assert against.details["se"] == pytest.approx(np.sqrt(0.3) * (own - production).std(ddof=1))
    assert against.details["n_churners"] == 100
    assert against.interval is not None
    half = 2.093024054408263 * against.details["se"]  # t of 19 degrees
    assert against.interval.high == pytest.approx(against.estimate + half)
    assert "the recipe of version 1 in production" in against.sentence
    assert "4 x 5 folds over all 700 labelled rows with 100 churners" in found.sentences[-1]
    assert "judge the recipe" in found.sentences[-1]


def test_calibration_and_cut_are_means_of_the_folds() -> None:
    found = judge(draw(2), CONFIG)
    calibration, parts = check_of(found, "calibration"), check_of(found, "thresholds").details["parts"]
    assert calibration.estimate == pytest.approx(1, abs=0.35)
    assert calibration.details["mean"]["estimate"] == pytest.approx(0, abs=0.03)
    assert 0.2 < parts["precision"]["estimate"] < 0.7
    assert parts["precision"]["interval"].low < parts["precision"]["estimate"] < parts["precision"]["interval"].high


def test_too_timid_probabilities_are_found_by_fold() -> None:
    evidence = draw(3)
    assert evidence.cross_fit is not None
    timid = evidence.cross_fit.p_model / 2.5
    found = judge(replace(evidence, cross_fit=replace(evidence.cross_fit, p_model=timid)), CONFIG)
    assert check_of(found, "calibration").details["mean"]["verdict"].value == "fail"
    assert found.recommendation is Recommendation.REJECT


def test_an_equal_recipe_has_no_error_and_is_promoted() -> None:
    evidence = draw(4, production_auc=0.8)
    assert evidence.cross_fit is not None
    assert evidence.production is not None
    twin = replace(evidence.cross_fit, p_production=evidence.cross_fit.p_model)
    same = replace(evidence.production, same_recipe=True)
    found = judge(replace(evidence, cross_fit=twin, production=same), CONFIG)
    check = check_of(found, "improvement_over_production")
    assert (check.estimate, check.interval, check.verdict.value) == (0.0, (0.0, 0.0), "pass")
    assert found.recommendation is Recommendation.PROMOTE


def test_power_is_that_of_students_interval() -> None:
    found = judge(draw(5, production_auc=0.75), CONFIG)
    se = check_of(found, "improvement_over_production").details["se"]
    assert found.power.equal == pytest.approx(pass_probability(0, se=se, threshold=0, degrees=19))
    assert found.power.equal == pytest.approx(0.025, abs=1e-4)
    assert found.power.n_churners == 100


def test_rows_of_several_instants_are_said_not_to_show_ageing() -> None:
    assert "how a model ages is not in these figures" in judge(draw(6, dated=True), CONFIG).sentences[-1]


def test_an_anchor_without_a_recipe_of_its_own_is_production() -> None:
    evidence = draw(7, production_auc=0.8)
    assert evidence.production is not None
    production = Production(4, evidence.production.p, evidence.production.fair, same_recipe=True)
    assert (
        "anchor"
        not in check_of(judge(replace(evidence, production=production), CONFIG), "improvement_over_production").details
    )


def test_it_is_stored_and_judged_again_alike() -> None:
    evidence = draw(8, production_auc=0.75, dated=True)
    again, _ = evidence_from_bytes(evidence_to_bytes(evidence, np.arange(140)))
    assert again.cross_fit is not None
    assert judge(again, CONFIG).to_json() == judge(evidence, CONFIG).to_json()


def test_a_baseline_is_compared_with_the_base_rate() -> None:
    found = judge(replace(draw(9), baseline_is_model=True), CONFIG)
    baseline, thresholds = check_of(found, "improvement_over_baseline"), check_of(found, "thresholds")
    assert baseline.estimate is not None
    assert thresholds.estimate is not None
    assert baseline.estimate == pytest.approx(thresholds.estimate - 0.5)
