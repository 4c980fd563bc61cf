"""How much evidence a comparison of two AUCs needs, and what a rule would decide with the evidence there is."""

from math import ceil, sqrt

import scipy  # its parts are loaded when first used: they take seconds
from scipy.special import ndtr, ndtri

from app.stats.arrays import normal_quantile, student_quantile

# SE of the AUC difference of two similar models is about this over sqrt(churners); by simulation, 20 mixed features.
SD_PER_CHURNER = 0.122


def churners_needed(
    difference: float, *, sd_per_churner: float = SD_PER_CHURNER, confidence: float = 0.95, power: float = 0.8
) -> int:
    """Churners with which a true AUC difference is shown, at `confidence`, with chance `power`.

    Parameters
    ----------
    difference : float
        The true difference, above 0.
    sd_per_churner : float
        Standard error of the difference times the root of the churners.
    confidence, power : float
        0..1.

    Examples
    --------
    >>> churners_needed(0.02)
    293
    """
    z = normal_quantile(confidence) + float(ndtri(power))
    return ceil((z * sd_per_churner / difference) ** 2)


def planned_se(n_churners: int) -> float:
    """Standard error to expect of the AUC difference of two similar models; infinite without churners."""
    return SD_PER_CHURNER / sqrt(n_churners) if n_churners else float("inf")


def pass_probability(
    true_value: float, *, se: float, threshold: float, confidence: float = 0.95, degrees: int | None = None
) -> float:
    """Chance that the lower end of the interval of an estimate of `true_value` reaches `threshold`.

    Parameters
    ----------
    true_value, threshold : float
        On the scale of the estimate.
    se : float
        Its standard error, 0 or more; at 0 the answer is certain.
    confidence : float
        Of the two-sided interval, 0..1.
    degrees : int or None
        Degrees of freedom of the standard error, where the interval is Student's.
    """
    if se == 0:
        return float(true_value >= threshold)
    distance = (true_value - threshold) / se
    if degrees is None:
        return float(ndtr(distance - normal_quantile(confidence)))
    return float(scipy.stats.nct.sf(student_quantile(confidence, degrees), degrees, distance))
