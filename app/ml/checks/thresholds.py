"""Is the model good enough in itself: AUC, and precision and recall at a cut-off, against their minima."""

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from app.ml.checks.cross_fitted import measures_of
from app.ml.checks.measures import flag
from app.ml.checks.rules import (
    Measured,
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
from app.ml.judgement import Check, Evidence, Look, Verdict
from app.schemas.config import EvaluationConfig
from app.stats.arrays import Bools, Interval


@dataclass(frozen=True)
class Part:
    """One figure of a check; without a threshold it is reported, not judged."""

    label: str
    estimate: float | None
    interval: Interval | None
    threshold: float | None
    verdict: Verdict

    @property
    def right_side(self) -> bool:
        """The estimate meets the threshold, or there is none."""
        return self.threshold is None or (self.estimate is not None and self.estimate >= self.threshold)

    def to_json(self) -> dict[str, Any]:
        """Its numbers and verdict, for the details of the check."""
        return {
            "estimate": self.estimate,
            "interval": self.interval,
            "threshold": self.threshold,
            "verdict": self.verdict,
        }


def check_thresholds(evidence: Evidence, config: EvaluationConfig) -> Check:
    """AUC, precision and recall against their minima; the last two have none by default.

    Precision and recall are those at the configured cut-off; a group of equal scores that would reach beyond a
    `top_share` is not flagged.
    """
    measures, look = measures_of(evidence), evidence.look
    y, confidence = measures.labels(), passing_confidence(look, config)
    found, cut = measures.auc(), measures.at_cut(config.cutoff, confidence)
    bar: dict[str, Any] = {"y": y, "look": look, "config": config}
    auc = _part("AUC", found, config.min_auc, **bar)
    parts = {
        "auc": auc,
        "precision": _part("Precision", cut.precision, config.min_precision, **bar),
        "recall": _part("Recall", cut.recall, config.min_recall, **bar),
    }
    churners_needed = needed(found.se, y, confidence=confidence)
    return Check(
        name="thresholds",
        estimate=auc.estimate,
        interval=auc.interval,
        confidence=confidence,
        threshold=config.min_auc,
        verdict=worst_verdict(*(part.verdict for part in parts.values())),
        sentence=_sentence(list(parts.values()), y, churners_needed, confidence),
        right_side=all(part.right_side for part in parts.values()),
        details={
            "parts": {name: part.to_json() for name, part in parts.items()},
            "f1": {"estimate": cut.f1, "interval": cut.f1_interval},
            "cutoff": config.cutoff.model_dump(),
            "n_flagged": cut.n_flagged,
            "churners_needed": churners_needed,
            **sizes(y),
            **measures.told_apart(None, confidence),
        },
    )


def auc_verdict(check: Check) -> Verdict:
    """The verdict on AUC alone, which decides where nothing is in production."""
    return Verdict(check.details["parts"]["auc"]["verdict"])


def flagged_rows(evidence: Evidence, config: EvaluationConfig) -> Bools:
    """The rows at or above the configured cut-off: boolean, shape (n,)."""
    return flag(evidence.p_model, config.cutoff, evidence.development_churn_rate)


def _part(
    label: str, found: Measured | None, minimum: float | None, *, y: Floats, look: Look, config: EvaluationConfig
) -> Part:
    """Reported without a minimum; insufficient where it can't be had or rests on too few rows."""
    unjudged = Verdict.NOT_APPLICABLE if minimum is None else Verdict.INSUFFICIENT
    if found is None or not isfinite(found.value):
        return Part(label, None, None, minimum, unjudged)
    interval = found.interval(passing_confidence(look, config))
    if minimum is None or too_few(y):
        return Part(label, found.value, interval, minimum, unjudged)
    return Part(label, found.value, interval, minimum, verdict_at_least(found, minimum, config, look=look))


def _sentence(parts: list[Part], y: Floats, churners_needed: dict[str, int], confidence: float) -> str:
    judged = [part for part in parts if part.threshold is not None]
    told = " ".join(_part_sentence(part, y, confidence) for part in judged)
    open_question = parts[0].verdict is Verdict.INSUFFICIENT and not too_few(y)
    return told + (would_decide(churners_needed) if open_question else "")


def _part_sentence(part: Part, y: Floats, confidence: float) -> str:
    if part.estimate is None or part.interval is None:
        reason = "nobody is flagged at the cut-off" if np.unique(y).size > 1 else "the test side holds one class only"
        return f"{part.label} can't be measured: {reason}."
    told = f"{part.label} {part.estimate:.3f}{span(part.interval, confidence)}"
    if too_few(y):
        return f"{told}: {few(y)}"
    ruling = {Verdict.PASS: "reaches", Verdict.FAIL: "is below"}.get(part.verdict, "can't be told from")
    return f"{told} {ruling} the {part.threshold:.2f} asked for."
