"""Logistic regression whose weights may not be negative: how several scores are added up to one."""

import numpy as np
import scipy  # its parts are loaded when first used: they take seconds
from scipy.special import expit

from app.stats.arrays import Floats


def fit_nonnegative_logistic(scores: Floats, targets: Floats) -> Floats:
    r"""Weights of at least 0 that maximise the likelihood of the targets, with a free intercept.

    .. math:: \min_{w \ge 0, b} \sum_i \ln(1 + e^{\eta_i}) - t_i \eta_i, \quad \eta_i = b + \sum_k w_k s_{ik}

    The problem is convex. A score that is constant, or adds nothing to the others, gets exactly 0.

    Parameters
    ----------
    scores : ndarray of shape (n, k)
        Finite; for churn the log-odds of k models.
    targets : ndarray of shape (n,)
        Probabilities, 0..1; labels moved inside keep scores that part the classes perfectly finite.

    Returns
    -------
    ndarray of shape (k,)
        Weights per unit of each score.

    References
    ----------
    Breiman (1996), Stacked regressions, Machine Learning 24, 49-64: why weights that are not negative generalise.
    Byrd, Lu, Nocedal, Zhu (1995), SIAM J. Sci. Comput. 16, 1190-1208.

    Examples
    --------
    >>> wrong_way = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> fit_nonnegative_logistic(wrong_way, np.array([0.9, 0.6, 0.4, 0.1]))
    array([0.])
    """
    spread = scores.std(axis=0)
    spread[spread < 1e-12] = np.inf  # a constant score
    z = (scores - scores.mean(axis=0)) / spread

    def loss(beta: Floats) -> float:
        eta = beta[0] + z @ beta[1:]
        return float(np.mean(np.logaddexp(0, eta) - targets * eta))

    def gradient(beta: Floats) -> Floats:
        error = expit(beta[0] + z @ beta[1:]) - targets
        return np.concatenate([[error.mean()], z.T @ error / targets.size])

    found = scipy.optimize.minimize(
        loss,
        np.zeros(1 + z.shape[1]),
        jac=gradient,
        method="L-BFGS-B",
        bounds=[(None, None), *[(0.0, None)] * z.shape[1]],
        options={"maxiter": 1000, "ftol": 1e-15, "gtol": 1e-9},
    )
    return np.asarray(found.x[1:] / spread, dtype=np.float64)
