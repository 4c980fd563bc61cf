from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from app.ml.checks.trust import check_calibration, check_distribution, check_stability
from app.ml.judgement import Check, Evidence, Production, Verdict
from app.schemas.config import EvaluationConfig
from benchmarks.gate import draw_evidence

CONFIG = EvaluationConfig()


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return draw_evidence(np.random.default_rng(1), 8000, 0.15, auc=0.80)


def with_line(evidence: Evidence, slope: float, intercept: float) -> Evidence:
    """Scores whose recalibration line is the given one."""
    return replace(evidence, p_model=expit((logit(evidence.p_model) - intercept) / slope))


def test_true_probabilities_are_calibrated(evidence: Evidence) -> None:
    check = check_calibration(evidence, CONFIG)
    assert (check.verdict, check.threshold, check.right_side) == (Verdict.PASS, (0.8, 1.25), True)
    assert check.estimate == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("slope", [0.6, 1.6])
def test_a_slope_outside_its_limits_fails(evidence: Evidence, slope: float) -> None:
    check = check_calibration(with_line(evidence, slope, 0), CONFIG)
    assert check.estimate == pytest.approx(slope, rel=0.1)
    assert check.details["slope"]["verdict"] is Verdict.FAIL


def test_a_mean_that_is_off_fails_though_the_slope_is_right(evidence: Evidence) -> None:
    check = check_calibration(with_line(evidence, 1, -0.4), CONFIG)
    assert check.details["slope"]["verdict"] is Verdict.PASS
    assert check.details["mean"]["verdict"] is Verdict.FAIL
    assert check.verdict is Verdict.FAIL
    assert check.details["mean"]["mean_predicted"] > check.details["mean"]["churn_rate"] + 0.03


def test_a_mean_is_off_because_churn_itself_moved(evidence: Evidence) -> None:
    """Predictions are 4 points too high: since half as many churned as at training, or though no fewer did."""
    off, rate = with_line(evidence, 1, -0.4), evidence.y.mean()
    moved = check_calibration(replace(off, development_churn_rate=2 * rate), CONFIG).sentence
    assert f"from {2 * rate:.1%} of the rows learned from to {rate:.1%} of these" in moved
    assert "Churn itself moved" not in check_calibration(replace(off, development_churn_rate=rate / 2), CONFIG).sentence


def test_a_constant_score_off_the_rate_fails_by_its_mean(evidence: Evidence) -> None:
    check = check_calibration(replace(evidence, p_model=np.full(evidence.y.size, 0.5)), CONFIG)
    assert check.verdict is Verdict.FAIL
    assert check.sentence.startswith(
        f"The mean probability is {100 * (0.5 - evidence.y.mean()):+.1f} percentage points"
    )


def first(evidence: Evidence, n: int) -> Evidence:
    return replace(evidence, y=evidence.y[:n], p_model=evidence.p_model[:n], accounts=evidence.accounts[:n])


def test_few_rows_leave_calibration_undecided_on_the_right_side(evidence: Evidence) -> None:
    check = check_calibration(first(evidence, 400), CONFIG)
    assert (check.verdict, check.right_side) == (Verdict.INSUFFICIENT, True)


def test_within_its_own_error_the_mean_passes(evidence: Evidence) -> None:
    few = check_calibration(first(with_line(evidence, 1, -0.15), 300), CONFIG).details["mean"]
    assert abs(few["estimate"]) > 0.01
    assert few["verdict"] is Verdict.PASS


def test_no_line_is_insufficient(evidence: Evidence) -> None:
    check = check_calibration(replace(evidence, p_model=np.full(8000, evidence.y.mean())), CONFIG)
    assert (check.verdict, check.right_side) == (Verdict.INSUFFICIENT, False)
    assert "No calibration line" in check.sentence
    assert check.to_json()["estimate"] is None


def test_scores_of_the_same_population_pass(evidence: Evidence) -> None:
    check = check_distribution(evidence, CONFIG)
    assert check.verdict is Verdict.PASS
    assert check.details["against_production"] is None


def test_scores_stored_in_single_precision_are_still_the_same_scores(evidence: Evidence) -> None:
    tied = np.round(evidence.active_scores, 1)
    stored = replace(evidence, reference_scores=tied.astype(np.float32).astype(np.float64), active_scores=tied)
    assert check_distribution(stored, CONFIG).estimate == 0.0


def test_scores_that_moved_far_fail(evidence: Evidence) -> None:
    moved = replace(evidence, active_scores=expit(logit(evidence.active_scores) + 1.5))
    check = check_distribution(moved, CONFIG)
    assert (check.verdict, check.right_side) == (Verdict.FAIL, False)
    assert check.estimate is not None
    assert check.interval is not None
    assert 0.25 < check.interval.low < check.estimate < check.interval.high


def test_the_shift_against_production_has_no_verdict(evidence: Evidence) -> None:
    far = expit(logit(evidence.active_scores) * 2)
    production = Production(4, evidence.p_baseline, np.ones(8000, dtype=bool), active_scores=far)
    check = check_distribution(replace(evidence, production=production), CONFIG)
    assert check.verdict is Verdict.PASS
    assert check.details["against_production"]["psi"] > 0.25


def test_no_active_accounts_have_no_distribution(evidence: Evidence) -> None:
    assert check_distribution(replace(evidence, active_scores=np.empty(0)), CONFIG).verdict is Verdict.NOT_APPLICABLE


def test_too_few_active_accounts_are_insufficient(evidence: Evidence) -> None:
    check = check_distribution(replace(evidence, active_scores=evidence.active_scores[:5]), CONFIG)
    assert (check.verdict, check.right_side) == (Verdict.INSUFFICIENT, False)


def stability(importances: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Check:
    evidence = draw_evidence(np.random.default_rng(2), 100, 0.3)
    names = tuple(f"f{i}" for i in range(importances.shape[1]))
    return check_stability(replace(evidence, fold_importances=importances, feature_names=names), CONFIG)


def test_folds_that_agree_pass_and_name_the_features() -> None:
    check = stability(np.tile(np.arange(12.0), (5, 1)))
    assert check.verdict is Verdict.PASS
    assert check.details["features"] == [f"f{i}" for i in range(2, 12)]


def test_folds_that_rank_at_random_do_not_pass() -> None:
    check = stability(np.random.default_rng(3).random((5, 30)))
    assert check.verdict is Verdict.FAIL
    assert not check.right_side


def test_one_feature_cannot_be_ranked_and_one_fold_tells_nothing() -> None:
    assert stability(np.ones((5, 1))).verdict is Verdict.NOT_APPLICABLE
    assert stability(np.ones((1, 5))).verdict is Verdict.INSUFFICIENT


def test_two_folds_have_no_interval_and_decide_nothing() -> None:
    check = stability(np.tile(np.arange(5.0), (2, 1)))
    assert (check.verdict, check.right_side) == (Verdict.INSUFFICIENT, True)
    assert check.to_json()["interval"] is None
