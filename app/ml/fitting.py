"""Every kind of model fitted on the same rows and folds: each at most once, however many ask for it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from app.ml.auto import KINDS, KindChoice, choose_kind, held_out_probabilities
from app.ml.encoding import Matrix
from app.ml.frame import Floats
from app.ml.kinds.blend import BOOSTER, LOGISTIC, SHALLOW, fit_blend
from app.ml.kinds.models import ModelKind, make_learner
from app.ml.kinds.params import effective_params, shallow_config
from app.ml.recipe import Fitted, Folds, Progress, fit_base_rate, fit_by_recipe
from app.ml.rows import Rows
from app.schemas.config import ModelConfig, ModelType
from app.stats.arrays import Clusters


@dataclass(frozen=True)
class Pair:
    """The model that was asked for and its baseline, each with its kind; where kinds were compared, how they did."""

    primary: tuple[ModelKind, Fitted]
    baseline: tuple[ModelKind, Fitted]
    choice: KindChoice | None


def fit_pair(rows: Rows, model: ModelConfig, *, n_threads: int, progress: Callable[[str, float], None]) -> Pair:
    """Fit the model and its baseline on the development rows: logistic regression, or the base rate beside that.

    Parameters
    ----------
    rows : Rows
        Encoded, and dealt to folds.
    model : ModelConfig
        The kind that is asked for, parameters of every kind, and the seed.
    n_threads : int
        Has no effect on the result as long as BLAS has one.
    progress : callable
        Told the step and the share of it that is done, 0..1.
    """
    development = rows.development
    fits = Fits(model, rows.X[development], rows.y[development], rows.folds, n_threads=n_threads)
    choice = None
    if model.model_type is ModelType.AUTO:
        choice = fits.choose(rows.account_codes[development], partial(progress, "fit model"))
    primary = choice.kind if choice else ModelKind(model.model_type.value)
    baseline = ModelKind.BASE_RATE if primary is ModelKind.LOGISTIC else ModelKind.LOGISTIC
    return Pair(
        (primary, fits.fit(primary, partial(progress, "fit model"))),
        (baseline, fits.fit(baseline, partial(progress, "fit baseline"))),
        choice,
    )


class Fits:
    """What the recipe makes of development rows, kind by kind, as it is asked for.

    Parameters
    ----------
    config : ModelConfig
        Parameters of every kind, and the seed.
    X : ndarray of shape (n, d)
        The encoded development rows.
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    folds : ndarray of shape (n,)
        0..k-1.
    n_threads : int
        Has no effect on the result.
    """

    def __init__(self, config: ModelConfig, X: Matrix, y: Floats, folds: Folds, *, n_threads: int) -> None:
        self._config = config
        self._X, self._y, self._folds = X, y, folds
        self._n_threads = n_threads
        self._done: dict[ModelKind, Fitted] = {}

    def fit(self, kind: ModelKind, progress: Progress) -> Fitted:
        """The model of this kind; one that another has needed before is there already."""
        if kind not in self._done:
            self._done[kind] = self._fit(kind, progress)
        progress(1.0)
        return self._done[kind]

    def choose(self, accounts: Clusters, progress: Progress) -> KindChoice:
        """Fit every kind and take the simplest that is not clearly worse; rows of one account carry the same value."""
        held_out = {}
        for at, kind in enumerate(KINDS):
            fitted = self.fit(kind, _within(progress, at / len(KINDS), (at + 1) / len(KINDS)))
            held_out[kind] = held_out_probabilities(fitted, self._y, self._folds)
        return choose_kind(held_out, self._y, accounts)

    def _fit(self, kind: ModelKind, progress: Progress) -> Fitted:
        if kind is ModelKind.BLEND:
            return self._fit_blend(progress)
        if kind is ModelKind.BASE_RATE:
            learner = make_learner(kind, self._config)
            return fit_base_rate(learner, self._X, self._y, int(self._folds.max()) + 1)
        return self._by_recipe(kind, self._config, progress)

    def _by_recipe(self, kind: ModelKind, config: ModelConfig, progress: Progress) -> Fitted:
        learner = make_learner(kind, config)
        return fit_by_recipe(learner, self._X, self._y, self._folds, n_threads=self._n_threads, progress=progress)

    def _fit_blend(self, progress: Progress) -> Fitted:
        own = effective_params(self._config, ModelType.BLEND)
        booster = ModelType(own["booster"])
        kind = ModelKind(booster.value)
        shallow = shallow_config(self._config, booster)
        parts = {
            BOOSTER: (kind, self.fit(kind, _within(progress, 0, 0.35))),
            SHALLOW: (kind, self._by_recipe(kind, shallow, _within(progress, 0.35, 0.9))),
            LOGISTIC: (ModelKind.LOGISTIC, self.fit(ModelKind.LOGISTIC, _within(progress, 0.9, 1))),
        }
        params = own | {f"{kind.value}_params": fitted.params for kind, fitted in (parts[BOOSTER], parts[LOGISTIC])}
        return fit_blend(parts, params, self._y, self._folds)


def _within(progress: Progress, begin: float, end: float) -> Progress:
    return lambda share: progress(begin + share * (end - begin))
