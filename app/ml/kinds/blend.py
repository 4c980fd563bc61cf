"""The blend: the weighted sum of the margins of a booster, a shallow booster and logistic regression."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from app.ml.calibration import choose_calibrator, platt_targets
from app.ml.encoding import Matrix
from app.ml.frame import Floats
from app.ml.kinds.models import FILE_NAMES, Learner, Model, ModelKind, load_model
from app.ml.recipe import Fitted, Folds
from app.stats.calibration import log_loss
from app.stats.nonnegative import fit_nonnegative_logistic

BOOSTER, SHALLOW, LOGISTIC = COMPONENTS = ("booster", "shallow", "logistic")


@dataclass(frozen=True)
class Component:
    """One model of a blend.

    Attributes
    ----------
    name : 'booster', 'shallow' or 'logistic'
    kind : what kind of model
    weight : above 0; what its margin is multiplied by
    spread : standard deviation of weight x its out-of-fold margin, in log-odds: how much it moves the blend
    model : fitted on all development rows
    """

    name: str
    kind: ModelKind
    weight: float
    spread: float
    model: Model

    @property
    def file_name(self) -> str:
        """Where its model lies in the bundle."""
        return _file_name(self.name, self.kind)


def _file_name(name: str, kind: ModelKind) -> str:
    return f"{name}-{FILE_NAMES[kind]}"


@dataclass(frozen=True)
class BlendModel:
    """log-odds = sum of weight x log-odds of each component; SHAP values add up in the same way."""

    components: tuple[Component, ...]
    n_rounds: int = 1
    file_name: ClassVar[str] = FILE_NAMES[ModelKind.BLEND]

    def margins(self, X: Matrix) -> Floats:
        """Log-odds of shape (n,)."""
        return np.asarray(sum(each.weight * each.model.margins(X) for each in self.components), dtype=np.float64)

    def round_margins(self, X: Matrix, at: int) -> Floats:
        """All of the log-odds: its components have rounds, it has one."""
        return self.margins(X)

    def native_contributions(self, X: Matrix) -> Floats:
        """Exact SHAP values of shape (n, d), log-odds: those of a sum are the sum of those of its terms."""
        parts = (each.weight * each.model.native_contributions(X) for each in self.components)
        return np.asarray(sum(parts), dtype=np.float64)

    def gains(self, n_columns: int, n_rounds: int) -> Floats:
        """Importance by column, shape (d,): the shares of each component, times how much it moves the blend."""
        gains = [each.model.gains(n_columns, each.model.n_rounds) for each in self.components]
        return _mix([each.spread for each in self.components], gains)

    def to_files(self) -> dict[str, bytes]:
        """One JSON that names components and weights, and each component's own file."""
        listed = [
            {"name": each.name, "kind": each.kind.value, "weight": each.weight, "spread": each.spread}
            for each in self.components
        ]
        head = json.dumps({"components": listed}, sort_keys=True, separators=(",", ":"), allow_nan=False)
        files = {self.file_name: head.encode()}
        for each in self.components:
            [files[each.file_name]] = each.model.to_files().values()
        return files

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, n_threads: int) -> "BlendModel":
        """Read what `to_files` wrote.

        Raises
        ------
        ValueError
            Where components or weights make no sense, or files are left over.
        """
        listed = json.loads(files[cls.file_name])["components"]
        components = tuple(_read_component(each, files, n_threads) for each in listed)
        names = {cls.file_name, *(each.file_name for each in components)}
        if not components or names != set(files) or len(names) != len(components) + 1:
            raise ValueError(f"a blend of {sorted(names)} does not have the files {sorted(files)}")
        return cls(components)


def _read_component(raw: Mapping[str, Any], files: Mapping[str, bytes], n_threads: int) -> Component:
    name, kind, weight, spread = raw["name"], ModelKind(raw["kind"]), float(raw["weight"]), float(raw["spread"])
    if name not in COMPONENTS or not 0 < weight < np.inf or not 0 <= spread < np.inf:
        raise ValueError(f"no component of a blend: {name!r} with weight {weight} and spread {spread}")
    return Component(name, kind, weight, spread, load_model(kind, files[_file_name(name, kind)], n_threads=n_threads))


@dataclass(frozen=True)
class SettledBlendLearner:
    """Fits the components of a blend on other rows; weights and rounds stay as they were settled."""

    blend: BlendModel
    learners: Mapping[str, Learner]
    params: dict[str, Any]
    n_rounds: int = 1

    def fit(self, X: Matrix, y: Floats, *, n_rounds: int, n_threads: int) -> BlendModel:
        """Each component by its own learner, with as many rounds as it has."""
        fitted = {
            each.name: self.learners[each.name].fit(X, y, n_rounds=each.model.n_rounds, n_threads=n_threads)
            for each in self.blend.components
        }
        return BlendModel(tuple(replace(each, model=fitted[each.name]) for each in self.blend.components))


def _mix(spreads: Sequence[float], gains: Sequence[Floats]) -> Floats:
    shares = [each / max(float(each.sum()), 1e-300) for each in gains]
    return np.asarray(sum(spread * share for spread, share in zip(spreads, shares, strict=True)), dtype=np.float64)


def fit_weights(margins: Floats, y: Floats) -> Floats:
    """What each component's margin is multiplied by, at least 0: shape (k,).

    Where no component ranks the rows the right way the last one, the simplest, stands alone; the calibrator then
    says the base rate to everybody.

    Parameters
    ----------
    margins : ndarray of shape (n, k)
        Out-of-fold log-odds of each component.
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    """
    weights = fit_nonnegative_logistic(margins, platt_targets(y))
    if not weights.any():
        weights[-1] = 1.0
    return weights


def fit_blend(parts: Mapping[str, tuple[ModelKind, Fitted]], params: dict[str, Any], y: Floats, folds: Folds) -> Fitted:
    """Add up components that the recipe has fitted in the same folds.

    Weights are fitted with Platt's intercept on the out-of-fold margins; a calibrator richer than that line must show
    its worth, as for every kind. A component of weight 0 is left out.

    Parameters
    ----------
    parts : mapping
        By component name its kind and what the recipe gave, the simplest last.
    params : dict
        The effective parameters of all of it.
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    folds : ndarray of shape (n,)
        0..k-1.
    """
    stacked = np.column_stack([fitted.oof_margins for _, fitted in parts.values()])
    weights = fit_weights(stacked, y)
    spreads = weights * stacked.std(axis=0)
    components = tuple(
        Component(name, kind, float(weight), float(spread), fitted.model)
        for (name, (kind, fitted)), weight, spread in zip(parts.items(), weights, spreads, strict=True)
        if weight
    )
    margins = stacked @ weights
    chosen = choose_calibrator(margins, y, folds)
    fold_gains = [fitted.fold_gains for _, fitted in parts.values()]
    return Fitted(
        model=BlendModel(components),
        n_rounds=1,
        params=params,
        calibrator=chosen.calibrator,
        oof_margins=margins,
        fold_gains=np.stack([_mix(list(spreads), of_fold) for of_fold in zip(*fold_gains, strict=True)]),
        round_losses=np.array([log_loss(y, chosen.calibrator.apply(margins))]),
        calibrator_losses=chosen.losses,
        losses_by_c={},
        part_margins=stacked,
        components=tuple(
            {
                "name": name,
                "kind": kind.value,
                "weight": float(weight),
                "spread": float(spread),
                "n_rounds": fitted.model.n_rounds,
            }
            for (name, (kind, fitted)), weight, spread in zip(parts.items(), weights, spreads, strict=True)
        ),
    )
