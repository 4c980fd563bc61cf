"""A recipe refitted in folds over all labelled rows: each row is scored by models that never saw its account."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from app.ml.frame import Feature, Floats, Frame
from app.ml.split import Sides, deal_folds
from app.ml.trainer import predict_test
from app.schemas.config import ModelConfig
from app.stats.arrays import Bools, Clusters, Ints

N_REPEATS, N_FOLDS = 4, 5  # STATISTICS.md section 3
_N_PARTS = 4  # of a fold's other rows one part is its validation side: 60/20/20 again


@dataclass(frozen=True)
class Recipe:
    """All that decides which probabilities a training makes of given rows; found parameters are not searched again."""

    model: ModelConfig
    n_folds: int
    features: tuple[Feature, ...]


@dataclass(frozen=True)
class Refitted:
    """Probabilities of shape (repeats, n), each of a model that did not see the row's account."""

    primary: Floats
    baseline: Floats


def deal_repeats(frame: Frame, *, seed: int) -> Ints:
    """Deal rows to folds 0..4, four times, stratified, all rows of an account together: shape (4, n).

    Raises
    ------
    app.ml.split.SplitError
        Where fewer than five accounts churned, or stayed.
    """
    accounts, churned = frame.accounts.to_pylist(), np.asarray(frame.churned, dtype=np.float64)
    return np.stack([deal_folds(accounts, churned, N_FOLDS, seed=seed + repeat) for repeat in range(N_REPEATS)])


def refit(frame: Frame, folds: Ints, recipe: Recipe, *, n_threads: int, progress: Callable[[float], None]) -> Refitted:
    """Train by the whole recipe once for each fold of each repeat, encoder, rounds and calibrator included.

    Parameters
    ----------
    frame : Frame
        n rows, all with a label.
    folds : ndarray of shape (repeats, n)
        From `deal_repeats`; equal folds and an equal recipe give equal scores.
    recipe : Recipe
        What is judged.
    n_threads : int
        Has no effect on the result.
    progress : callable
        Told the share done, 0..1.

    Raises
    ------
    ValueError
        The refusals of `predict_test`.
    """
    accounts = np.asarray(frame.accounts.to_pylist(), dtype=object)
    churned = np.asarray(frame.churned, dtype=np.float64)
    primary, baseline = np.empty(folds.shape), np.empty(folds.shape)
    done, total = 0, folds.shape[0] * N_FOLDS
    for repeat, fold_of_row in enumerate(folds):
        for fold in range(N_FOLDS):
            on_test = fold_of_row == fold
            sides = _sides(accounts, churned, on_test, seed=recipe.model.seed + repeat)
            primary[repeat, on_test], baseline[repeat, on_test] = predict_test(
                frame, sides, recipe.features, recipe.model, n_folds=recipe.n_folds, n_threads=n_threads
            )
            done += 1
            progress(done / total)
    return Refitted(primary, baseline)


def _sides(accounts: Clusters, churned: Floats, on_test: Bools, *, seed: int) -> Sides:
    """The fold judges; a quarter of the other accounts validates, as at a training."""
    sides = np.full(on_test.size, "train", dtype="<U10")
    sides[on_test] = "test"
    others = np.flatnonzero(~on_test)
    sides[others[deal_folds(accounts[others].tolist(), churned[others], _N_PARTS, seed=seed) == 0]] = "validation"
    return sides
