"""Scores through time: at each origin a model that knows only what was known then, on the rows of that instant."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from app.ml.calibration import fit_platt
from app.ml.encoding import Matrix
from app.ml.frame import Floats, Instants
from app.ml.instants import Bools
from app.ml.kinds.models import Learner, Model
from app.ml.metrics import known, known_interval, spread
from app.ml.rows import Rows
from app.stats.calibration import log_loss, mean_error
from app.stats.ranking import auc_estimate

MAX_ORIGINS = 4  # each costs two fits at the common number of rounds
MAX_FIT_ROWS = 100_000  # with more, accounts are drawn: a curve of AUC over rows is flat there, the cost is not
MIN_CHURNERS = 10  # of the rows of a fit, and as many others in either half: a calibrator of fewer is noise
_FIGURES = ("roc_auc", "log_loss", "mean_error")

METHOD = (
    "At each origin a model was fitted on the development rows whose lead, horizon and grace had ended by then, with "
    "the parameters and the number of rounds of the final model and no new tuning, calibrated by Platt's method on "
    "margins cross-fitted over two halves of the accounts, and scored on the rows of the origin. Of more than "
    f"{MAX_FIT_ROWS:,} rows it learned from about as many, of accounts drawn at random. Encoder, parameters and number "
    "of rounds come from all development rows; the test side plays no part."
)
UNDATED = "The data have no dates."
TOO_FEW = "No development instant has enough matured churners before it."


@dataclass(frozen=True)
class OriginScore:
    """What a model of that time did at one instant.

    Attributes
    ----------
    as_of : the origin
    n_fit, n_fit_churners : rows that had matured by then
    n, n_churners : rows of the origin
    roc_auc : 0..1, None where the origin has one class only; with its 95 % interval, clustered by account
    log_loss : nats per row
    mean_probability, churn_rate : 0..1
    mean_error : mean probability minus churn rate, with its 95 % interval, clustered by account
    """

    as_of: datetime
    n_fit: int
    n_fit_churners: int
    n: int
    n_churners: int
    roc_auc: float | None
    roc_auc_interval: list[float] | None
    log_loss: float
    mean_probability: float
    churn_rate: float
    mean_error: float
    mean_error_interval: list[float] | None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**self.__dict__, "as_of": self.as_of.isoformat()}


@dataclass(frozen=True)
class RollingOrigins:
    """Scores by origin, oldest first; none with a `reason`."""

    origins: tuple[OriginScore, ...] = ()
    gap: timedelta = timedelta(0)
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data, with the mean and standard deviation of each figure over the origins."""
        if not self.origins:
            return {"origins": [], "reason": self.reason}
        return {
            "method": METHOD,
            "gap_days": self.gap / timedelta(days=1),
            "origins": [each.to_json() for each in self.origins],
            **spread({name: [getattr(each, name) for each in self.origins] for name in _FIGURES}),
        }


@dataclass(frozen=True)
class Origin:
    """An instant, the development rows that had matured by then, and its own: boolean arrays of shape (n,)."""

    as_of: np.datetime64
    fit: Bools
    score: Bools


def find_origins(as_of: Instants, gap: timedelta) -> list[Origin]:
    """The newest instants, at most `MAX_ORIGINS`, before which some rows have matured; oldest first.

    Parameters
    ----------
    as_of : ndarray of shape (n,)
        datetime64 in UTC of the development rows.
    gap : timedelta
        Lead, horizon and grace: what a row tells is known so much after its instant.
    """
    ends = as_of + np.timedelta64(gap)
    origins = [Origin(each, (ends <= each) & (as_of < each), as_of == each) for each in np.unique(as_of)]
    return [each for each in origins if each.fit.any()][-MAX_ORIGINS:]


def roll(
    learner: Learner,
    rows: Rows,
    n_rounds: int,
    gap: timedelta,
    *,
    n_threads: int,
    progress: Callable[[float], None],
) -> RollingOrigins:
    """Score a kind of model through the time of the development rows, for the report alone.

    Parameters
    ----------
    learner : Learner
        The kind of model, its parameters and its seed.
    rows : Rows
        Only development rows are read.
    n_rounds : int
        The common number of rounds, found on all development rows.
    gap : timedelta
        Lead, horizon and grace.
    n_threads : int
        Has no effect on the result.
    progress : callable
        Told the share done, 0..1.
    """
    instants = rows.frame.instants
    if instants is None:
        return RollingOrigins(reason=UNDATED)
    of_development = np.flatnonzero(rows.development)
    y, halves = rows.y[of_development], rows.folds % 2
    accounts = rows.account_codes[of_development]
    fit = partial(learner.fit, n_rounds=n_rounds, n_threads=n_threads)
    found, origins = [], [_thinned(each, accounts) for each in find_origins(instants[of_development], gap)]
    for done, origin in enumerate(origins, start=1):
        if all(_both_classes(y[origin.fit & (halves == half)]) for half in (0, 1)):
            X_fit, X_score = rows.X[of_development[origin.fit]], rows.X[of_development[origin.score]]
            p = _predict(fit, X_fit, y[origin.fit], halves[origin.fit], X_score)
            found.append(_score(origin, y, p, accounts))
        progress(done / len(origins))
    return RollingOrigins(tuple(found), gap, None if found else TOO_FEW)


def _thinned(origin: Origin, accounts: npt.NDArray[np.int64]) -> Origin:
    """The origin with rows of fewer accounts to learn from, where there are more than `MAX_FIT_ROWS`."""
    share = MAX_FIT_ROWS / origin.fit.sum()
    if share >= 1:
        return origin
    n_accounts = int(accounts.max()) + 1
    drawn = np.random.default_rng(0).permutation(n_accounts) < share * n_accounts
    return replace(origin, fit=origin.fit & drawn[accounts])


def _both_classes(y: Floats) -> bool:
    return min(int(y.sum()), y.size - int(y.sum())) >= MIN_CHURNERS


def _predict(
    fit: Callable[[Matrix, Floats], Model], X: Matrix, y: Floats, halves: npt.NDArray[np.int64], X_score: Matrix
) -> Floats:
    """Calibrated probabilities of the rows to score, by a model and a calibrator that saw X and y alone."""
    margins = np.empty(y.size)
    for half in (0, 1):
        out = halves == half
        margins[out] = fit(X[~out], y[~out]).margins(X[out])
    return fit_platt(margins, y).apply(fit(X, y).margins(X_score))


def _score(origin: Origin, y: Floats, p: Floats, accounts: npt.NDArray[np.int64]) -> OriginScore:
    labels, clusters = y[origin.score], accounts[origin.score]
    auc, error = auc_estimate(labels, p, clusters), mean_error(labels, p, clusters)
    return OriginScore(
        as_of=origin.as_of.astype("datetime64[us]").item().replace(tzinfo=UTC),
        n_fit=int(origin.fit.sum()),
        n_fit_churners=int(y[origin.fit].sum()),
        n=labels.size,
        n_churners=int(labels.sum()),
        roc_auc=known(auc.value),
        roc_auc_interval=known_interval(auc.interval()),
        log_loss=log_loss(labels, p),
        mean_probability=float(p.mean()),
        churn_rate=float(labels.mean()),
        mean_error=error.value,
        mean_error_interval=known_interval(error.interval()),
    )
