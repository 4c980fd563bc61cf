"""The numbers of a recipe refitted in folds: means over the folds, with an error that knows how alike they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.ml.checks.measures import AboveChance, Cut, Line, Measures, Rival, TestSide, WithError, flag
from app.ml.checks.rules import Measured
from app.ml.frame import Floats
from app.ml.judgement import CrossFit, Evidence, EvidenceKind
from app.schemas.config import Cutoff
from app.stats.calibration import calibration_line
from app.stats.ranking import auc
from app.stats.resampling import FoldMean, corrected_mean
from app.stats.thresholds import metrics_at


@dataclass(frozen=True)
class CrossFitted:
    """The recipe of the version, and those of its rivals, in the same folds."""

    fit: CrossFit
    development_churn_rate: float
    baseline_is_model: bool

    @property
    def kind(self) -> EvidenceKind:
        """Models refitted in folds."""
        return EvidenceKind.CROSS_FITTED

    @property
    def degrees(self) -> int:
        """One less than there are folds."""
        return sum(int(folds.max()) + 1 for folds in self.fit.folds) - 1

    def labels(self, rival: Rival | None = None) -> Floats:
        """Of all rows: every one is out of some fold."""
        return self.fit.y

    def auc(self) -> FoldMean:
        """The mean of the fold AUCs."""
        return self._mean(auc, self.fit.p_model, least=0.0, most=1.0)

    def against(self, rival: Rival) -> WithError:
        """Differences within the folds; the rival of a baseline is the base rate."""
        if rival is Rival.BASELINE and self.baseline_is_model:
            return AboveChance(self.auc())
        return self._mean(
            lambda y, p, q: auc(y, p) - auc(y, q), self.fit.p_model, self._scores(rival), least=-1, most=1
        )

    def _scores(self, rival: Rival) -> Floats:
        fit = self.fit
        of = {Rival.BASELINE: fit.p_baseline, Rival.PRODUCTION: fit.p_production, Rival.ANCHOR: fit.p_anchor}
        found = of[rival] if of[rival] is not None else fit.p_production
        if found is None:
            raise ValueError(f"these folds have no {rival.value}")
        return found

    def bootstrap(self, rival: Rival | None, *, n_draws: int) -> None:
        """Rows of one fold are judged by one model each: drawing rows would leave out what the models vary by."""
        return

    def calibration(self) -> Line:
        """Slope, intercept and mean of each fold; folds whose classes don't overlap have no line."""
        y, p = self.fit.y, self.fit.p_model
        return Line(
            self._mean(lambda y, p: calibration_line(y, p).slope, p),
            self._mean(lambda y, p: calibration_line(y, p).intercept, p),
            self._mean(lambda y, p: float(p.mean() - y.mean()), p, least=-1, most=1),
            float(p.mean()),
            float(y.mean()),
        )

    def at_cut(self, cutoff: Cutoff, confidence: float) -> Cut:
        """The cut-off is applied within each fold; the number flagged is the mean of the repeats."""

        def figure(name: str) -> Callable[..., float]:
            def of(y: Floats, p: Floats) -> float:
                found = metrics_at(y, flag(p, cutoff, self.development_churn_rate))
                return {
                    "n_flagged": float(found.n_flagged),
                    "precision": _value(found.precision),
                    "recall": _value(found.recall),
                    "f1": float("nan") if found.f1 is None else found.f1,
                }[name]

            return of

        p = self.fit.p_model
        precision, recall, f1 = (
            self._mean(figure(name), p, least=0.0, most=1.0) for name in ("precision", "recall", "f1")
        )
        n_flagged = sum(figure("n_flagged")(self.fit.y, each) for each in p) / len(p)
        return Cut(round(n_flagged), precision, recall, f1.value, f1.interval(confidence))

    def told_apart(self, rival: Rival | None, confidence: float) -> dict[str, Any]:
        """To a fold all its accounts are new."""
        return {}

    def _mean(
        self, figure: Callable[..., float], *scores: Floats, least: float = -np.inf, most: float = np.inf
    ) -> FoldMean:
        """The mean of a figure over all folds of all repeats."""
        values = [
            figure(self.fit.y[rows], *(each[repeat][rows] for each in scores))
            for repeat, folds in enumerate(self.fit.folds)
            for rows in (folds == fold for fold in range(int(folds.max()) + 1))
        ]
        n_folds = int(self.fit.folds[0].max()) + 1
        return corrected_mean(np.array(values), test_share=1 / n_folds, least=least, most=most)


def _value(found: Measured | None) -> float:
    return float("nan") if found is None else found.value


def measures_of(evidence: Evidence) -> Measures:
    """The folds where there are any, else the test side."""
    if evidence.cross_fit is None:
        return TestSide(evidence)
    return CrossFitted(evidence.cross_fit, evidence.development_churn_rate, evidence.baseline_is_model)
