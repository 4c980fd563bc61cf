"""Where the trials of a search are made: the recipe's folds and loss, without calibrator and final fit."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.ml.encoding import Matrix
from app.ml.frame import Floats
from app.ml.kinds.models import Learner, Model
from app.ml.recipe import Folds, fold_fitter, walk_rounds


@dataclass(frozen=True)
class Outcome:
    """What became of one set of parameters.

    Attributes
    ----------
    fold_losses : log-loss of each fold's model on its own fold, at its own best round, in nats; of all or of the first
    log_loss : out of fold after recalibration, at the common round; None where the folds were not all fitted
    n_rounds : that round
    error : why they can't be fitted
    """

    fold_losses: tuple[float, ...]
    log_loss: float | None = None
    n_rounds: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class Bench:
    """The development rows, and what makes a learner of parameters.

    Attributes
    ----------
    X : ndarray of shape (n, d), encoded
    y : ndarray of shape (n,), 1 churned, 0 stayed
    folds : ndarray of shape (n,), 0..k-1
    make_learner : given the parameters that differ from the config as asked
    n_threads : has no effect on a result
    """

    X: Matrix
    y: Floats
    folds: Folds
    make_learner: Callable[[Mapping[str, Any]], Learner]
    n_threads: int = 1

    @property
    def n_folds(self) -> int:
        """How many folds there are."""
        return int(self.folds.max()) + 1

    def hash(self) -> str:
        """SHA-256 of rows, labels and folds."""
        digest = hashlib.sha256()
        for array in (self.X, self.y, self.folds):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def evaluate(self, params: Mapping[str, Any], *, goes_on: Callable[[Sequence[float]], bool]) -> Outcome:
        """Fit fold after fold, as the recipe does, while it is worth it; then find the common round.

        Folds are fitted side by side but looked at in their order, so that the number of threads decides nothing.
        `goes_on` is told the losses of the folds so far, and asked until the last.
        """
        learner = self.make_learner(params)
        models: list[Model] = []
        losses: list[float] = []
        with ThreadPoolExecutor(min(self.n_threads, self.n_folds)) as pool:
            fit = fold_fitter(learner, self.X, self.y, self.folds, n_threads=self.n_threads)
            tasks = [pool.submit(fit, fold) for fold in range(self.n_folds)]
            try:
                for fold, task in enumerate(tasks):
                    models.append(task.result())
                    losses.append(self._fold_loss(models[-1], fold, learner.n_rounds))
                    if not goes_on(losses) and len(losses) < self.n_folds:
                        return Outcome(tuple(losses))
            finally:
                for task in tasks:
                    task.cancel()
        walk = walk_rounds(models, self.X, self.y, self.folds, learner.n_rounds, n_threads=self.n_threads)
        loss = float(walk.round_losses[walk.n_rounds - 1])
        if not np.isfinite(loss):
            raise ArithmeticError("the log-loss is not finite")
        return Outcome(tuple(losses), loss, walk.n_rounds)

    def _fold_loss(self, model: Model, fold: int, n_rounds: int) -> float:
        rows = self.folds == fold
        alone = np.zeros(int(rows.sum()), dtype=np.int64)
        walk = walk_rounds([model], np.ascontiguousarray(self.X[rows]), self.y[rows], alone, n_rounds)
        return float(walk.round_losses.min())
