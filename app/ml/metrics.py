"""The figures of a fitted model on a side or a fold, as plain data."""

import math
from typing import Any

import numpy as np

from app.ml.frame import Floats
from app.stats.calibration import brier, calibration_line, log_loss
from app.stats.ranking import auc, pr_auc
from app.stats.thresholds import metrics_at, top_cut


def side_metrics(y: Floats, p: Floats, top_share: float) -> dict[str, Any]:
    """How well probabilities rank, flag and mean what they say.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    p : ndarray of shape (n,)
        Calibrated probabilities, 0..1.
    top_share : float
        Precision, recall and F1 flag this share of the rows, those with the highest probabilities; equal ones
        that don't fit whole are not flagged.

    Returns
    -------
    dict
        None where a figure can't be told, such as the AUC of one class.
    """
    at_cut = metrics_at(y, p >= top_cut(p, round(top_share * y.size)))
    line = calibration_line(y, p)
    return {
        "n": y.size,
        "n_churners": int(y.sum()),
        "churn_rate": _known(float(y.mean())) if y.size else None,
        "mean_probability": _known(float(p.mean())) if y.size else None,
        "roc_auc": _known(auc(y, p)),
        "pr_auc": _known(pr_auc(y, p)),
        "precision": None if at_cut.precision is None else at_cut.precision.value,
        "recall": None if at_cut.recall is None else at_cut.recall.value,
        "f1": at_cut.f1,
        "top_share": top_share,
        "log_loss": _known(log_loss(y, p)),
        "brier": _known(brier(y, p)),
        "calibration_slope": _known(line.slope),
        "calibration_intercept": _known(line.intercept),
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def mean_of_folds(folds: list[dict[str, Any]], name: str) -> tuple[float, float]:
    """Mean and standard deviation of one figure over the folds where it is known."""
    values = np.array([fold[name] for fold in folds if fold[name] is not None])
    return (float(values.mean()), float(values.std(ddof=1))) if values.size > 1 else (math.nan, math.nan)
