"""Is the model better than what there is: the baseline, and the version in production."""

from dataclasses import dataclass, replace
from functools import cached_property
from math import isnan
from typing import Any

from app.ml.checks.cross_fitted import measures_of
from app.ml.checks.measures import AboveChance, Measures, Rival, WithError
from app.ml.checks.rules import (
    few,
    needed,
    passing_confidence,
    sizes,
    span,
    too_few,
    verdict_at_least,
    worst_verdict,
    would_decide,
)
from app.ml.frame import Floats
from app.ml.judgement import Check, Evidence, EvidenceKind, Look, Production, Verdict
from app.schemas.config import EvaluationConfig
from app.stats.power import SD_PER_CHURNER

AS_GOOD_MARGIN = 0.01  # an AUC difference up to this, not shown to be above 0, is no reason to prefer the larger model


@dataclass(frozen=True)
class Comparison:
    """One AUC difference under its threshold."""

    measures: Measures
    rival: Rival
    name: str
    threshold: float
    look: Look
    config: EvaluationConfig
    rule: str = "better"

    @cached_property
    def found(self) -> WithError:
        """The difference."""
        return self.measures.against(self.rival)

    @cached_property
    def labels(self) -> Floats:
        """Of the rows it rests on."""
        return self.measures.labels(self.rival)

    @property
    def confidence(self) -> float:
        """That of passing."""
        return passing_confidence(self.look, self.config)

    @property
    def right_side(self) -> bool:
        """The estimate meets the threshold."""
        return self.found.value >= self.threshold

    @property
    def weakly_passes(self) -> bool:
        """By the rule `no_harm`, what is not shown to be worse passes where its estimate meets the threshold."""
        not_worse = self.found.interval(self.config.confidence).high >= 0
        return self.rule == "no_harm" and self.right_side and not_worse

    @property
    def verdict(self) -> Verdict:
        """Fewer than 20 rows of either class decide nothing."""
        if too_few(self.labels):
            return Verdict.INSUFFICIENT
        if self.weakly_passes:
            return Verdict.PASS
        return verdict_at_least(self.found, self.threshold, self.config, look=self.look)

    @property
    def details(self) -> dict[str, Any]:
        """What the verdict rests on."""
        floor = 0.0 if isinstance(self.found, AboveChance) else SD_PER_CHURNER
        churners_needed = needed(self.found.se, self.labels, confidence=self.confidence, least=floor)
        return {
            "against": self.name,
            "se": self.found.se,
            "churners_needed": churners_needed,
            **sizes(self.labels),
            **self.measures.told_apart(self.rival, self.confidence),
        }

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        found, confidence = self.found, self.confidence
        if isnan(found.value):
            return f"AUC can't be compared with {self.name}: {few(self.labels)}"
        told = f"AUC is {found.value:+.3f}{span(found.interval(confidence), confidence)} against {self.name}"
        if too_few(self.labels):
            return f"{told}: {few(self.labels)}"
        if self.verdict is Verdict.INSUFFICIENT:
            undecided = would_decide(self.details["churners_needed"])
            return f"{told}: that can't be told from the {self.threshold:+.2f} asked for.{undecided}"
        ruling = "at or above" if self.verdict is Verdict.PASS else "below"
        if self.verdict is Verdict.PASS and self.weakly_passes:
            return (
                f"{told}: not shown to be worse, and the estimate is at or above the {self.threshold:+.2f} asked for."
            )
        return f"{told}: {ruling} the {self.threshold:+.2f} asked for."

    def to_check(self, name: str, details: dict[str, Any]) -> Check:
        """A check of its own, with further details first."""
        return Check(
            name=name,
            estimate=self.found.value,
            interval=self.found.interval(self.confidence),
            confidence=self.confidence,
            threshold=self.threshold,
            verdict=self.verdict,
            sentence=self.sentence,
            right_side=self.right_side,
            details=details | self.details,
        )


def check_baseline(evidence: Evidence, config: EvaluationConfig) -> Check:
    """AUC above the baseline's on the same rows; where the candidate is the baseline, above the base rate's .5."""
    name = "the base rate" if evidence.baseline_is_model else "the logistic baseline"
    threshold, measures = config.min_improvement_over_baseline, measures_of(evidence)
    found = Comparison(measures, Rival.BASELINE, name, threshold, evidence.look, config)
    return found.to_check("improvement_over_baseline", {})


def baseline_as_good(evidence: Evidence, config: EvaluationConfig) -> bool:
    """The baseline is at most .01 AUC below the model, and not shown to be below it at all.

    That is told at the same confidence at every look: looks pay for passing, and this is advice.
    """
    measures = measures_of(evidence)
    if evidence.baseline_is_model or too_few(measures.labels(Rival.BASELINE)):
        return False
    found = measures.against(Rival.BASELINE)
    return found.value <= AS_GOOD_MARGIN and found.interval(config.confidence).low <= 0


def rule_of(production: Production | None, config: EvaluationConfig) -> str:
    """The promotion rule in force: as configured, else `not_worse` for an equal recipe and `better` for another."""
    if production is None:
        return "first_champion"
    return config.promotion_rule or ("not_worse" if production.same_recipe else "better")


def production_threshold(production: Production | None, config: EvaluationConfig) -> float:
    """The AUC difference to production that the rule asks for."""
    better = rule_of(production, config) == "better"
    return config.min_improvement_over_production if better else -config.not_worse_margin


def check_production(evidence: Evidence, config: EvaluationConfig) -> Check:
    """AUC above production's, on the rows fair to both, by the promotion rule in force.

    `better` asks for `min_improvement_over_production`; `not_worse` for no more than `not_worse_margin` below, and the
    same against the anchor, the last version promoted as better. `no_harm` takes that, and also of either an estimate
    no more than that margin below with an interval that is not wholly below 0: weak evidence, the same at every look.
    Without rows that are fair to both the comparison is refused.
    """
    production = evidence.production
    if production is None:
        return _no_production(config)
    measures = measures_of(evidence)
    whose = "the recipe of " if measures.kind is EvidenceKind.CROSS_FITTED else ""
    name = f"{whose}version {production.version} in production"
    threshold, rule = production_threshold(production, config), rule_of(production, config)
    found = Comparison(measures, Rival.PRODUCTION, name, threshold, evidence.look, config, rule)
    check = found.to_check("improvement_over_production", {"rule": rule, "against_version": production.version})
    if production.unfair and not found.labels.size:
        return replace(
            check, sentence=f"No comparison with {name}: {production.unfair}", details=_refused(check, production)
        )
    if rule == "better" or production.anchor_version is None:
        return check
    name = f"{whose}version {production.anchor_version}, the last promoted as better"
    return _with_anchor(check, production, replace(found, rival=Rival.ANCHOR, name=name))


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


def _refused(check: Check, production: Production) -> dict[str, Any]:
    return {**check.details, "refused": production.unfair}


def _with_anchor(check: Check, production: Production, against: Comparison) -> Check:
    """The same check, which must now hold against the anchor too, so that small losses don't add up."""
    anchor = {
        "version": production.anchor_version,
        "estimate": against.found.value,
        "interval": against.found.interval(against.confidence),
        "threshold": against.threshold,
        "verdict": against.verdict,
    }
    return replace(
        check,
        verdict=worst_verdict(check.verdict, against.verdict),
        sentence=f"{check.sentence} {against.sentence}",
        right_side=check.right_side and against.right_side,
        details={**check.details, "anchor": anchor},
    )
