"""Columns made comparable: imputed, logged where skewed, standardised, a chunk of rows at a time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.ml.encoding import Matrix
from app.ml.frame import Floats

CHUNK = 16_384  # rows that are in double precision at a time

_Z_LIMIT = 8.0  # standard deviations: beyond, one wild value would decide alone
_MIN_SKEWNESS = 1.0  # "highly skewed" (Bulmer 1979, Principles of Statistics)


@dataclass(frozen=True)
class Scaling:
    """How columns are made comparable, frozen on the rows of the fit.

    Attributes
    ----------
    medians, means, sds : tuples of d numbers
        A column is imputed by its median, `logged` where skewed, standardised, kept within 8 standard deviations.
    logged : tuple of d booleans; such a column x becomes sign(x) ln(1 + |x|)
    missing_shares : tuple of d numbers, 0..1
    """

    medians: tuple[float, ...]
    logged: tuple[bool, ...]
    means: tuple[float, ...]
    sds: tuple[float, ...]
    missing_shares: tuple[float, ...]

    def standardise(self, X: Matrix, missing: npt.NDArray[np.bool_]) -> Floats:
        """Columns of mean 0 and standard deviation 1 on the rows of the fit: shape (n, d)."""
        x = np.where(missing, np.array(self.medians), X.astype(np.float64))
        columns = np.flatnonzero(self.logged)
        x[:, columns] = _signed_log(x[:, columns])
        z: Floats = np.clip((x - np.array(self.means)) / np.array(self.sds), -_Z_LIMIT, _Z_LIMIT)
        return z

    @property
    def flagged(self) -> npt.NDArray[np.int64]:
        """The columns whose missingness has a coefficient of its own."""
        return np.flatnonzero(self.missing_shares)

    def design(self, X: Matrix) -> Matrix:
        """A constant, the standardised columns, then centred missingness: shape (1 + d + flagged, n), contiguous."""
        flagged, d = self.flagged, X.shape[1]
        shares = np.array(self.missing_shares)[flagged]
        design = np.ones((1 + d + flagged.size, len(X)), dtype=np.float32)
        for begin in range(0, len(X), CHUNK):
            rows = X[begin : begin + CHUNK]
            missing = np.isnan(rows)
            into = design[:, begin : begin + CHUNK]
            into[1 : 1 + d] = self.standardise(rows, missing).T
            into[1 + d :] = (missing[:, flagged] - shares).T
        return design


def fit_scaling(X: Matrix, n_threads: int) -> Scaling:
    """Freeze the scaling column by column, in double precision; threads have no effect on the result."""
    with ThreadPoolExecutor(n_threads) as pool:
        found = list(pool.map(lambda at: _scale_column(X[:, at]), range(X.shape[1])))
    medians, logged, means, sds, shares = zip(*found, strict=True)
    return Scaling(medians, logged, means, sds, shares)


def _scale_column(column: Matrix) -> tuple[float, bool, float, float, float]:
    """Median, whether logged, mean, standard deviation, share of missing values."""
    missing = np.isnan(column)
    present = column[~missing]
    median = float(np.median(present)) if present.size else 0.0
    x = np.where(missing, median, column.astype(np.float64))
    logged = _is_better_logged(x)
    x = _signed_log(x) if logged else x
    sd = float(x.std())
    return median, logged, float(x.mean()), sd if sd >= 1e-12 else 1.0, float(missing.mean())


def _is_better_logged(x: Floats) -> bool:
    """Money and counts: skewed as they are, less so in logs. Decided on the rows of the fit."""
    if ((x == x.min()) | (x == x.max())).all():
        return False
    before = abs(_skewness(x))
    return before > _MIN_SKEWNESS and abs(_skewness(_signed_log(x))) < before


def _skewness(x: Floats) -> float:
    """Third central moment over the cube of the standard deviation."""
    centred = x - x.mean()
    squares = centred * centred
    spread = float(squares.mean())
    return float((squares * centred).mean()) / spread**1.5 if spread > 0 else 0.0


def _signed_log(x: Floats) -> Floats:
    logged: Floats = np.sign(x) * np.log1p(np.abs(x))
    return logged
