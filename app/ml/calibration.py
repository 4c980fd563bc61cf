"""From a model's margin to a probability that means what it says: Platt, beta and isotonic calibration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_expit

from app.ml.frame import Floats
from app.stats.calibration import log_loss, log_losses
from app.stats.logistic import fit_logistic

MIN_CHURNERS_ISOTONIC = 1_000  # below, its steps fit noise (Niculescu-Mizil, Caruana 2005, figure 7)

_SAME_LOSS = 1e-6  # nats per row; below it a richer calibrator isn't worth its coefficients


class Calibrator(Protocol):
    """A never falling map from margins (log-odds) to probabilities."""

    kind: ClassVar[str]

    def apply(self, margins: Floats) -> Floats:
        """Calibrated probabilities, 0..1, of shape (n,)."""

    def to_json(self) -> dict[str, Any]:
        """Its coefficients or knots, with its `kind`."""


@dataclass(frozen=True)
class Platt:
    """P(churn) = expit(intercept + slope margin), slope >= 0."""

    slope: float
    intercept: float
    kind: ClassVar[str] = "platt"

    def apply(self, margins: Floats) -> Floats:
        """Calibrated probabilities of shape (n,)."""
        return np.asarray(expit(self.intercept + self.slope * margins), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """The two coefficients."""
        return {"kind": self.kind, "slope": self.slope, "intercept": self.intercept}


@dataclass(frozen=True)
class Beta:
    """P(churn) = expit(intercept + a ln p - b ln(1-p)) with p = expit(margin), a and b >= 0.

    References
    ----------
    Kull, Silva Filho, Flach (2017), AISTATS, PMLR 54, 623-631.
    """

    a: float
    b: float
    intercept: float
    kind: ClassVar[str] = "beta"

    def apply(self, margins: Floats) -> Floats:
        """Calibrated probabilities of shape (n,)."""
        score = self.intercept + self.a * log_expit(margins) - self.b * log_expit(-margins)
        return np.asarray(expit(score), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """The three coefficients."""
        return {"kind": self.kind, "a": self.a, "b": self.b, "intercept": self.intercept}


@dataclass(frozen=True)
class Isotonic:
    """The never falling line through `knots` of margin and `probabilities`; flat outside them."""

    knots: tuple[float, ...]
    probabilities: tuple[float, ...]
    kind: ClassVar[str] = "isotonic"

    def apply(self, margins: Floats) -> Floats:
        """Calibrated probabilities of shape (n,)."""
        return np.asarray(np.interp(margins, self.knots, self.probabilities), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """The knots and their probabilities."""
        return {"kind": self.kind, "knots": list(self.knots), "probabilities": list(self.probabilities)}


def calibrator_from_json(data: Mapping[str, Any]) -> Calibrator:
    """Read what `to_json` wrote.

    Raises
    ------
    ValueError
        Where it is of no known kind, not finite, or falls.
    """
    match data["kind"]:
        case "platt":
            return Platt(_rising(data["slope"]), _finite(data["intercept"]))
        case "beta":
            return Beta(_rising(data["a"]), _rising(data["b"]), _finite(data["intercept"]))
        case "isotonic":
            return _read_isotonic(data["knots"], data["probabilities"])
    raise ValueError(f"no calibrator of kind {data['kind']!r}")


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ValueError(f"a calibrator needs finite numbers, not {value!r}")
    return float(value)


def _rising(value: object) -> float:
    slope = _finite(value)
    if slope < 0:
        raise ValueError(f"a calibrator must not fall: slope {slope}")
    return slope


def _read_isotonic(knots: list[object], probabilities: list[object]) -> Isotonic:
    x, p = tuple(map(_finite, knots)), tuple(map(_finite, probabilities))
    if not x or len(x) != len(p) or np.any(np.diff(x) <= 0) or np.any(np.diff(p) < 0) or p[0] < 0 or p[-1] > 1:
        raise ValueError("isotonic knots must rise, and their probabilities stay within 0..1 and never fall")
    return Isotonic(x, p)


def platt_targets(y: Floats) -> Floats:
    """Platt's targets: labels moved inside by one count per class, so that separable margins stay finite.

    References
    ----------
    Platt (1999), Advances in Large Margin Classifiers, 61-74.
    """
    n_churned = float(y.sum())
    n_stayed = y.size - n_churned
    return np.where(y == 1, (n_churned + 1) / (n_churned + 2), 1 / (n_stayed + 2))


def fit_platt(margins: Floats, y: Floats, *, start: Platt | None = None) -> Platt:
    """Logistic regression of the label on the margin by Newton's method, with Platt's targets.

    Parameters
    ----------
    margins : ndarray of shape (n,)
        Log-odds, finite.
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    start : Platt or None
        Where to start: the fit of a similar model saves most steps.

    Returns
    -------
    Platt
        Slope 0 where margin and label go against each other or the margin is constant.
    """
    return fit_line(margins, y, start=start).platt


@dataclass(frozen=True)
class PlattFit:
    """A Platt calibrator, and the mean log-loss (nats) of the labels themselves under it."""

    platt: Platt
    loss: float


def fit_line(
    margins: Floats, y: Floats, *, start: Platt | None = None, tolerance: float = 1e-6, n_threads: int = 1
) -> PlattFit:
    """`fit_platt` with its loss, which costs no further pass over the rows.

    Parameters
    ----------
    margins, y, start
        As for `fit_platt`.
    tolerance : float
        Of the last step, in log-odds per standard deviation of the margin; what is left is about its square.
    n_threads : int
        Has no effect on the result.
    """
    targets = platt_targets(y)
    centre = float(margins.mean())
    x = margins - centre
    spread = float(np.sqrt(x @ x / x.size))
    if spread >= 1e-12:
        columns = np.stack([np.ones(x.size), x / spread])
        first = np.array([start.intercept + start.slope * centre, start.slope * spread] if start else [0.0, 1.0])
        [fit] = fit_logistic(columns, targets, np.zeros((1, 2)), start=first, tolerance=tolerance, n_threads=n_threads)
        intercept, slope = map(float, fit.coefficients)
        if slope > 0:
            of_labels = fit.loss + float(fit.coefficients @ (columns @ (targets - y)))
            return PlattFit(Platt(slope / spread, intercept - slope * centre / spread), of_labels / y.size)
    flat = Platt(0.0, _log_odds(float(targets.mean())))
    return PlattFit(flat, log_loss(y, flat.apply(margins)))


def _log_odds(p: float) -> float:
    return float(np.log(p / (1 - p)))


def fit_beta(margins: Floats, y: Floats) -> Beta:
    """Beta calibration with Platt's targets; coefficients are kept at or above 0 so that it never falls.

    Where one would fall below 0, the best of the fits without one or both of them is the lowest: the loss is convex.

    Parameters
    ----------
    margins : ndarray of shape (n,)
        Log-odds, finite.
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    """
    parts = np.stack([log_expit(margins), -log_expit(-margins)])
    means, sds = parts.mean(axis=1), parts.std(axis=1)
    sds[sds < 1e-12] = 1.0
    columns = np.vstack([(parts - means[:, np.newaxis]) / sds[:, np.newaxis], np.ones(margins.size)])
    a, b, level = _fit_rising(columns, platt_targets(y), np.append(sds, means.sum()))
    a, b = a / float(sds[0]), b / float(sds[1])
    return Beta(a, b, level - a * float(means[0]) - b * float(means[1]))


def _fit_rising(columns: Floats, targets: Floats, start: Floats) -> tuple[float, float, float]:
    """The coefficients of two columns, kept at or above 0, and of a constant one."""
    found: list[tuple[float, Floats]] = []
    for rows in ([0, 1, 2], [0, 2], [1, 2], [2]):
        [fit] = fit_logistic(columns[rows], targets, np.zeros((1, len(rows))), start=start[rows])
        beta = np.zeros(3)
        beta[rows] = fit.coefficients
        if beta[:2].min() >= 0:
            found.append((fit.loss, beta))
            if len(rows) == 3:
                break
    _, (a, b, level) = min(found, key=lambda each: each[0])
    return float(a), float(b), float(level)


def fit_isotonic(margins: Floats, y: Floats) -> Isotonic:
    """Pool adjacent violators, kept off 0 and 1 by half a count.

    Parameters
    ----------
    margins : ndarray of shape (n,)
        Log-odds, finite; ties are pooled.
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    """
    from sklearn.isotonic import IsotonicRegression  # a second to import, needed by few fits

    model = IsotonicRegression(y_min=0.5 / y.size, y_max=1 - 0.5 / y.size).fit(margins, y)
    knots = tuple(map(float, model.X_thresholds_))
    return Isotonic(knots, tuple(map(float, np.maximum.accumulate(model.y_thresholds_))))


FITS: Mapping[str, Callable[[Floats, Floats], Calibrator]] = {  # by kind, the simplest first
    Platt.kind: fit_platt,
    Beta.kind: fit_beta,
    Isotonic.kind: fit_isotonic,
}


@dataclass(frozen=True)
class CalibratorChoice:
    """The calibrator chosen, and the cross-fitted log-loss (nats per row) of each that was tried."""

    calibrator: Calibrator
    losses: dict[str, float]


def choose_calibrator(margins: Floats, y: Floats, folds: npt.NDArray[np.int64]) -> CalibratorChoice:
    """The simplest calibrator that isn't clearly worse than a richer one, refitted on all rows.

    Each kind is fitted on all folds but one and judged on that one. A richer kind replaces a simpler one where its
    mean log-loss is lower by more than one standard error of the paired difference.

    Parameters
    ----------
    margins : ndarray of shape (n,)
        Out-of-fold log-odds.
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    folds : ndarray of shape (n,)
        The fold of each row.
    """
    fits = dict(FITS)
    if y.sum() < MIN_CHURNERS_ISOTONIC:
        del fits["isotonic"]
    losses = {kind: _cross_fitted_losses(fit, margins, y, folds) for kind, fit in fits.items()}
    chosen = "platt"
    for kind in fits:
        gain = losses[chosen] - losses[kind]
        if gain.mean() > max(gain.std(ddof=1) / np.sqrt(gain.size), _SAME_LOSS):
            chosen = kind
    return CalibratorChoice(fits[chosen](margins, y), {kind: float(loss.mean()) for kind, loss in losses.items()})


def _cross_fitted_losses(
    fit: Callable[[Floats, Floats], Calibrator], margins: Floats, y: Floats, folds: npt.NDArray[np.int64]
) -> Floats:
    """The log-loss of each row, shape (n,), under a calibrator that did not see its fold."""
    losses = np.empty(y.size)
    for fold in np.unique(folds):
        out = folds == fold
        losses[out] = log_losses(y[out], fit(margins[~out], y[~out]).apply(margins[out]))
    return losses
