"""Can the model's numbers be trusted: calibration, distribution of its scores, stability of its features."""

from math import isfinite
from typing import Any

import numpy as np

from app.ml.checks.cross_fitted import measures_of
from app.ml.checks.measures import Line
from app.ml.checks.rules import (
    FIRST_LOOK,
    Measured,
    failing_confidence,
    passing_confidence,
    sizes,
    span,
    too_few,
    verdict_at_least,
    worst_verdict,
)
from app.ml.frame import Floats
from app.ml.judgement import Check, Evidence, Look, Verdict
from app.schemas.config import EvaluationConfig
from app.stats.arrays import Interval
from app.stats.binning import bin_counts, quantile_edges
from app.stats.psi import Psi, merge_neighbours, psi
from app.stats.ranks import rank_agreement


def verdict_inside(
    measured: Measured, low: float, high: float, config: EvaluationConfig, *, look: Look = FIRST_LOOK
) -> Verdict:
    """Pass where the interval lies inside low..high, fail where the failing interval lies wholly outside."""
    passing, failing = (
        measured.interval(each) for each in (passing_confidence(look, config), failing_confidence(config))
    )
    if passing.low >= low and passing.high <= high:
        return Verdict.PASS
    return Verdict.FAIL if failing.high < low or failing.low > high else Verdict.INSUFFICIENT


# ---- calibration ---------------------------------------------------------------------------------------------------


def check_calibration(evidence: Evidence, config: EvaluationConfig) -> Check:
    """Slope of the recalibration line inside its limits, and mean probability near the churn rate.

    The mean passes within `max_calibration_mean_error`, or within its own interval where that is wider, and so at the
    same confidence at every look: a wider interval would pass more. It fails where its failing interval lies wholly
    beyond `max_calibration_mean_error`. Fewer than 20 rows of either class decide nothing.
    """
    measures, look = measures_of(evidence), evidence.look
    line, y, confidence = measures.calibration(), measures.labels(), passing_confidence(look, config)
    slope, error, limits = line.slope, line.mean, (config.min_calibration_slope, config.max_calibration_slope)
    slope_verdict = verdict_inside(slope, *limits, config, look=look)
    mean_verdict = _mean_verdict(error, config)
    near = mean_verdict is Verdict.PASS
    if too_few(y):
        slope_verdict = mean_verdict = Verdict.INSUFFICIENT
    return Check(
        name="calibration",
        estimate=slope.value,
        interval=slope.interval(confidence),
        confidence=confidence,
        threshold=limits,
        verdict=worst_verdict(slope_verdict, mean_verdict),
        sentence=_calibration_sentence(line, slope_verdict, mean_verdict, confidence, config)
        + _moved_rate(line, mean_verdict, evidence.development_churn_rate),
        right_side=limits[0] <= slope.value <= limits[1] and near,
        details={
            "slope": {"estimate": slope.value, "se": slope.se, "verdict": slope_verdict},
            "intercept": {"estimate": line.intercept.value, "interval": line.intercept.interval(confidence)},
            "mean": _mean_details(line, mean_verdict, config),
            **sizes(y),
        },
    )


def _mean_verdict(error: Measured, config: EvaluationConfig) -> Verdict:
    limit, half_width = config.max_calibration_mean_error, error.interval(config.confidence).high - error.value
    if abs(error.value) <= max(limit, half_width):
        return Verdict.PASS
    failing = error.interval(failing_confidence(config))
    return Verdict.FAIL if failing.high < -limit or failing.low > limit else Verdict.INSUFFICIENT


def _mean_details(line: Line, verdict: Verdict, config: EvaluationConfig) -> dict[str, Any]:
    return {
        "estimate": line.mean.value,
        "interval": line.mean.interval(config.confidence),
        "threshold": config.max_calibration_mean_error,
        "verdict": verdict,
        "mean_predicted": line.mean_predicted,
        "churn_rate": line.churn_rate,
    }


_JUDGED = {
    Verdict.PASS: "is within",
    Verdict.FAIL: "is outside",
    Verdict.INSUFFICIENT: "is not shown to be within",
}


def _calibration_sentence(
    line: Line, slope_verdict: Verdict, mean_verdict: Verdict, confidence: float, config: EvaluationConfig
) -> str:
    slope, error = line.slope, line.mean
    mean = (
        f"probability is {round(error.value * 100, 1) + 0.0:+.1f} percentage points off the churn rate, "
        f"which {_JUDGED[mean_verdict]} {_limit(error, config)}."
    )
    if not isfinite(slope.value):
        unfit = "No calibration line can be fitted: one class only, constant scores, or classes that don't overlap."
        return f"The mean {mean} {unfit}" if mean_verdict is Verdict.FAIL else unfit
    return (
        f"Calibration slope {slope.value:.2f}{span(slope.interval(confidence), confidence)} "
        f"{_JUDGED[slope_verdict]} {config.min_calibration_slope:.2f} to {config.max_calibration_slope:.2f}; the mean "
        f"{mean}"
    )


def _moved_rate(line: Line, mean_verdict: Verdict, rate_at_training: float) -> str:
    """Where the mean failed and the churn rate has gone the other way: what happened, and what would help."""
    if mean_verdict is not Verdict.FAIL or line.churn_rate is None:
        return ""
    if (line.churn_rate - rate_at_training) * line.mean.value >= 0:
        return ""
    return (
        f" Churn itself moved, from {rate_at_training:.1%} of the rows learned from to {line.churn_rate:.1%} of these: "
        "no model could know. Train again on newer outcomes."
    )


def _limit(error: Measured, config: EvaluationConfig) -> str:
    limit, half_width = config.max_calibration_mean_error, error.interval(config.confidence).high - error.value
    return "its own error" if half_width > limit else f"{limit * 100:g} percentage points"


# ---- distribution --------------------------------------------------------------------------------------------------


def check_distribution(evidence: Evidence, config: EvaluationConfig) -> Check:
    """PSI of the scores of the active accounts against the model's own out-of-fold scores stays under its limit.

    The shift against production's scores of the same accounts is reported without a verdict: a better model spreads
    its scores wider, and should.
    """
    if not evidence.active_scores.size or not evidence.reference_scores.size:
        return _nothing_active(config)
    index = score_psi(evidence.reference_scores, evidence.active_scores)
    interval, limit = index.interval(config.confidence), config.max_score_psi
    verdict = _psi_verdict(index, limit, config)
    return Check(
        name="distribution",
        estimate=max(index.corrected, 0.0),
        interval=interval,
        confidence=config.confidence,
        threshold=limit,
        verdict=verdict,
        sentence=_distribution_sentence(index, interval, verdict, config),
        right_side=index.n_bins > 1 and index.corrected < limit,
        details={
            "n_reference": evidence.reference_scores.size,
            "n_active": evidence.active_scores.size,
            "n_bins": index.n_bins,
            "against_production": _shift_from_production(evidence),
        },
    )


def score_psi(reference: Floats, current: Floats) -> Psi:
    """PSI of two samples of scores over about ten quantile bins of the first, sparse ones merged.

    Both are rounded to single precision: where one was stored so, equal scores must not fall on two sides of an edge.
    """
    reference, current = (scores.astype(np.float32).astype(np.float64) for scores in (reference, current))
    edges = quantile_edges(reference)
    return psi(*merge_neighbours(bin_counts(reference, edges), bin_counts(current, edges)))


def _psi_verdict(index: Psi, limit: float, config: EvaluationConfig) -> Verdict:
    if index.n_bins < 2:
        return Verdict.INSUFFICIENT
    if index.interval(config.confidence).high < limit:
        return Verdict.PASS
    return Verdict.FAIL if index.interval(failing_confidence(config)).low > limit else Verdict.INSUFFICIENT


def _shift_from_production(evidence: Evidence) -> dict[str, Any] | None:
    production = evidence.production
    if production is None or production.active_scores is None or not production.active_scores.size:
        return None
    index = score_psi(production.active_scores, evidence.active_scores)
    return {"version": production.version, "psi": index.corrected, "n_bins": index.n_bins}


def _nothing_active(config: EvaluationConfig) -> Check:
    return Check(
        name="distribution",
        estimate=None,
        interval=None,
        confidence=config.confidence,
        threshold=config.max_score_psi,
        verdict=Verdict.NOT_APPLICABLE,
        sentence="There is no active account to score, so there is no distribution to compare.",
        right_side=True,
    )


def _distribution_sentence(index: Psi, interval: Interval, verdict: Verdict, config: EvaluationConfig) -> str:
    if index.n_bins < 2:
        return "Too few accounts to compare the distribution of scores, or all scores are equal."
    told = (
        f"Scores of the active accounts against those at training: "
        f"PSI {max(index.corrected, 0.0):.3f}{span(interval, config.confidence)}"
    )
    ruling = {Verdict.PASS: "under", Verdict.FAIL: "over"}.get(verdict, "not told from")
    return f"{told}, {ruling} {config.max_score_psi:.2f}."


# ---- stability -----------------------------------------------------------------------------------------------------


def check_stability(evidence: Evidence, config: EvaluationConfig) -> Check:
    """The folds rank the leading features alike: mean pairwise Spearman correlation over the union of their tops."""
    n_folds, n_features = evidence.fold_importances.shape
    if n_folds < 2 or n_features < 2:
        return _nothing_to_rank(n_features, config)
    found = rank_agreement(evidence.fold_importances, config.n_top_features)
    interval, verdict = found.interval(config.confidence), verdict_at_least(found, config.min_rank_agreement, config)
    ruling = {Verdict.PASS: "reaches", Verdict.FAIL: "is below"}.get(verdict, "can't be told from")
    return Check(
        name="stability",
        estimate=found.value,
        interval=interval,
        confidence=config.confidence,
        threshold=config.min_rank_agreement,
        verdict=verdict,
        sentence=(
            f"Rank agreement of the leading features across {n_folds} folds "
            f"{found.value:.2f}{span(interval, config.confidence)} {ruling} {config.min_rank_agreement:.2f}."
        ),
        right_side=found.value >= config.min_rank_agreement,
        details={"n_folds": n_folds, "features": [evidence.feature_names[f] for f in found.features]},
    )


def _nothing_to_rank(n_features: int, config: EvaluationConfig) -> Check:
    single = n_features < 2
    return Check(
        name="stability",
        estimate=None,
        interval=None,
        confidence=config.confidence,
        threshold=config.min_rank_agreement,
        verdict=Verdict.NOT_APPLICABLE if single else Verdict.INSUFFICIENT,
        sentence="With one feature there is nothing to rank." if single else "Stability needs two folds or more.",
        right_side=single,
    )
