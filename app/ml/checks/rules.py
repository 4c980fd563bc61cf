"""What all checks share: when an interval passes or fails, how few is too few, and how to say it."""

from math import floor, isfinite, log10, sqrt
from typing import Any, Protocol

from app.ml.frame import Floats
from app.ml.judgement import Look, Verdict
from app.schemas.config import EvaluationConfig
from app.stats.arrays import Interval
from app.stats.looks import look_confidence
from app.stats.power import churners_needed

MIN_CHURNERS = 20  # under it nothing that compares churners with others can pass or fail
N_CHECKS = 6  # those that are always on
STATED_DIFFERENCES = (0.01, 0.02)
FIRST_LOOK = Look()
_EPSILON = 1e-16  # the least error that a confidence can have


class Measured(Protocol):
    """A number that has an interval at any confidence."""

    @property
    def value(self) -> float:
        """The estimate."""

    def interval(self, confidence: float) -> Interval:
        """Its interval."""


def count_checks(config: EvaluationConfig) -> int:
    """How many checks are on: the chances to fail that share the error allowed."""
    asks_profit = config.profit is not None and config.profit.require is not None
    further = (config.segments, config.list_stability, config.leak_suspicion)
    return N_CHECKS + asks_profit + sum(each is not None for each in further)


def error_of_failing(config: EvaluationConfig) -> float:
    """One check's share of the error allowed: 0.8 % of 5 % where the six are on."""
    return (1 - config.confidence) / count_checks(config)


def failing_confidence(config: EvaluationConfig) -> float:
    """The confidence at which a check fails: 99.2 % at 95 % where the six are on."""
    return 1 - error_of_failing(config)


def passing_confidence(look: Look, config: EvaluationConfig) -> float:
    """The confidence at which what is measured on a test side passes: the more have looked at it, the higher."""
    return look_confidence(look.number, config.confidence)


def verdict_at_least(
    measured: Measured, threshold: float, config: EvaluationConfig, *, look: Look = FIRST_LOOK
) -> Verdict:
    """Pass where the interval lies at or above the threshold, fail where the failing interval lies below it.

    A `look` at a test side that others looked at before passes at a higher confidence; failing is not tightened.
    """
    if measured.interval(passing_confidence(look, config)).low >= threshold:
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


def needed(se: float, y: Floats, *, confidence: float = 0.95, least: float = 0.0) -> dict[str, int]:
    """Churners that would show each stated AUC difference from the threshold; empty where the error is not known.

    `confidence` is that of passing. `least` is a floor for the error of one churner: two models that truly differ
    also differ in their ranks.
    """
    per_churner = max(se * sqrt(count_churners(y)), least)
    if not isfinite(se) or not per_churner:
        return {}
    return {
        f"{stated:.2f}": churners_needed(stated, sd_per_churner=per_churner, confidence=confidence)
        for stated in STATED_DIFFERENCES
    }


def percent(confidence: float) -> str:
    """A confidence in words, its error to two digits: late looks are not said to be certain."""
    digits = max(1 - floor(log10(max(1 - confidence, _EPSILON) * 100)), 0)
    return f"{round(confidence * 100, digits):.15g} %"


def span(interval: Interval, confidence: float) -> str:
    """The interval in words; nothing where it is not known."""
    if not all(map(isfinite, interval)):
        return ""
    return f" ({percent(confidence)} interval {interval.low:.3f} to {interval.high:.3f})"


def few(y: Floats) -> str:
    """Why nothing can be told."""
    n_churners = count_churners(y)
    return f"{n_churners} churners and {y.size - n_churners} others are too few, {MIN_CHURNERS} of either are needed."


def would_decide(churners: dict[str, Any]) -> str:
    """How many churners would decide a stated difference."""
    told = [f"{n:,} churners would show one of {stated}" for stated, n in churners.items()]
    return f" To tell a difference from the threshold: {', '.join(told)}." if told else ""
