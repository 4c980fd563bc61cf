"""Is the model better than what there is: the baseline, and the version in production."""

from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from app.ml.checks.rules import (
    few,
    needed,
    sizes,
    span,
    told_apart,
    too_few,
    verdict_at_least,
    worst_verdict,
    would_decide,
)
from app.ml.frame import Floats
from app.ml.judgement import Check, Evidence, Production, Verdict
from app.schemas.config import EvaluationConfig
from app.stats.arrays import Bools, Estimate, Interval
from app.stats.power import SD_PER_CHURNER
from app.stats.ranking import AucEstimate, auc_difference, auc_estimate

AS_GOOD_MARGIN = 0.01  # an AUC difference up to this, not shown to be above 0, is no reason to prefer the larger model


@dataclass(frozen=True)
class AboveChance:
    """How far an AUC lies above .5, the AUC of the base rate."""

    auc: AucEstimate

    @property
    def value(self) -> float:
        """-.5 to .5."""
        return self.auc.value - 0.5

    @property
    def se(self) -> float:
        """That of the AUC."""
        return self.auc.se

    def interval(self, confidence: float = 0.95) -> Interval:
        """That of the AUC, moved."""
        low, high = self.auc.interval(confidence)
        return Interval(low - 0.5, high - 0.5)


Difference = Estimate | AboveChance


def check_baseline(evidence: Evidence, config: EvaluationConfig) -> Check:
    """AUC above the baseline's on the same rows; where the candidate is the baseline, above the base rate's .5."""
    y, threshold = evidence.y, config.min_improvement_over_baseline
    rival = "the base rate" if evidence.baseline_is_model else "the logistic baseline"
    found = _against_baseline(evidence, np.ones(y.size, dtype=np.bool_))
    verdict = _verdict(found, y, threshold, config)
    return Check(
        name="improvement_over_baseline",
        estimate=found.value,
        interval=found.interval(config.confidence),
        confidence=config.confidence,
        threshold=threshold,
        verdict=verdict,
        sentence=_sentence(found, verdict, rival, y=y, threshold=threshold, config=config),
        right_side=found.value >= threshold,
        details=_details(found, rival, y)
        | told_apart(evidence, np.ones(y.size, dtype=np.bool_), lambda rows: _against_baseline(evidence, rows), config),
    )


def baseline_as_good(evidence: Evidence, check: Check) -> bool:
    """The baseline is at most .01 AUC below the model, and not shown to be below it at all."""
    if evidence.baseline_is_model or too_few(evidence.y) or check.estimate is None or check.interval is None:
        return False
    return check.estimate <= AS_GOOD_MARGIN and check.interval.low <= 0


def rule_of(production: Production | None, config: EvaluationConfig) -> str:
    """The promotion rule in force: as configured, else `not_worse` for an equal recipe and `better` for another."""
    if production is None:
        return "first_champion"
    return config.promotion_rule or ("not_worse" if production.same_recipe else "better")


def production_threshold(production: Production | None, config: EvaluationConfig) -> float:
    """The AUC difference to production that the rule asks for."""
    worse = rule_of(production, config) == "not_worse"
    return -config.not_worse_margin if worse else config.min_improvement_over_production


def check_production(evidence: Evidence, config: EvaluationConfig) -> Check:
    """AUC above production's, on the rows fair to both, by the promotion rule in force.

    `better` asks for `min_improvement_over_production`; `not_worse` for no more than `not_worse_margin` below, and the
    same against the anchor, the last version promoted as better.
    """
    production = evidence.production
    if production is None:
        return _no_production(config)
    y, threshold = evidence.y[production.fair], production_threshold(production, config)
    found = _against(evidence, production.p, production.fair)
    verdict = _verdict(found, y, threshold, config)
    name = f"version {production.version} in production"
    details: dict[str, Any] = {"rule": rule_of(production, config), "against_version": production.version}
    check = Check(
        name="improvement_over_production",
        estimate=found.value,
        interval=found.interval(config.confidence),
        confidence=config.confidence,
        threshold=threshold,
        verdict=verdict,
        sentence=_sentence(found, verdict, name, y=y, threshold=threshold, config=config),
        right_side=found.value >= threshold,
        details=details
        | _details(found, name, y)
        | told_apart(evidence, production.fair, lambda rows: _against(evidence, production.p, rows), config),
    )
    needs_anchor = details["rule"] == "not_worse" and production.anchor_p is not None
    return _with_anchor(check, evidence, production, config) if needs_anchor else check


def _no_production(config: EvaluationConfig) -> Check:
    return Check(
        name="improvement_over_production",
        estimate=None,
        interval=None,
        confidence=config.confidence,
        threshold=None,
        verdict=Verdict.NOT_APPLICABLE,
        sentence="Nothing is in production yet.",
        right_side=True,
    )


def _with_anchor(check: Check, evidence: Evidence, production: Production, config: EvaluationConfig) -> Check:
    """The same check, which must now hold against the anchor too, so that small losses don't add up."""
    anchor_p = production.p if production.anchor_p is None else production.anchor_p
    y, threshold = evidence.y[production.fair], production_threshold(production, config)
    found = _against(evidence, anchor_p, production.fair)
    verdict = _verdict(found, y, threshold, config)
    name = f"version {production.anchor_version}, the last promoted as better"
    anchor = {
        "version": production.anchor_version,
        "estimate": found.value,
        "interval": found.interval(config.confidence),
        "threshold": threshold,
        "verdict": verdict,
    }
    return Check(
        name=check.name,
        estimate=check.estimate,
        interval=check.interval,
        confidence=check.confidence,
        threshold=check.threshold,
        verdict=worst_verdict(check.verdict, verdict),
        sentence=f"{check.sentence} {_sentence(found, verdict, name, y=y, threshold=threshold, config=config)}",
        right_side=check.right_side and found.value >= threshold,
        details={**check.details, "anchor": anchor},
    )


def _against_baseline(evidence: Evidence, rows: Bools) -> Difference:
    if evidence.baseline_is_model:
        return AboveChance(auc_estimate(evidence.y[rows], evidence.p_model[rows], evidence.accounts[rows]))
    return _against(evidence, evidence.p_baseline, rows)


def _against(evidence: Evidence, rival: Floats, rows: Bools) -> Estimate:
    return auc_difference(evidence.y[rows], evidence.p_model[rows], rival[rows], evidence.accounts[rows])


def _verdict(found: Difference, y: Floats, threshold: float, config: EvaluationConfig) -> Verdict:
    return Verdict.INSUFFICIENT if too_few(y) else verdict_at_least(found, threshold, config)


def _details(found: Difference, rival: str, y: Floats) -> dict[str, Any]:
    floor = 0.0 if isinstance(found, AboveChance) else SD_PER_CHURNER
    return {"against": rival, "se": found.se, "churners_needed": needed(found.se, y, least=floor), **sizes(y)}


def _sentence(
    found: Difference, verdict: Verdict, rival: str, *, y: Floats, threshold: float, config: EvaluationConfig
) -> str:
    if isnan(found.value):
        return f"AUC can't be compared with {rival}: {few(y)}"
    told = f"AUC is {found.value:+.3f}{span(found.interval(config.confidence), config.confidence)} against {rival}"
    if too_few(y):
        return f"{told}: {few(y)}"
    if verdict is Verdict.INSUFFICIENT:
        undecided = would_decide(_details(found, rival, y)["churners_needed"])
        return f"{told}: that can't be told from the {threshold:+.2f} asked for.{undecided}"
    return f"{told}: {'at or above' if verdict is Verdict.PASS else 'below'} the {threshold:+.2f} asked for."
