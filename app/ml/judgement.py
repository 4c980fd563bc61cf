"""What the gate is given and what it answers: evidence, checks, power and the judgement."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from math import isfinite
from typing import Any

import numpy as np

from app.ml.frame import Floats
from app.stats.arrays import Bools, Clusters, Interval, Ints


class Verdict(StrEnum):
    """What a check found."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    FAIL = "fail"
    INSUFFICIENT = "insufficient"
    NOT_APPLICABLE = "not_applicable"


class EvidenceKind(StrEnum):
    """What a judgement rests on: the version on its test side, or its recipe refitted in folds over all rows."""

    TEST_SIDE = "test_side"
    CROSS_FITTED = "cross_fitted"


class Recommendation(StrEnum):
    """What the gate advises."""

    PROMOTE = "promote"
    HOLD = "hold"
    REJECT = "reject"


@dataclass(frozen=True)
class Production:
    """The version in production, on the rows of the evidence.

    Attributes
    ----------
    version : its number
    p : ndarray of shape (n,); its calibrated probabilities
    fair : boolean ndarray of shape (n,); rows fair to it and to the candidate
    same_recipe : its recipe and features are the candidate's
    active_scores : ndarray of shape (a,) or None; its probabilities of the active accounts
    anchor_version, anchor_p : the last version promoted as better and its probabilities of shape (n,); None where
        that is the version in production itself
    active_paired : ndarray of shape (a,) or None; its probabilities of the candidate's active accounts, NaN for those
        that it did not score
    unfair : where no row is fair to both, why, as a sentence
    """

    version: int
    p: Floats
    fair: Bools
    same_recipe: bool = False
    active_scores: Floats | None = None
    anchor_version: int | None = None
    anchor_p: Floats | None = None
    active_paired: Floats | None = None
    unfair: str = ""


@dataclass(frozen=True)
class CrossFit:
    """The recipe of the version refitted in folds over all labelled rows, and the recipes of its rivals in the same.

    Attributes
    ----------
    y : ndarray of shape (n,); labels, 1 churned, 0 stayed
    folds : ndarray of shape (repeats, n); 0..k-1, all rows of an account in one
    p_model, p_baseline : ndarray of shape (repeats, n); calibrated probabilities of models that did not see the account
    p_production, p_anchor : the same of other versions' recipes; None where there are none
    dated : the rows are of several instants
    searched : which of 'model', 'production' and 'anchor' are refitted with parameters that a search found
    """

    y: Floats
    folds: Ints
    p_model: Floats
    p_baseline: Floats
    p_production: Floats | None = None
    p_anchor: Floats | None = None
    dated: bool = False
    searched: tuple[str, ...] = ()


@dataclass(frozen=True)
class Look:
    """How often the test side has been looked at.

    Attributes
    ----------
    number : which look at these rows this is, from 1; see `app.stats.looks`
    n_candidates : how many candidates have been judged on any of them, this one included
    """

    number: int = 1
    n_candidates: int = 1


@dataclass(frozen=True)
class Evidence:
    """Everything the gate judges by.

    Attributes
    ----------
    y : ndarray of shape (n,); matured labels of the test side, 1 churned, 0 stayed
    accounts : ndarray of shape (n,); the account of each row
    p_model, p_baseline : ndarray of shape (n,); calibrated probabilities
    development_churn_rate : 0..1
    reference_scores : ndarray of shape (r,); out-of-fold calibrated probabilities of the profile's population
    active_scores : ndarray of shape (a,); the model's calibrated probabilities of the active accounts
    fold_importances : ndarray of shape (k, d); importance of each feature in each fold, larger matters more
    feature_names : d names
    production : the version in production, or None
    baseline_is_model : the candidate is itself the baseline; it is then compared with the base rate, AUC .5
    known : boolean ndarray of shape (n,) or None; the row's account is among those that the candidate learned from
    look : which look at the test side this is
    cross_fit : where the test side holds too few churners; the checks then read these folds instead of it
    segment_features : names of the f features that the rows are parted by
    segment_names, segment_codes : what segments are called, and an ndarray of shape (f, n) of positions in these names
    suspected_leaks : names of the training's findings that only warned and were not accepted; None: not known
    """

    y: Floats
    accounts: Clusters
    p_model: Floats
    p_baseline: Floats
    development_churn_rate: float
    reference_scores: Floats
    active_scores: Floats
    fold_importances: Floats
    feature_names: tuple[str, ...]
    production: Production | None = None
    baseline_is_model: bool = False
    known: Bools | None = None
    look: Look = Look()
    cross_fit: CrossFit | None = None
    segment_features: tuple[str, ...] = ()
    segment_names: tuple[str, ...] = ()
    segment_codes: Ints | None = None
    suspected_leaks: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Check:
    """One check with the numbers its verdict rests on.

    `right_side` says that the estimate meets the threshold, whatever its interval; an estimate that could not be had
    does not.
    """

    name: str
    estimate: float | None
    interval: Interval | None
    confidence: float
    threshold: float | tuple[float, float] | None
    verdict: Verdict
    sentence: str
    right_side: bool
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data without NaN: what is not known is null."""
        return {
            "name": self.name,
            "estimate": plain(self.estimate),
            "interval": plain_interval(self.interval),
            "confidence": self.confidence,
            "threshold": plain(self.threshold),
            "verdict": self.verdict.value,
            "sentence": self.sentence,
            "details": {**plain(self.details), "estimate_on_right_side": self.right_side},
        }


@dataclass(frozen=True)
class Power:
    """What the deciding check would do with the churners at hand.

    Attributes
    ----------
    reference : 'production', or 'min_auc' where there is none: what equal, better and worse are measured from
    n_churners : churners it rests on
    equal, better, worse : chance, 0..1, that a model truly equal, .02 AUC better, .02 worse passes; None unknown
    churners_needed : stated AUC difference from the threshold -> churners that show it 4 times in 5
    """

    reference: str
    n_churners: int
    equal: float | None
    better: float | None
    worse: float | None
    churners_needed: Mapping[str, int]


@dataclass(frozen=True)
class Judgement:
    """The gate's answer.

    Attributes
    ----------
    rule : 'better', 'not_worse', 'no_harm', or 'first_champion' where nothing is in production
    deciding_check : name of the check that must pass
    provisional : promoted on an estimate that too few churners stand behind
    insufficient : names of the checks that could not decide
    baseline_as_good : the baseline is not shown to be worse, and within .01 AUC or better
    evidence : what the numbers rest on
    look : which look at the test side this is
    confidence : of the intervals that had to pass on the test side
    sentences : the recommendation in words, the most important first
    """

    checks: tuple[Check, ...]
    recommendation: Recommendation
    provisional: bool
    rule: str
    deciding_check: str
    insufficient: tuple[str, ...]
    baseline_as_good: bool
    power: Power
    evidence: EvidenceKind
    look: Look
    confidence: float
    sentences: tuple[str, ...]

    def get_failed_checks(self) -> list[Check]:
        """The checks whose verdict is `fail`."""
        return [check for check in self.checks if check.verdict is Verdict.FAIL]

    @property
    def weak_evidence(self) -> bool:
        """The rule is met by whatever is not shown to be worse."""
        return self.rule == "no_harm"

    def to_json(self) -> dict[str, Any]:
        """Plain data without NaN."""
        return {
            "recommendation": self.recommendation.value,
            "provisional": self.provisional,
            "rule": self.rule,
            "weak_evidence": self.weak_evidence,
            "deciding_check": self.deciding_check,
            "insufficient": list(self.insufficient),
            "baseline_as_good": self.baseline_as_good,
            "sentences": list(self.sentences),
            "power": plain(self.power.__dict__),
            "evidence": self.evidence.value,
            "test_side": {
                "look": self.look.number,
                "confidence": self.confidence,
                "n_candidates": self.look.n_candidates,
            },
            "checks": [check.to_json() for check in self.checks],
        }


def plain_interval(interval: Interval | None) -> list[float] | None:
    """The two ends, or None where one is not a number."""
    return [float(end) for end in interval] if interval and all(map(isfinite, interval)) else None


def plain(value: Any) -> Any:
    """JSON's own types: numbers that are not finite become None, enums their value, arrays and tuples lists."""
    if isinstance(value, Interval):
        return plain_interval(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not isfinite(value) else value
