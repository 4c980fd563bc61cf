"""Logistic regression on the encoder's matrix, and the base rate: the two models that are plain numbers."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy  # its parts are loaded when first used: they take seconds
from scipy.special import expit

from app.ml.encoding import Matrix
from app.ml.frame import Floats
from app.ml.one_file import OneFile

_Z_LIMIT = 8.0  # standard deviations: beyond, one wild value would decide alone
_MIN_SKEWNESS = 1.0  # "highly skewed" (Bulmer 1979, Principles of Statistics)


@dataclass(frozen=True)
class LogisticModel(OneFile):
    """log-odds = intercept + sum of coefficient x standardised column.

    Attributes
    ----------
    medians, means, sds, coefficients : tuples of d numbers
        A column is imputed by its median, `logged` where skewed, standardised, kept within 8 standard deviations.
    logged : tuple of d booleans; such a column x becomes sign(x) ln(1 + |x|)
    missing_coefficients, missing_shares : tuples of d numbers
        Added to the log-odds of a missing value is missing_coefficient x (1 - missing_share), of a present one
        missing_coefficient x (0 - missing_share).
    intercept : log-odds of an average development row
    """

    medians: tuple[float, ...]
    logged: tuple[bool, ...]
    means: tuple[float, ...]
    sds: tuple[float, ...]
    coefficients: tuple[float, ...]
    missing_coefficients: tuple[float, ...]
    missing_shares: tuple[float, ...]
    intercept: float
    n_rounds: int = 1
    file_name: ClassVar[str] = "linear.json"

    def margins(self, X: Matrix) -> Floats:
        """Log-odds of shape (n,)."""
        margins: Floats = self.intercept + self.native_contributions(X).sum(axis=1)
        return margins

    def round_margins(self, X: Matrix, at: int) -> Floats:
        """All of the log-odds: there is one round."""
        return self.margins(X)

    def native_contributions(self, X: Matrix) -> Floats:
        """Coefficient x (value - mean): exact SHAP values against the development rows, shape (n, d), log-odds."""
        if X.shape[1] != len(self.coefficients):  # numpy would stretch a single column
            raise ValueError(f"the model has {len(self.coefficients)} columns, the rows have {X.shape[1]}")
        missing = np.isnan(X)
        z = self._standardise(X, missing)
        shares, weights = np.array(self.missing_shares), np.array(self.missing_coefficients)
        contributions: Floats = z * np.array(self.coefficients) + (missing - shares) * weights
        return contributions

    def _standardise(self, X: Matrix, missing: npt.NDArray[np.bool_]) -> Floats:
        x = np.where(missing, np.array(self.medians), X.astype(np.float64))
        columns = np.flatnonzero(self.logged)
        x[:, columns] = _signed_log(x[:, columns])
        z: Floats = np.clip((x - np.array(self.means)) / np.array(self.sds), -_Z_LIMIT, _Z_LIMIT)
        return z

    def gains(self, n_columns: int, n_rounds: int) -> Floats:
        """Size of the effect of each column, missingness included: shape (d,), log-odds per standard deviation."""
        shares = np.array(self.missing_shares)
        spread = np.sqrt(shares * (1 - shares))
        effects = np.hypot(np.array(self.coefficients), np.array(self.missing_coefficients) * spread)
        return np.asarray(effects, dtype=np.float64)

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, n_threads: int) -> "LogisticModel":
        """Read what `to_bytes` wrote; arithmetic this small takes one thread."""
        raw: Mapping[str, Any] = json.loads(data)
        lists: dict[str, Any] = {name: tuple(value) for name, value in raw.items() if isinstance(value, list)}
        if len({len(value) for value in lists.values()}) != 1:
            raise ValueError("the columns of a logistic model must all be there")
        return cls(**lists, intercept=float(raw["intercept"]))


def _signed_log(x: Floats) -> Floats:
    logged: Floats = np.sign(x) * np.log1p(np.abs(x))
    return logged


def _median(x: Matrix) -> float:
    present = x[~np.isnan(x)]
    return float(np.median(present)) if present.size else 0.0


@dataclass(frozen=True)
class LogisticLearner:
    """Fits logistic regression with an L2 penalty of strength 1/C on standardised columns."""

    params: dict[str, Any]
    seed: int
    n_rounds: int = 1

    def fit(self, X: Matrix, y: Floats, *, n_rounds: int, n_threads: int) -> LogisticModel:
        """Impute by medians, log what is skewed, standardise, and solve by Newton's method."""
        missing = np.isnan(X)
        shares = missing.mean(axis=0)
        medians = tuple(_median(column) for column in X.T)
        x = np.where(missing, np.array(medians), X.astype(np.float64))
        logged = tuple(_is_better_logged(column) for column in x.T)
        columns = np.flatnonzero(logged)
        x[:, columns] = _signed_log(x[:, columns])
        means, sds = x.mean(axis=0), x.std(axis=0)
        sds[sds < 1e-12] = 1.0
        z = np.clip((x - means) / sds, -_Z_LIMIT, _Z_LIMIT)
        flags = np.flatnonzero(shares > 0)
        design = np.column_stack([np.ones(len(z)), z, (missing - shares)[:, flags]])
        beta = solve_logistic(design, y, 1 / self.params["C"], self.params["max_iter"])
        weights = np.zeros(X.shape[1])
        weights[flags] = beta[1 + X.shape[1] :]
        return LogisticModel(
            medians=medians,
            logged=logged,
            means=tuple(map(float, means)),
            sds=tuple(map(float, sds)),
            coefficients=tuple(map(float, beta[1 : 1 + X.shape[1]])),
            missing_coefficients=tuple(map(float, weights)),
            missing_shares=tuple(map(float, shares)),
            intercept=float(beta[0]),
        )


def _is_better_logged(x: Floats) -> bool:
    """Money and counts: skewed as they are, less so in logs. Decided on the rows of the fit."""
    if np.unique(x[:1000]).size <= 2 and np.unique(x).size <= 2:
        return False
    before = abs(float(scipy.stats.skew(x)))
    return before > _MIN_SKEWNESS and abs(float(scipy.stats.skew(_signed_log(x)))) < before


def solve_logistic(design: Floats, y: Floats, penalty: float, max_iter: int) -> Floats:
    """Minimise the summed log-loss + penalty/2 x squared coefficients (not the first) by damped Newton steps.

    Parameters
    ----------
    design : ndarray of shape (n, d)
        The first column is 1.
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    penalty : float
        Above 0: so that the minimum exists and is unique.
    max_iter : int
        At most so many steps.

    Returns
    -------
    ndarray of shape (d,)
    """
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 1e-9  # the intercept is free; only classes of one label need this
    beta = np.zeros(design.shape[1])
    loss = _penalised_loss(design, y, ridge, beta)
    for _ in range(max_iter):
        p = expit(design @ beta)
        hessian = (design * (p * (1 - p))[:, np.newaxis]).T @ design + np.diag(ridge)
        step = np.linalg.solve(hessian, design.T @ (y - p) - ridge * beta)
        while (new := _penalised_loss(design, y, ridge, beta + step)) > loss + 1e-10 * abs(loss):
            step = step / 2
        beta, loss = beta + step, new
        if np.abs(step).max() < 1e-9:
            break
    return beta


def _penalised_loss(design: Floats, y: Floats, ridge: Floats, beta: Floats) -> float:
    score = design @ beta
    return float(np.sum(np.logaddexp(0, score) - y * score) + ridge @ (beta * beta) / 2)


@dataclass(frozen=True)
class BaseRateModel(OneFile):
    """The same log-odds for every account: what a model must beat."""

    margin: float
    n_rounds: int = 1
    file_name: ClassVar[str] = "base_rate.json"

    def margins(self, X: Matrix) -> Floats:
        """The base rate's log-odds: shape (n,)."""
        return np.full(len(X), self.margin)

    def round_margins(self, X: Matrix, at: int) -> Floats:
        """All of the log-odds: there is one round."""
        return self.margins(X)

    def native_contributions(self, X: Matrix) -> Floats:
        """Zeros of shape (n, d): no feature has a part in it."""
        return np.zeros(X.shape)

    def gains(self, n_columns: int, n_rounds: int) -> Floats:
        """Zeros of shape (d,)."""
        return np.zeros(n_columns)

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return json.dumps({"margin": self.margin}, allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, n_threads: int) -> "BaseRateModel":
        """Read what `to_bytes` wrote."""
        return cls(float(json.loads(data)["margin"]))


@dataclass(frozen=True)
class BaseRateLearner:
    """Learns the churn rate, nothing else."""

    params: dict[str, Any]
    seed: int
    n_rounds: int = 1

    def fit(self, X: Matrix, y: Floats, *, n_rounds: int, n_threads: int) -> BaseRateModel:
        """The log-odds of the churn rate; half a count keeps it finite."""
        rate = (float(y.sum()) + 0.5) / (y.size + 1)
        return BaseRateModel(float(np.log(rate / (1 - rate))))
