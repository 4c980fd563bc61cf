"""From a model's margin to a probability that means what it says: Platt, beta and isotonic calibration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import scipy  # its parts are loaded when first used: they take seconds
from scipy.special import expit, log_expit

from app.ml.frame import Floats

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
    targets = platt_targets(y)
    centre = float(margins.mean())
    x = margins - centre
    spread = float(np.sqrt(x @ x / x.size))
    if spread < 1e-12:
        return Platt(0.0, _log_odds(float(targets.mean())))
    x = x / spread
    line = (start.intercept + start.slope * centre, start.slope * spread) if start else (0.0, 1.0)
    intercept, slope = _newton(x, targets, line)
    if slope <= 0:
        return Platt(0.0, _log_odds(float(targets.mean())))
    return Platt(slope / spread, intercept - slope * centre / spread)


def _log_odds(p: float) -> float:
    return float(np.log(p / (1 - p)))


def _line_loss(x: Floats, targets: Floats, line: tuple[float, float]) -> float:
    score = line[0] + line[1] * x
    return float(np.mean(np.logaddexp(0, score) - targets * score))


def _newton(x: Floats, targets: Floats, line: tuple[float, float]) -> tuple[float, float]:
    """Minimise the log-loss of expit(a + b x); steps are halved while they overshoot."""
    loss = _line_loss(x, targets, line)
    for _ in range(100):
        step = _newton_step(x, targets, line)
        while (new := _line_loss(x, targets, (line[0] + step[0], line[1] + step[1]))) > loss + 1e-13:
            step = (step[0] / 2, step[1] / 2)
        line, loss = (line[0] + step[0], line[1] + step[1]), new
        if max(abs(step[0]), abs(step[1])) < 1e-9:
            break
    return line


def _newton_step(x: Floats, targets: Floats, line: tuple[float, float]) -> tuple[float, float]:
    p = expit(line[0] + line[1] * x)
    weight = p * (1 - p) + 1e-12
    error = targets - p
    s0, s1, s2 = float(weight.sum()), float(weight @ x), float(weight @ (x * x))
    g0, g1 = float(error.sum()), float(error @ x)
    determinant = s0 * s2 - s1 * s1
    return (s2 * g0 - s1 * g1) / determinant, (s0 * g1 - s1 * g0) / determinant


def fit_beta(margins: Floats, y: Floats) -> Beta:
    """Beta calibration with Platt's targets; coefficients are kept at or above 0 so that it never falls.

    Parameters
    ----------
    margins : ndarray of shape (n,)
        Log-odds, finite.
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    """
    targets = platt_targets(y)
    columns = np.column_stack([log_expit(margins), -log_expit(-margins), np.ones(margins.size)])

    def loss(coefficients: Floats) -> float:
        score = columns @ coefficients
        return float(np.mean(np.logaddexp(0, score) - targets * score))

    def gradient(coefficients: Floats) -> Floats:
        return np.asarray(columns.T @ (expit(columns @ coefficients) - targets) / y.size, dtype=np.float64)

    platt = fit_platt(margins, y)
    bounds = [(0.0, None), (0.0, None), (None, None)]
    start = np.array([platt.slope, platt.slope, platt.intercept])
    found = scipy.optimize.minimize(
        loss,
        start,
        jac=gradient,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 500, "ftol": 1e-14, "gtol": 1e-9},
    )
    a, b, intercept = map(float, found.x)
    return Beta(a, b, intercept)


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
        p = fit(margins[~out], y[~out]).apply(margins[out])
        losses[out] = -np.where(y[out] == 1, np.log(p), np.log1p(-p))
    return losses
