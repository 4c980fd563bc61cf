"""Logistic regression on the encoder's matrix, and the base rate: the two models that are plain numbers."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from app.ml.encoding import Matrix
from app.ml.frame import Floats
from app.ml.kinds.one_file import OneFile
from app.ml.kinds.scaling import CHUNK, Scaling, fit_scaling
from app.stats.logistic import fit_logistic

# Tried where no C is given, the strongest penalty first.
C_PATH = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)

_FREE = 1e-9  # penalty on the intercept: only classes of one label need it


@dataclass(frozen=True)
class LogisticModel(Scaling, OneFile):
    """log-odds = intercept + sum of coefficient x standardised column.

    Attributes
    ----------
    coefficients : tuple of d numbers
    missing_coefficients : tuple of d numbers
        Added to the log-odds of a missing value is missing_coefficient x (1 - missing_share), of a present one
        missing_coefficient x (0 - missing_share).
    intercept : log-odds of an average development row
    """

    coefficients: tuple[float, ...]
    missing_coefficients: tuple[float, ...]
    intercept: float
    n_rounds: int = 1
    file_name: ClassVar[str] = "linear.json"

    def margins(self, X: Matrix) -> Floats:
        """Log-odds of shape (n,), a chunk of rows at a time."""
        margins = np.empty(len(X))
        for begin in range(0, len(X), CHUNK):
            rows = X[begin : begin + CHUNK]
            margins[begin : begin + CHUNK] = self.intercept + self.native_contributions(rows).sum(axis=1)
        return margins

    def round_margins(self, X: Matrix, at: int) -> Floats:
        """All of the log-odds: there is one round."""
        return self.margins(X)

    def native_contributions(self, X: Matrix) -> Floats:
        """Coefficient x (value - mean): exact SHAP values against the development rows, shape (n, d), log-odds."""
        if X.shape[1] != len(self.coefficients):  # numpy would stretch a single column
            raise ValueError(f"the model has {len(self.coefficients)} columns, the rows have {X.shape[1]}")
        missing = np.isnan(X)
        z = self.standardise(X, missing)
        shares, weights = np.array(self.missing_shares), np.array(self.missing_coefficients)
        contributions: Floats = z * np.array(self.coefficients) + (missing - shares) * weights
        return contributions

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


@dataclass(frozen=True)
class LogisticPath(OneFile):
    """Logistic regressions of the same rows under ever weaker penalties; each counts as a round."""

    models: tuple[LogisticModel, ...]
    file_name: ClassVar[str] = LogisticModel.file_name

    @property
    def n_rounds(self) -> int:
        """How many there are."""
        return len(self.models)

    def margins(self, X: Matrix) -> Floats:
        """Log-odds by the last: shape (n,)."""
        return self.models[-1].margins(X)

    def staged_margins(self, X: Matrix) -> Iterator[Floats]:
        """Log-odds by one after the other, each of shape (n,); the rows are standardised once."""
        shared, betas = self.models[0], np.array([_beta(model) for model in self.models])
        margins = np.empty((len(betas), len(X)))
        for begin in range(0, len(X), CHUNK):
            margins[:, begin : begin + CHUNK] = betas @ shared.design(X[begin : begin + CHUNK])
        yield from margins

    def round_margins(self, X: Matrix, at: int) -> Floats:
        """What the next weaker penalty changes: shape (n,)."""
        return self.models[at].margins(X) - (self.models[at - 1].margins(X) if at else 0.0)

    def native_contributions(self, X: Matrix) -> Floats:
        """Of the last: shape (n, d)."""
        return self.models[-1].native_contributions(X)

    def gains(self, n_columns: int, n_rounds: int) -> Floats:
        """Size of the effects under one of the penalties: shape (d,)."""
        return self.models[n_rounds - 1].gains(n_columns, 1)

    def to_bytes(self) -> bytes:
        """The last as canonical JSON."""
        return self.models[-1].to_bytes()


@dataclass(frozen=True)
class LogisticLearner:
    """Fits logistic regression with an L2 penalty of strength 1/C on standardised columns."""

    params: dict[str, Any]
    seed: int
    n_rounds: int = 1

    def fit(self, X: Matrix, y: Floats, *, n_rounds: int, n_threads: int) -> LogisticModel:
        """Impute by medians, log what is skewed, standardise, and solve by Newton's method."""
        return _fit_penalties(X, y, [self.params["C"]], self.params["max_iter"], n_threads)[0]


@dataclass(frozen=True)
class TunedLogisticLearner:
    """Fits logistic regression under each penalty of `C_PATH`; how far to go is chosen as boosting rounds are."""

    params: dict[str, Any]
    seed: int
    n_rounds: int = len(C_PATH)

    def fit(self, X: Matrix, y: Floats, *, n_rounds: int, n_threads: int) -> LogisticPath:
        """The first of the path, each begun where the one before ended."""
        path = list(C_PATH[:n_rounds])
        return LogisticPath(tuple(_fit_penalties(X, y, path, self.params["max_iter"], n_threads)))

    def settle(self, n_rounds: int) -> LogisticLearner:
        """The learner with the C that so many rounds end at."""
        return LogisticLearner({**self.params, "C": C_PATH[n_rounds - 1]}, self.seed)


def _fit_penalties(X: Matrix, y: Floats, path: list[float], max_iter: int, n_threads: int) -> list[LogisticModel]:
    scaling = fit_scaling(X, n_threads)
    design = scaling.design(X)
    ridges = np.repeat(1 / np.array(path), len(design)).reshape(len(path), len(design))
    ridges[:, 0] = _FREE
    fits = fit_logistic(design, y, ridges, max_iter=max_iter, n_threads=n_threads)
    return [_with_coefficients(scaling, fit.coefficients) for fit in fits]


def _with_coefficients(scaling: Scaling, beta: Floats) -> LogisticModel:
    d = len(scaling.means)
    weights = np.zeros(d)
    weights[scaling.flagged] = beta[1 + d :]
    return LogisticModel(
        medians=scaling.medians,
        logged=scaling.logged,
        means=scaling.means,
        sds=scaling.sds,
        missing_shares=scaling.missing_shares,
        coefficients=tuple(map(float, beta[1 : 1 + d])),
        missing_coefficients=tuple(map(float, weights)),
        intercept=float(beta[0]),
    )


def _beta(model: LogisticModel) -> Floats:
    """Its coefficients in the order of the rows of `design`."""
    weights = np.array(model.missing_coefficients)[model.flagged]
    return np.concatenate([[model.intercept], model.coefficients, weights])


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
