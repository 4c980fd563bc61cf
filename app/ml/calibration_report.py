"""How right the probabilities of a model are, before and after calibration, as plain data."""

from typing import Any

from app.ml.frame import Floats
from app.ml.metrics import known, known_interval
from app.stats.arrays import Clusters
from app.stats.calibration import brier, brier_skill, calibration_line, mean_error, reliability


def calibration_figures(y: Floats, p: Floats, base_rate: float, clusters: Clusters | None) -> dict[str, Any]:
    """Recalibration line, mean error, Brier score and skill, and the reliability table, with 95 % intervals.

    The expected calibration error is left out: it depends on the bins, is never 0 for a perfect model of few rows,
    and says nothing that slope, intercept and table don't.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    p : ndarray of shape (n,)
        Probabilities, 0..1.
    base_rate : float
        What the base rate says of every row, 0..1: the Brier skill score is measured against it.
    clusters : ndarray of shape (n,) or None
        Rows of one account carry the same value.

    Returns
    -------
    dict
        None where a figure can't be told.
    """
    line, error = calibration_line(y, p, clusters), mean_error(y, p, clusters)
    skill = brier_skill(y, p, base_rate, clusters)
    return {
        "mean_probability": known(float(p.mean())),
        "churn_rate": known(float(y.mean())),
        "mean_error": known(error.value),
        "mean_error_interval": known_interval(error.interval()),
        "slope": known(line.slope),
        "slope_interval": known_interval(line.slope_interval()),
        "intercept": known(line.intercept),
        "intercept_interval": known_interval(line.intercept_interval()),
        "brier": known(brier(y, p)),
        "brier_skill": known(skill.value),
        "brier_skill_interval": known_interval(skill.interval()),
        "reliability": [
            {
                "n": each.n,
                "mean_probability": each.mean_predicted,
                "churn_rate": each.churn_rate,
                "interval": [each.interval.low, each.interval.high],
            }
            for each in reliability(y, p, clusters=clusters)
        ],
    }
