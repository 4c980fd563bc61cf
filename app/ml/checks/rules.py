"""What all checks share: when an interval passes or fails, how few is too few, and how to say it."""

from collections.abc import Callable
from math import isfinite, sqrt
from typing import Any, Protocol

from app.ml.frame import Floats
from app.ml.judgement import Evidence, Verdict
from app.schemas.config import EvaluationConfig
from app.stats.arrays import Bools, Interval
from app.stats.power import churners_needed

MIN_CHURNERS = 20  # under it nothing that compares churners with others can pass or fail
N_CHECKS = 6  # the chances to fail that share the error allowed
STATED_DIFFERENCES = (0.01, 0.02)


class Measured(Protocol):
    """A number that has an interval at any confidence."""

    @property
    def value(self) -> float:
        """The estimate."""

    def interval(self, confidence: float) -> Interval:
        """Its interval."""


def failing_confidence(config: EvaluationConfig) -> float:
    """The confidence at which a check fails: the error allowed, shared by the six; 99.2 % at 95 %."""
    return 1 - (1 - config.confidence) / N_CHECKS


def verdict_at_least(measured: Measured, threshold: float, config: EvaluationConfig) -> Verdict:
    """Pass where the interval lies at or above the threshold, fail where the failing interval lies below it."""
    if measured.interval(config.confidence).low >= threshold:
        return Verdict.PASS
    if measured.interval(failing_confidence(config)).high < threshold:
        return Verdict.FAIL
    return Verdict.INSUFFICIENT


def worst_verdict(*verdicts: Verdict) -> Verdict:
    """Fail before insufficient before pass; not applicable only where all are."""
    for verdict in (Verdict.FAIL, Verdict.INSUFFICIENT, Verdict.PASS):
        if verdict in verdicts:
            return verdict
    return Verdict.NOT_APPLICABLE


def count_churners(y: Floats) -> int:
    """Rows that churned."""
    return int((y == 1).sum())


def too_few(y: Floats) -> bool:
    """Fewer than 20 rows of either class."""
    return min(count_churners(y), y.size - count_churners(y)) < MIN_CHURNERS


def sizes(y: Floats) -> dict[str, int]:
    """Rows and churners, for the details of a check."""
    return {"n": y.size, "n_churners": count_churners(y)}


def needed(se: float, y: Floats, *, least: float = 0.0) -> dict[str, int]:
    """Churners that would show each stated AUC difference from the threshold; empty where the error is not known.

    `least` is a floor for the error of one churner: two models that truly differ also differ in their ranks.
    """
    per_churner = max(se * sqrt(count_churners(y)), least)
    if not isfinite(se) or not per_churner:
        return {}
    return {f"{stated:.2f}": churners_needed(stated, sd_per_churner=per_churner) for stated in STATED_DIFFERENCES}


def told_apart(
    evidence: Evidence, rows: Bools, measure: Callable[[Bools], Measured], config: EvaluationConfig
) -> dict[str, Any]:
    """A figure of known and of new accounts, beside that of all; nothing where the split is by account.

    Parameters
    ----------
    evidence : Evidence
        n rows.
    rows : boolean ndarray of shape (n,)
        Those that the figure is of.
    measure : callable
        The figure of the rows it is given, a boolean ndarray of shape (n,).
    config : EvaluationConfig
        Its confidence is that of the intervals.
    """
    if evidence.known is None:
        return {}
    told = {}
    for name, part in (("known", rows & evidence.known), ("new", rows & ~evidence.known)):
        found = None if too_few(evidence.y[part]) else measure(part)
        told[name] = {
            "estimate": found.value if found else None,
            "interval": found.interval(config.confidence) if found else None,
            **sizes(evidence.y[part]),
        }
    return told


def span(interval: Interval, confidence: float) -> str:
    """The interval in words; nothing where it is not known."""
    if not all(map(isfinite, interval)):
        return ""
    return f" ({confidence * 100:.3g} % interval {interval.low:.3f} to {interval.high:.3f})"


def few(y: Floats) -> str:
    """Why nothing can be told."""
    n_churners = count_churners(y)
    return f"{n_churners} churners and {y.size - n_churners} others are too few, {MIN_CHURNERS} of either are needed."


def would_decide(churners: dict[str, Any]) -> str:
    """How many churners would decide a stated difference."""
    told = [f"{n:,} churners would show one of {stated}" for stated, n in churners.items()]
    return f" To tell a difference from the threshold: {', '.join(told)}." if told else ""
