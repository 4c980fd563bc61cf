"""The numbers that the checks read of a version, whatever evidence they rest on."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np

from app.ml.checks.rules import Measured, sizes, too_few
from app.ml.frame import Floats
from app.ml.judgement import Evidence, EvidenceKind
from app.schemas.config import Cutoff, ProbabilityCut, ProbabilityTiers, TierCut
from app.stats.arrays import Bools, Estimate, Interval
from app.stats.bootstrap import Resampled, bootstrap_auc, bootstrap_difference
from app.stats.calibration import calibration_line, mean_error
from app.stats.ranking import AucEstimate, auc_difference, auc_estimate
from app.stats.thresholds import metrics_at, top_cut

_SEED = 1  # of the draws: the same evidence gives the same answer


class Rival(StrEnum):
    """What a version is measured against."""

    BASELINE = "baseline"
    PRODUCTION = "production"
    ANCHOR = "anchor"


class WithError(Measured, Protocol):
    """A number with an interval at any confidence and a standard error."""

    @property
    def se(self) -> float:
        """Its standard error; NaN where it is not known."""


@dataclass(frozen=True)
class Cut:
    """What flagging the rows above a cut-off catches; None where nobody is flagged, or nobody churned.

    Attributes
    ----------
    n_flagged : rows at or above the cut-off
    precision, recall : 0..1
    f1 : 0..1
    f1_interval : its two ends at the confidence asked for
    """

    n_flagged: int
    precision: Measured | None
    recall: Measured | None
    f1: float | None
    f1_interval: Interval | None


@dataclass(frozen=True)
class Line:
    """Calibration: the slope and intercept of the recalibration line, and the mean probability less the churn rate."""

    slope: WithError
    intercept: Measured
    mean: WithError
    mean_predicted: float | None
    churn_rate: float | None


class Measures(Protocol):
    """Numbers of one version, with intervals that are honest for the evidence they come from."""

    @property
    def kind(self) -> EvidenceKind:
        """What they rest on."""

    @property
    def degrees(self) -> int | None:
        """The degrees of freedom of the intervals; None where they are normal."""

    def labels(self, rival: Rival | None = None) -> Floats:
        """Labels of the rows that a number rests on: shape (n,)."""

    def auc(self) -> WithError:
        """Of the version."""

    def against(self, rival: Rival) -> WithError:
        """AUC of the version less that of a rival, paired."""

    def bootstrap(self, rival: Rival | None, *, n_draws: int) -> Resampled | None:
        """The AUC, or the difference to a rival, on accounts drawn again; None where it is not of rows."""

    def calibration(self) -> Line:
        """Of the version's probabilities."""

    def at_cut(self, cutoff: Cutoff, confidence: float) -> Cut:
        """Precision, recall and F1 of flagging by the cut-off."""

    def told_apart(self, rival: Rival | None, confidence: float) -> dict[str, Any]:
        """The AUC, or the difference to a rival, of known and of new accounts; nothing where that can't be told."""


@dataclass(frozen=True)
class AboveChance:
    """How far an AUC lies above .5, the AUC of the base rate."""

    auc: WithError

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


@dataclass(frozen=True)
class TestSide:
    """The version itself, on rows that it has not seen; intervals are clustered by account."""

    __test__ = False  # pytest: no test, whatever the name says

    evidence: Evidence

    @property
    def kind(self) -> EvidenceKind:
        """Rows of one test side."""
        return EvidenceKind.TEST_SIDE

    @property
    def degrees(self) -> None:
        """Intervals are normal."""
        return

    def _rows(self, rival: Rival | None) -> Bools:
        """Only rows that are fair to the rival too compare with a version."""
        production = self.evidence.production
        if rival in (None, Rival.BASELINE) or production is None:
            return np.ones(self.evidence.y.size, dtype=np.bool_)
        return production.fair

    def labels(self, rival: Rival | None = None) -> Floats:
        """Of the test side, or those of its rows that are fair to the rival."""
        return self.evidence.y[self._rows(rival)]

    def auc(self) -> AucEstimate:
        """With DeLong's error."""
        return self._auc(self._rows(None))

    def against(self, rival: Rival) -> WithError:
        """With DeLong's error, paired; the rival of a baseline is the base rate."""
        return self._against(rival, self._rows(rival))

    def _auc(self, rows: Bools) -> AucEstimate:
        e = self.evidence
        return auc_estimate(e.y[rows], e.p_model[rows], e.accounts[rows])

    def _against(self, rival: Rival, rows: Bools) -> WithError:
        if rival is Rival.BASELINE and self.evidence.baseline_is_model:
            return AboveChance(self._auc(rows))
        e = self.evidence
        return auc_difference(e.y[rows], e.p_model[rows], self.scores(rival)[rows], e.accounts[rows])

    def bootstrap(self, rival: Rival | None, *, n_draws: int) -> Resampled:
        """Whole accounts are drawn; the base rate, a baseline's rival, has an AUC of .5 on any draw."""
        e, rows = self.evidence, self._rows(rival)
        y, p, accounts = e.y[rows], e.p_model[rows], e.accounts[rows]
        if rival is None or (rival is Rival.BASELINE and e.baseline_is_model):
            found = bootstrap_auc(y, p, accounts, n_draws=n_draws, seed=_SEED)
            return found if rival is None else Resampled(found.values - 0.5)
        return bootstrap_difference(y, p, self.scores(rival)[rows], accounts, n_draws=n_draws, seed=_SEED)

    def scores(self, rival: Rival) -> Floats:
        """The rival's probabilities on all rows; without an anchor of its own, production is the anchor."""
        production = self.evidence.production
        if rival is Rival.BASELINE or production is None:
            return self.evidence.p_baseline
        if rival is Rival.PRODUCTION or production.anchor_p is None:
            return production.p
        return production.anchor_p

    def calibration(self) -> Line:
        """Errors are clustered by account."""
        y, p, accounts = self.evidence.y, self.evidence.p_model, self.evidence.accounts
        line = calibration_line(y, p, accounts)
        return Line(
            Estimate(line.slope, line.slope_se),
            Estimate(line.intercept, line.intercept_se),
            mean_error(y, p, accounts),
            float(p.mean()) if p.size else None,
            float(y.mean()) if y.size else None,
        )

    def at_cut(self, cutoff: Cutoff, confidence: float) -> Cut:
        """A group of equal scores that would reach beyond a `top_share` is not flagged."""
        e = self.evidence
        found = metrics_at(e.y, flag(e.p_model, cutoff, e.development_churn_rate), e.accounts)
        return Cut(found.n_flagged, found.precision, found.recall, found.f1, found.f1_interval(confidence))

    def told_apart(self, rival: Rival | None, confidence: float) -> dict[str, Any]:
        """Where the test side lies later than what the version learned from."""
        known = self.evidence.known
        if known is None:
            return {}
        told, rows = {}, self._rows(rival)
        for name, part in (("known", rows & known), ("new", rows & ~known)):
            y = self.evidence.y[part]
            found = None if too_few(y) else self._auc(part) if rival is None else self._against(rival, part)
            told[name] = {
                "estimate": found.value if found else None,
                "interval": found.interval(confidence) if found else None,
                **sizes(y),
            }
        return told


def flag(p: Floats, cutoff: Cutoff, churn_rate: float) -> Bools:
    """The rows at or above a cut-off: boolean, shape (n,); the default share is the `churn_rate` of development."""
    if isinstance(cutoff, ProbabilityCut):
        return p >= cutoff.value
    if isinstance(cutoff, TierCut):
        tiers = ProbabilityTiers()
        return p >= (tiers.high if cutoff.value == "high" else tiers.medium)
    share = churn_rate if cutoff.value is None else cutoff.value
    return p >= top_cut(p, max(round(share * p.size), 1))
