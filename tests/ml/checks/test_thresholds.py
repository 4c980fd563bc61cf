from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from app.ml.checks.thresholds import auc_verdict, check_thresholds, flagged_rows
from app.ml.judgement import Evidence, Verdict
from app.schemas.config import EvaluationConfig, ProbabilityCut, TierCut, TopShareCut
from benchmarks.gate import draw_evidence


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return draw_evidence(np.random.default_rng(1), 3000, 0.2, auc=0.80)


def test_figures_are_scikit_learns(evidence: Evidence) -> None:
    check = check_thresholds(evidence, EvaluationConfig(cutoff=ProbabilityCut(value=0.3)))
    flagged, parts = evidence.p_model >= 0.3, check.details["parts"]
    assert check.estimate == pytest.approx(roc_auc_score(evidence.y, evidence.p_model))
    assert parts["precision"]["estimate"] == pytest.approx(precision_score(evidence.y, flagged))
    assert parts["recall"]["estimate"] == pytest.approx(recall_score(evidence.y, flagged))
    assert check.details["f1"]["estimate"] == pytest.approx(f1_score(evidence.y, flagged))
    assert check.details["n_flagged"] == flagged.sum()


def test_the_default_cutoff_flags_the_development_churn_rate(evidence: Evidence) -> None:
    assert flagged_rows(evidence, EvaluationConfig()).sum() == 600
    assert flagged_rows(evidence, EvaluationConfig(cutoff=TopShareCut(value=0.1))).sum() == 300


def test_tiers_cut_at_their_default_policy(evidence: Evidence) -> None:
    for tier, limit in (("high", 0.7), ("medium", 0.4)):
        cutoff = TierCut.model_validate({"value": tier})
        flagged = flagged_rows(evidence, EvaluationConfig(cutoff=cutoff))
        np.testing.assert_array_equal(flagged, evidence.p_model >= limit)


def test_precision_and_recall_are_reported_but_not_judged_by_default(evidence: Evidence) -> None:
    check = check_thresholds(evidence, EvaluationConfig())
    for name in ("precision", "recall"):
        part = check.details["parts"][name]
        assert (part["verdict"], part["threshold"]) == (Verdict.NOT_APPLICABLE, None)
        assert part["interval"][0] < part["estimate"] < part["interval"][1]
    assert check.verdict is Verdict.PASS


def test_a_precision_that_is_asked_for_can_fail_the_check_but_not_the_auc(evidence: Evidence) -> None:
    check = check_thresholds(evidence, EvaluationConfig(min_precision=0.9))
    assert check.verdict is Verdict.FAIL
    assert auc_verdict(check) is Verdict.PASS
    assert not check.right_side
    assert "Precision" in check.sentence


def test_nobody_flagged_is_insufficient_never_zero(evidence: Evidence) -> None:
    nobody = EvaluationConfig(min_precision=0.5, cutoff=ProbabilityCut(value=1.0))
    check = check_thresholds(evidence, nobody)
    part = check.details["parts"]["precision"]
    assert (part["estimate"], part["interval"], part["verdict"]) == (None, None, Verdict.INSUFFICIENT)
    assert "nobody is flagged" in check.sentence
    assert not check.right_side


def test_constant_scores_flag_nobody_at_a_top_share(evidence: Evidence) -> None:
    constant = replace(evidence, p_model=np.full(3000, 0.2))
    check = check_thresholds(constant, EvaluationConfig())
    assert check.details["n_flagged"] == 0
    assert check.verdict is Verdict.FAIL  # an AUC of exactly .5


def test_under_twenty_churners_nothing_is_decided(evidence: Evidence) -> None:
    few = (evidence.y == 0) | (np.cumsum(evidence.y) <= 12)
    cut = replace(evidence, y=evidence.y[few], p_model=evidence.p_model[few], accounts=evidence.accounts[few])
    check = check_thresholds(cut, EvaluationConfig(min_auc=0.1, min_recall=0.01))
    assert check.verdict is Verdict.INSUFFICIENT
    assert check.right_side
    assert "12 churners" in check.sentence
