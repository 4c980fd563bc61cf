"""Whether the recipe's probabilities are right on average and neither too extreme nor too timid.

Beside it the usual way: folds at full rounds give the margins a Platt calibrator is fitted on, the final model is
stopped early by the AUC of a fifth that is held out. Both are judged on fresh rows whose true probability is known.
Each figure is a mean over seeds with its standard error.

Run: python -m benchmarks.calibration [--kinds xgboost lightgbm] [--rows 1000 5000 50000] [--rates .05 .2] [--seeds 20]
"""

import argparse
import itertools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from app.ml.calibration import fit_platt
from app.ml.encoding import Matrix
from app.ml.frame import Floats
from app.ml.kinds.models import ModelKind, make_learner
from app.ml.recipe import Folds, fit_by_recipe
from app.ml.split import deal_folds
from app.schemas.config import ModelConfig
from app.stats.calibration import calibration_line
from app.stats.ranking import auc

N_FOLDS = 5
N_FRESH = 20_000
PATIENCE = 10  # rounds without a better AUC

Apply = Callable[[Matrix], Floats]  # rows in, probabilities out


@dataclass(frozen=True)
class Sample:
    """Encoded rows, their labels, and the probability each label was drawn with."""

    X: Matrix
    y: Floats
    truth: Floats

    def part(self, rows: slice) -> "Sample":
        return Sample(self.X[rows], self.y[rows], self.truth[rows])


def draw(n: int, rate: float, seed: int) -> Sample:
    """20 mixed features: 11 normal and 4 skewed numbers, some missing, 3 booleans, 2 of four levels; 8 say nothing."""
    rng = np.random.default_rng(seed)
    numbers, skewed = rng.normal(size=(n, 11)), rng.normal(size=(n, 4))
    told, codes = rng.random((n, 3)) < 0.3, rng.integers(0, 4, (n, 2))
    score = 0.7 * numbers[:, 0] - 0.5 * numbers[:, 1] + 0.4 * numbers[:, 2] * numbers[:, 3] + 0.4 * (numbers[:, 4] > 1)
    score += 0.5 * skewed[:, 0] - 0.3 * np.abs(skewed[:, 1]) + 0.6 * told[:, 0] * (codes[:, 0] == 1) + 0.2 * codes[:, 0]
    truth = expit(score + brentq(lambda shift: expit(score + shift).mean() - rate, -20, 20))
    levels = (codes[:, :, np.newaxis] == np.arange(4)).reshape(n, -1)
    X = np.column_stack([numbers, np.exp(skewed), told, levels]).astype(np.float32)
    X[rng.random(n) < 0.1, 0] = np.nan
    X[rng.random(n) < 0.05, 7] = np.nan
    return Sample(X, (rng.random(n) < truth).astype(np.float64), truth)


def by_recipe(kind: ModelKind, sample: Sample, folds: Folds, seed: int) -> Apply:
    """As the service trains."""
    learner, n_threads = make_learner(kind, ModelConfig(seed=seed)), os.cpu_count() or 1
    found = fit_by_recipe(learner, sample.X, sample.y, folds, n_threads=n_threads, progress=lambda _share: None)
    return lambda X: found.calibrator.apply(found.model.margins(X))


def by_usual_way(kind: ModelKind, sample: Sample, folds: Folds, seed: int) -> Apply:
    """Folds at full rounds to calibrate on, a final model that is stopped early."""
    learner, X, y = make_learner(kind, ModelConfig(seed=seed)), sample.X, sample.y
    margins = np.empty(y.size)
    for fold in range(N_FOLDS):
        inside = folds != fold
        model = learner.fit(X[inside], y[inside], n_rounds=learner.n_rounds, n_threads=1)
        margins[~inside] = model.margins(X[~inside])
    calibrator = fit_platt(margins, y)
    stop = stop_xgboost if kind is ModelKind.XGBOOST else stop_lightgbm
    final = stop(dict(learner.params), X, y, folds == 0, seed)
    return lambda X: calibrator.apply(final(X))


def stop_xgboost(params: dict[str, Any], X: Matrix, y: Floats, held_out: np.ndarray, seed: int) -> Apply:
    """By the library's own early stopping: rows in, margins out."""
    import xgboost as xgb

    n_rounds = params.pop("n_estimators")
    params |= {"objective": "binary:logistic", "eval_metric": "auc", "seed": seed, "nthread": 1, "verbosity": 0}
    judge = xgb.DMatrix(X[held_out], y[held_out])
    booster = xgb.train(
        *(params, xgb.DMatrix(X[~held_out], y[~held_out]), n_rounds),
        evals=[(judge, "held_out")],
        early_stopping_rounds=PATIENCE,
        verbose_eval=False,
    )
    best = (0, booster.best_iteration + 1)
    return lambda X: np.asarray(booster.predict(xgb.DMatrix(X), output_margin=True, iteration_range=best), np.float64)


def stop_lightgbm(params: dict[str, Any], X: Matrix, y: Floats, held_out: np.ndarray, seed: int) -> Apply:
    """By the library's own early stopping: rows in, margins out."""
    import lightgbm as lgb

    n_rounds = params.pop("n_estimators")
    params |= {"objective": "binary", "metric": "auc", "seed": seed, "num_threads": 1, "verbosity": -1}
    params["subsample_freq"] = 1
    rows = lgb.Dataset(X[~held_out], y[~held_out])
    judge = lgb.Dataset(X[held_out], y[held_out], reference=rows)
    callbacks = [lgb.early_stopping(PATIENCE, verbose=False)]
    booster = lgb.train(params, rows, n_rounds, valid_sets=[judge], callbacks=callbacks)
    return lambda X: np.asarray(booster.predict(X, raw_score=True, num_iteration=booster.best_iteration), np.float64)


WAYS = {"recipe": by_recipe, "usual": by_usual_way}


@dataclass(frozen=True)
class Figures:
    """Of one way in one cell, a value per seed: mean error in points, calibration slope, AUC; all on fresh rows."""

    errors: Floats
    slopes: Floats
    aucs: Floats

    def __str__(self) -> str:
        error, slope = (f"{x.mean():+6.2f} ({_se(x):.2f})" for x in (self.errors, self.slopes))
        return f"{error} {slope} {self.aucs.mean():5.3f}"


def _se(values: Floats) -> float:
    return float(values.std(ddof=1) / np.sqrt(values.size)) if values.size > 1 else float("nan")


def study(kind: ModelKind, n: int, rate: float, n_seeds: int) -> dict[str, Figures]:
    """Both ways on the same rows, seed after seed."""
    found: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
    for seed in range(n_seeds):
        drawn = draw(n + N_FRESH, rate, seed)
        sample, fresh = drawn.part(slice(n)), drawn.part(slice(n, None))
        folds = deal_folds([str(number) for number in range(n)], sample.y, N_FOLDS, seed=seed)
        for way, train in WAYS.items():
            found[way].append(_judge(train(kind, sample, folds, seed)(fresh.X), fresh))
    return {way: Figures(*np.array(values).T) for way, values in found.items()}


def _judge(p: Floats, fresh: Sample) -> tuple[float, float, float]:
    points = 100 * float(p.mean() - fresh.truth.mean())
    return points, calibration_line(fresh.y, p).slope, auc(fresh.y, p)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    boosters = [ModelKind.XGBOOST.value, ModelKind.LIGHTGBM.value]
    parser.add_argument("--kinds", nargs="+", choices=boosters, default=boosters)
    parser.add_argument("--rows", nargs="+", type=int, default=[1_000, 5_000, 50_000])
    parser.add_argument("--rates", nargs="+", type=float, default=[0.05, 0.2])
    parser.add_argument("--seeds", type=int, default=20)
    asked = parser.parse_args()
    print(f"mean over {asked.seeds} seeds (standard error), judged on {N_FRESH:,} fresh rows each")
    print("kind       rows churn way      mean error, pts  slope          AUC")
    for kind, n, rate in itertools.product(asked.kinds, asked.rows, asked.rates):
        began = time.perf_counter()
        for way, figures in study(ModelKind(kind), n, rate, asked.seeds).items():
            print(f"{kind:<9}{n:>6}{rate:>6.0%} {way:<8} {figures}", flush=True)
        print(f"  {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
