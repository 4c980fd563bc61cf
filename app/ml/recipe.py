"""The recipe every model is trained by: folds, one common number of rounds, a calibrator, the final fit."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.ml.calibration import Calibrator, Platt, choose_calibrator, fit_line
from app.ml.encoding import Matrix
from app.ml.frame import Floats
from app.ml.kinds.linear import C_PATH, TunedLogisticLearner
from app.ml.kinds.models import Learner, Model, PrefixLearner, SharingLearner, StagedModel
from app.stats.calibration import log_loss

Folds = npt.NDArray[np.int64]
Progress = Callable[[float], None]

_SAME_LOSS = 1e-9  # nats; below it a difference is rounding
_LINE_TOLERANCE = 1e-4  # of a Newton step: what is left, about 1e-8, moves a loss by its square


@dataclass(frozen=True)
class Fitted:
    """What the recipe gives.

    Attributes
    ----------
    model : fitted on all development rows with `n_rounds` rounds
    n_rounds : the common number of rounds; of a logistic regression that was tuned, how far along its path of C
    params : the effective parameters, those that were chosen among them
    calibrator : fitted on the out-of-fold margins
    oof_margins : ndarray of shape (n,), log-odds of models that did not see the row
    fold_gains : ndarray of shape (k, d), importance of each column in each fold's model
    round_losses : ndarray of shape (rounds,), out-of-fold log-loss in nats after recalibration
    calibrator_losses : cross-fitted log-loss of each calibrator tried
    losses_by_c : out-of-fold log-loss under each C that was tried; empty where none was
    part_margins : of a blend the out-of-fold log-odds of its parts, ndarray of shape (n, parts); else None
    components : of a blend its parts, as plain data: name, kind, weight, spread, n_rounds; weight 0 was left out
    """

    model: Model
    n_rounds: int
    params: dict[str, Any]
    calibrator: Calibrator
    oof_margins: Floats
    fold_gains: Floats
    round_losses: Floats
    calibrator_losses: dict[str, float]
    losses_by_c: dict[str, float]
    part_margins: Floats | None = None
    components: tuple[dict[str, Any], ...] = ()


def fit_by_recipe(
    learner: Learner, X: Matrix, y: Floats, folds: Folds, *, n_threads: int, progress: Progress
) -> Fitted:
    """Train by STATISTICS.md section 1, on development rows alone.

    Parameters
    ----------
    learner : Learner
        The kind of model, its parameters and its seed.
    X : ndarray of shape (n, d)
        The encoded rows.
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    folds : ndarray of shape (n,)
        0..k-1.
    n_threads : int
        Has no effect on the result.
    progress : callable
        Told the share done, 0..1.
    """
    models, whole = _fit_folds(learner, X, y, folds, n_threads=n_threads, progress=lambda share: progress(0.6 * share))
    walk = walk_rounds(models, X, y, folds, learner.n_rounds, n_threads=n_threads)
    progress(0.8)
    chosen = choose_calibrator(walk.margins, y, folds)
    tuned = learner if isinstance(learner, TunedLogisticLearner) else None
    settled: Learner = tuned.settle(walk.n_rounds) if tuned else learner
    if whole is not None and isinstance(learner, PrefixLearner):
        final = learner.first(whole, walk.n_rounds, n_threads=n_threads)
    else:
        final = settled.fit(X, y, n_rounds=walk.n_rounds, n_threads=n_threads)
    progress(1.0)
    return Fitted(
        model=final,
        n_rounds=walk.n_rounds,
        params=settled.params,
        calibrator=chosen.calibrator,
        oof_margins=walk.margins,
        fold_gains=np.stack([model.gains(X.shape[1], walk.n_rounds) for model in models]),
        round_losses=walk.round_losses,
        calibrator_losses=chosen.losses,
        losses_by_c=dict(zip(map(str, C_PATH), map(float, walk.round_losses), strict=True)) if tuned else {},
    )


def fit_base_rate(learner: Learner, X: Matrix, y: Floats, n_folds: int) -> Fitted:
    """The base rate needs no folds: fold rates would rank the rows, against their labels."""
    model = learner.fit(X, y, n_rounds=1, n_threads=1)
    margins = model.margins(X)
    loss = log_loss(y, 1 / (1 + np.exp(-margins)))
    identity = Platt(1.0, 0.0)
    gains = np.zeros((n_folds, X.shape[1]))
    return Fitted(model, 1, learner.params, identity, margins, gains, np.array([loss]), {}, {})


def fold_fitter(
    learner: Learner, X: Matrix, y: Floats, folds: Folds, *, n_threads: int
) -> Callable[[int | None], Model]:
    """What fits a fold's model, to the most rounds, on the rows of the others; for None a model of all rows.

    A learner that can shares its bins between the folds: the rows held out lend their values to the edges, no label.
    """
    shared = learner.share(X, y, n_threads=n_threads) if isinstance(learner, SharingLearner) else None

    def fit(fold: int | None) -> Model:
        inside = None if fold is None else np.flatnonzero(folds != fold)
        if shared is not None:
            return shared.fit(inside, n_rounds=learner.n_rounds, n_threads=1)
        rows = slice(None) if inside is None else inside
        return learner.fit(X[rows], y[rows], n_rounds=learner.n_rounds, n_threads=1)

    return fit


def _fit_folds(
    learner: Learner, X: Matrix, y: Floats, folds: Folds, *, n_threads: int, progress: Progress
) -> tuple[list[Model], Model | None]:
    """One model per fold, on the rows of the others, each to the most rounds: one thread each, folds side by side.

    Where a thread would idle towards the end, and a long fit holds every shorter one, it fits all rows meanwhile.
    """
    n_folds = int(folds.max()) + 1
    fit = fold_fitter(learner, X, y, folds, n_threads=n_threads)
    has_spare_thread = n_folds % n_threads > 0 and isinstance(learner, PrefixLearner)
    with ThreadPoolExecutor(n_threads) as pool:
        whole = pool.submit(fit, None) if has_spare_thread else None
        tasks = [pool.submit(fit, fold) for fold in range(n_folds)]
        for done, _ in enumerate(as_completed(tasks), start=1):
            progress(done / n_folds)
        return [task.result() for task in tasks], whole.result() if whole else None


@dataclass(frozen=True)
class Walk:
    """The best common round: its number, its out-of-fold margins of shape (n,), and the loss of every round."""

    n_rounds: int
    margins: Floats
    round_losses: Floats


def walk_rounds(models: list[Model], X: Matrix, y: Floats, folds: Folds, n_rounds: int, *, n_threads: int = 1) -> Walk:
    """Find the round whose out-of-fold margins, recalibrated by two parameters, have the lowest log-loss.

    All folds go through the rounds together, so that one margin per row is held, however many rounds there are. Raw
    log-loss would stop far too early while `scale_pos_weight` is not 1; of equal rounds the first wins.

    Parameters
    ----------
    models : list of Model
        One per fold, fitted to `n_rounds`.
    X : ndarray of shape (n, d)
        The encoded rows.
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    folds : ndarray of shape (n,)
        The position in `models` of the one that did not see the row.
    n_rounds : int
        The last round to look at.
    n_threads : int
        Has no effect on the result.
    """
    best, n_best = np.zeros(y.size), 0
    losses = np.empty(n_rounds)
    line: Platt | None = None  # the last one, from which the next is a step or two away
    for at, margins in enumerate(_walk_together(models, X, folds, n_rounds, n_threads)):
        fit = fit_line(margins, y, start=line, tolerance=_LINE_TOLERANCE, n_threads=n_threads)
        line, losses[at] = fit.platt, fit.loss
        if not n_best or losses[at] < losses[n_best - 1] - _SAME_LOSS:
            n_best, best = at + 1, margins.copy()
    return Walk(n_best, best, losses)


def _walk_together(models: list[Model], X: Matrix, folds: Folds, n_rounds: int, n_threads: int) -> Iterator[Floats]:
    """Out-of-fold margins after 1, 2, ... rounds: each of shape (n,), the same array again."""
    margins, parts = np.empty(len(X)), list(_parts(models, X, folds, n_rounds))

    def go_on(part: tuple[Folds, Iterator[Floats]]) -> None:
        rows, stages = part
        margins[rows] = next(stages)

    with ThreadPoolExecutor(n_threads) as pool:
        for _ in range(n_rounds):
            list(pool.map(go_on, parts))
            yield margins


def _parts(models: list[Model], X: Matrix, folds: Folds, n_rounds: int) -> Iterator[tuple[Folds, Iterator[Floats]]]:
    """The rows each model did not see, and their margins after 1, 2, ... rounds."""
    for fold, model in enumerate(models):
        rows = np.flatnonzero(folds == fold)
        X_out = np.ascontiguousarray(X[rows])
        yield (
            rows,
            model.staged_margins(X_out) if isinstance(model, StagedModel) else _add_rounds(model, X_out, n_rounds),
        )


def _add_rounds(model: Model, X: Matrix, n_rounds: int) -> Iterator[Floats]:
    margins = np.zeros(len(X))
    for at in range(n_rounds):
        margins += model.round_margins(X, at)
        yield margins
