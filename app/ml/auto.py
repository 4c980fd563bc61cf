"""Which kind of model to take: all are judged in the same folds, and the simplest that is not clearly worse wins."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from app.ml.calibration import FITS
from app.ml.frame import Floats
from app.ml.kinds.blend import fit_weights
from app.ml.kinds.models import ModelKind
from app.ml.recipe import Fitted, Folds
from app.stats.arrays import Clusters, clustered_mean
from app.stats.calibration import log_loss, log_losses
from app.stats.ranking import auc_estimate

KINDS = (
    ModelKind.LOGISTIC,
    ModelKind.RANDOM_FOREST,
    ModelKind.LIGHTGBM,
    ModelKind.XGBOOST,
    ModelKind.BLEND,
    ModelKind.MLP,
)  # the simplest first; the net comes last, for its reasons are estimates


@dataclass(frozen=True)
class KindRow:
    """How one kind did on rows that neither model nor calibrator had seen.

    Attributes
    ----------
    kind : of model
    log_loss : nats per row
    roc_auc : 0..1
    difference : its log-loss minus the least one, 0 or more
    difference_se : standard error of that, paired by row and clustered by account
    chosen : whether it is taken
    """

    kind: str
    log_loss: float
    roc_auc: float
    difference: float
    difference_se: float
    chosen: bool


@dataclass(frozen=True)
class KindChoice:
    """The kind taken, why, and how all of them did."""

    kind: ModelKind
    sentence: str
    rows: tuple[KindRow, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"kind": self.kind.value, "sentence": self.sentence, "kinds": [asdict(row) for row in self.rows]}


def held_out_probabilities(fitted: Fitted, y: Floats, folds: Folds) -> Floats:
    """Probabilities of shape (n,) from models, weights of a blend and calibrators that were not fitted on the row.

    The out-of-fold margins come from models that did not see the row, but one calibrator was fitted on all of them;
    here the other folds' margins give each fold its own, of the same kind. Only what is chosen for all folds at once
    has seen every row: the number of rounds, or C, and the kind of calibrator.

    Parameters
    ----------
    fitted : Fitted
        What the recipe gave.
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    folds : ndarray of shape (n,)
        0..k-1.
    """
    fit = FITS[fitted.calibrator.kind]
    probabilities = np.empty(y.size)
    for fold in np.unique(folds):
        out = folds == fold
        margins = fitted.oof_margins
        if fitted.part_margins is not None:
            margins = fitted.part_margins @ fit_weights(fitted.part_margins[~out], y[~out])
        probabilities[out] = fit(margins[~out], y[~out]).apply(margins[out])
    return probabilities


def choose_kind(probabilities: Mapping[ModelKind, Floats], y: Floats, accounts: Clusters) -> KindChoice:
    """The simplest kind whose log-loss is within one standard error of the least.

    The standard error is that of the paired difference to the best kind, so what is hard to tell for all of them
    cancels.

    Parameters
    ----------
    probabilities : mapping of kind to ndarray of shape (n,)
        Held out; the simplest kind first.
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    accounts : ndarray of shape (n,)
        Rows of one account carry the same value.

    References
    ----------
    Breiman, Friedman, Olshen, Stone (1984), Classification and Regression Trees, 3.4.3: the one standard error rule.
    """
    losses = {kind: log_losses(y, p) for kind, p in probabilities.items()}
    best = min(losses, key=lambda kind: log_loss(y, probabilities[kind]))
    behind = {kind: clustered_mean(loss - losses[best], accounts) for kind, loss in losses.items()}
    chosen = next(kind for kind, difference in behind.items() if difference.value <= difference.se or kind is best)
    rows = tuple(
        KindRow(
            kind=kind.value,
            log_loss=float(losses[kind].mean()),
            roc_auc=auc_estimate(y, p).value,
            difference=behind[kind].value,
            difference_se=behind[kind].se,
            chosen=kind is chosen,
        )
        for kind, p in probabilities.items()
    )
    return KindChoice(chosen, _sentence(chosen, best, rows), rows)


def _sentence(chosen: ModelKind, best: ModelKind, rows: tuple[KindRow, ...]) -> str:
    of = {row.kind: row for row in rows}
    simpler = [row for row in rows[: [row.kind for row in rows].index(best)] if not row.chosen]
    if chosen is not best:
        row = of[chosen]
        return (
            f"{chosen.value} is the simplest kind within one standard error of the best: its out-of-fold log-loss "
            f"of {row.log_loss:.4f} is {row.difference:.4f} (standard error {row.difference_se:.4f}) above that of "
            f"{best.value}."
        )
    words = f"{best.value} has the least out-of-fold log-loss, {of[best].log_loss:.4f}"
    if not simpler:
        return f"{words}, and no kind is simpler."
    nearest = min(simpler, key=lambda row: row.difference)
    return (
        f"{words}, and no simpler kind is within one standard error of it: the nearest, {nearest.kind}, is "
        f"{nearest.difference:.4f} (standard error {nearest.difference_se:.4f}) above."
    )
