"""Logistic regression with a ridge, of many rows: Newton's method over chunks of rows."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from app.stats.arrays import Floats

Columns = npt.NDArray[np.floating]

_CHUNK = 16_384  # rows: what a chunk needs stays in the processor's cache
_DAMPING = 1e-12  # of a row's weight: steps stay finite where every probability is 0 or 1


@dataclass(frozen=True)
class LogisticFit:
    """Where the loss is lowest: coefficients of shape (d,), and the summed loss in nats, ridge included."""

    coefficients: Floats
    loss: float


@dataclass(frozen=True)
class _Sums:
    """Over rows, at some coefficients: loss, its falling gradient of shape (d,), information of shape (d, d)."""

    loss: float
    gradient: Floats
    information: Floats

    def __add__(self, other: "_Sums") -> "_Sums":
        return _Sums(self.loss + other.loss, self.gradient + other.gradient, self.information + other.information)


def fit_logistic(
    columns: Columns,
    y: Floats,
    ridges: Floats,
    *,
    start: Floats | None = None,
    tolerance: float = 1e-5,
    max_iter: int = 100,
    n_threads: int = 1,
) -> list[LogisticFit]:
    r"""Minimise the log-loss with each of several ridges, one after another, each from where the last one ended.

    .. math:: \sum_i \log(1 + e^{s_i}) - y_i s_i + \tfrac12 \sum_j r_j \beta_j^2, \qquad s_i = \sum_j \beta_j x_{ji}

    Steps are halved while they overshoot. Rows are read in chunks whose sums are added in their order, so neither
    the number of threads nor a copy of the whole in double precision plays a part.

    Parameters
    ----------
    columns : float32 or float64 ndarray of shape (d, n)
        A row for each coefficient; a constant one gives the intercept.
    y : ndarray of shape (n,)
        1 churned, 0 stayed, or a share between them.
    ridges : ndarray of shape (k, d)
        Penalty on each squared coefficient, 0 or more.
    start : ndarray of shape (d,) or None
        Where the first begins; by default at 0.
    tolerance : float
        A step that moves no coefficient by more is taken without looking back, and the fit ends with it. Steps being
        Newton's, what is left is about its square.
    max_iter : int
        At most so many steps for each ridge.
    n_threads : int
        Has no effect on the result.

    Returns
    -------
    list of k LogisticFit

    References
    ----------
    Hastie, Tibshirani, Friedman (2009), The Elements of Statistical Learning, section 4.4.1.

    Examples
    --------
    >>> ones = np.ones((1, 4))  # three in four: log-odds ln 3
    >>> fit_logistic(ones, np.array([1.0, 1.0, 1.0, 0.0]), np.zeros((1, 1)))[0].coefficients.round(4)
    array([1.0986])
    """
    with ThreadPoolExecutor(n_threads) as pool:
        descent = _Descent(columns, y, tolerance, max_iter, pool if n_threads > 1 else None)
        at = descent.stand(np.zeros(len(columns)) if start is None else start)
        fits = []
        for ridge in ridges:
            at, fit = descent.descend(at, ridge)
            fits.append(fit)
    return fits


@dataclass(frozen=True)
class _Point:
    """Coefficients, and the sums there."""

    beta: Floats
    sums: _Sums

    def loss(self, ridge: Floats) -> float:
        return self.sums.loss + float(ridge @ (self.beta * self.beta)) / 2


@dataclass(frozen=True)
class _Descent:
    """The rows, when to stop, and who adds up."""

    columns: Columns
    y: Floats
    tolerance: float
    max_iter: int
    pool: ThreadPoolExecutor | None

    def descend(self, at: _Point, ridge: Floats) -> tuple[_Point, LogisticFit]:
        """The minimum under one ridge, and the last point whose sums are known: the next ridge may begin there."""
        damping = np.diag(ridge + _DAMPING * self.y.size)
        for n_left in range(self.max_iter, 0, -1):
            slope = at.sums.gradient - ridge * at.beta
            step = np.asarray(np.linalg.solve(at.sums.information + damping, slope), dtype=np.float64)
            if np.abs(step).max() <= self.tolerance or n_left == 1:
                break
            at = self._go(at, step, ridge)
        return at, LogisticFit(at.beta + step, at.loss(ridge) - float(slope @ step) / 2)

    def _go(self, at: _Point, step: Floats, ridge: Floats) -> _Point:
        loss = at.loss(ridge)
        new = self.stand(at.beta + step)
        while new.loss(ridge) > loss + 1e-10 * abs(loss):
            step = step / 2
            new = self.stand(at.beta + step)
        return new

    def stand(self, beta: Floats) -> _Point:
        """Go through all rows."""
        return _Point(beta, self.sums_at(beta))

    def sums_at(self, beta: Floats) -> _Sums:
        """Sums over all rows, chunk after chunk."""

        def add_up(begin: int) -> _Sums:
            end = begin + _CHUNK
            return _chunk_sums(self.columns[:, begin:end], self.y[begin:end], beta)

        begins = range(0, self.y.size, _CHUNK)
        parts: Iterator[_Sums] = self.pool.map(add_up, begins) if self.pool else map(add_up, begins)
        return reduce(_Sums.__add__, parts)


def _chunk_sums(columns: Columns, y: Floats, beta: Floats) -> _Sums:
    x = np.asarray(columns, dtype=np.float64)
    score = beta @ x
    tail = np.exp(-np.abs(score))
    p = np.where(score > 0, 1.0, tail) / (1 + tail)
    loss = float(np.sum(np.log1p(tail) + np.maximum(score, 0) - y * score))
    return _Sums(loss, x @ (y - p), (x * (p * (1 - p))) @ x.T)
