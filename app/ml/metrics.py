"""The figures of a fitted model on a side or a fold, as plain data."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.ml.frame import Floats
from app.stats.arrays import Bools, Clusters, Interval
from app.stats.calibration import brier, calibration_line, log_loss
from app.stats.gains import lift
from app.stats.ranking import auc, auc_estimate, pr_auc
from app.stats.thresholds import metrics_at, top_cut

# Of `side_metrics`, those that have a meaning in each fold.
_FOLD_FIGURES = (
    *("churn_rate", "mean_probability", "roc_auc", "pr_auc", "precision", "recall", "f1"),
    *("log_loss", "brier", "calibration_slope", "calibration_intercept"),
)


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
        "churn_rate": known(float(y.mean())) if y.size else None,
        "mean_probability": known(float(p.mean())) if y.size else None,
        "roc_auc": known(auc(y, p)),
        "pr_auc": known(pr_auc(y, p)),
        "precision": None if at_cut.precision is None else at_cut.precision.value,
        "recall": None if at_cut.recall is None else at_cut.recall.value,
        "f1": at_cut.f1,
        "top_share": top_share,
        "log_loss": known(log_loss(y, p)),
        "brier": known(brier(y, p)),
        "calibration_slope": known(line.slope),
        "calibration_intercept": known(line.intercept),
    }


def known(value: float) -> float | None:
    """The number, or None where it is not finite."""
    return value if math.isfinite(value) else None


def known_interval(interval: Interval | None) -> list[float] | None:
    """Both ends, or None where there is no interval or one of them is not finite."""
    return None if interval is None or not np.isfinite(interval).all() else [interval.low, interval.high]


def side_intervals(y: Floats, p: Floats, top_share: float, clusters: Clusters | None) -> dict[str, Any]:
    """95 % intervals of figures of `side_metrics`, and lift with its own, clustered by account.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    p : ndarray of shape (n,)
        Calibrated probabilities, 0..1.
    top_share : float
        As in `side_metrics`.
    clusters : ndarray of shape (n,) or None
        Rows of one account carry the same value.

    Returns
    -------
    dict
        By figure its two ends, None where they can't be told.
    """
    return {"roc_auc": known_interval(auc_estimate(y, p, clusters).interval())} | cut_intervals(
        y, p >= top_cut(p, round(top_share * y.size)), clusters
    )


def cut_intervals(y: Floats, flagged: Bools, clusters: Clusters | None) -> dict[str, Any]:
    """95 % intervals of precision, recall, F1 and lift of flagging these rows, clustered by account."""
    found = metrics_at(y, flagged, clusters)
    return {
        "precision": None if found.precision is None else known_interval(found.precision.interval()),
        "recall": None if found.recall is None else known_interval(found.recall.interval()),
        "f1": known_interval(found.f1_interval()),
        "lift": known_interval(lift(y, flagged, clusters).interval()),
    }


def spread(figures: Mapping[str, Sequence[float | None]]) -> dict[str, dict[str, float | None]]:
    """By figure the `mean` of its known values, and their standard deviation `sd` (n - 1); None where too few."""
    found = {name: np.array([value for value in values if value is not None]) for name, values in figures.items()}
    return {
        "mean": {name: float(values.mean()) if values.size else None for name, values in found.items()},
        "sd": {name: float(values.std(ddof=1)) if values.size > 1 else None for name, values in found.items()},
    }


def over_folds(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation of each figure over the folds where it is known."""
    return {"n_folds": len(folds), **spread({name: [fold[name] for fold in folds] for name in _FOLD_FIGURES})}
