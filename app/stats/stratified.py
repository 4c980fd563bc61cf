"""AUC among rows of one stratum each: for scores that compare within a stratum only."""

import numpy as np

from app.stats.arrays import Clusters, Floats, Ints
from app.stats.ranking import AucEstimates, delong


def delong_within(y: Floats, scores: Floats, strata: Ints, clusters: Clusters | None = None) -> AucEstimates:
    r"""Mean over strata of the AUCs of m scores and of their covariance, weighted by churners.

    A score that was learned elsewhere for each stratum (out of fold) orders the rows of one stratum; rows of two
    strata were scored by two rankings, and comparing them would rank a row backwards that its own ranking had not
    seen. Strata are independent: :math:`\hat\theta = \sum_s w_s \hat\theta_s`, its covariance
    :math:`\sum_s w_s^2 \Sigma_s`, with :math:`w_s` the share of churners in stratum s.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    scores : ndarray of shape (m, n)
        Larger means more at risk; ties count half.
    strata : ndarray of shape (n,)
        All rows of one account in one stratum. A stratum with one class only is left out.
    clusters : ndarray of shape (n,) or None
        Rows of one account carry the same value.

    Returns
    -------
    AucEstimates
        NaN where no stratum has both classes; the rows of either class are those of all strata.

    Examples
    --------
    >>> y, score = np.array([0.0, 1.0, 0.0, 1.0]), np.array([1.0, 2.0, 11.0, 12.0])
    >>> float(delong_within(y, score[np.newaxis], np.array([0, 0, 1, 1])).auc[0])
    1.0
    """
    found = []
    for stratum in np.unique(strata):
        at = strata == stratum
        each = delong(y[at], scores[:, at], None if clusters is None else clusters[at])
        if each.n_positive and each.n_negative:
            found.append(each)
    n_positive = int((y == 1).sum())
    if not found:
        m = scores.shape[0]
        return AucEstimates(np.full(m, np.nan), np.full((m, m), np.nan), n_positive, y.size - n_positive)
    total = sum(each.n_positive for each in found)
    weights = [each.n_positive / total for each in found]
    auc = sum((w * each.auc for w, each in zip(weights, found, strict=True)), np.zeros(scores.shape[0]))
    covariance = sum(
        (w**2 * each.covariance for w, each in zip(weights, found, strict=True)), np.zeros_like(found[0].covariance)
    )
    return AucEstimates(auc, covariance, n_positive, y.size - n_positive)
