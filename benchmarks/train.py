"""A whole training, as a ratio to the bare fits it contains.

Whole: encode, folds, number of rounds, calibrator, final fit, baseline, SHAP, figures, plots, MLflow run, the bytes of
both bundles. Bare, by plain calls of XGBoost or LightGBM and scikit-learn on rows that are encoded already: a booster
and a logistic regression per fold, side by side on the same threads, then one of each on all development rows. The
logistic regressions of the yardstick have their C given; ours find it. Each is measured in a process of its own.

Run: python -m benchmarks.train [rows] [--kinds xgboost lightgbm], on a private PostgreSQL or that of DATABASE_URL.
"""

import argparse
import asyncio
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from app.container import open_store
from app.ml.encoding import Matrix
from app.ml.frame import Feature, FeatureKind, Floats, Frame
from app.ml.rows import prepare
from app.ml.split import SIDE_NAMES, Sides
from app.ml.trainer import train
from app.registry import Registry, TrackedRun
from app.schemas.config import ModelConfig, ModelType, TrainingConfig
from app.services.artifacts import flat_metrics, flat_params, write_artifacts
from app.services.training_report import model_report
from app.settings import Settings

N_ROWS = 1_000_000
SPLIT = {"kind": "random", "sides": {}, "seed": 1, "as_of": None, "information_end": None}
ABOUT = {  # what a model card says beside the report
    "dataset": "benchmark",
    "revision": 1,
    "job": 1,
    "experiment": "benchmark",
    "label": "Labels are drawn.",
    "split": SPLIT | {"left_out": {"n_immature": 0, "n_unlabelled": 0}},
    "warnings": [],
    "code": {"version": None, "commit": None},
}
N_FEATURES = 30
N_THREADS = os.cpu_count() or 1
LEVELS = np.array(["basic", "plus", "pro", "team"])


@dataclass(frozen=True)
class Measured:
    """Wall and processor seconds, peak memory of the process in MB, and how far the fits went."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    n_rounds: int = 0
    C: float = 1.0


def make_rows(n: int, seed: int = 1) -> tuple[Frame, Sides, tuple[Feature, ...]]:
    """30 features: 24 numbers, half of them skewed, some missing; 3 booleans; 3 texts of four levels. 10 % churn."""
    rng = np.random.default_rng(seed)
    columns: dict[str, pa.Array] = {}
    score = np.full(n, -3.6)
    for at in range(24):
        x = rng.normal(size=n)
        score += (0.5 if at < 8 else 0.05) * x * (np.where(score > -3, 1, -0.3) if at % 3 == 0 else 1)
        values = np.exp(x) if at % 2 else x
        columns[f"n{at}"] = pa.array(values, mask=rng.random(n) < (0.05 if at % 4 == 0 else 0))
    for at in range(3):
        told = rng.random(n) < 0.3
        score += 0.6 * told
        columns[f"b{at}"] = pa.array(told)
    for at in range(3):
        code = rng.integers(0, 4, n)
        score += 0.3 * code
        columns[f"t{at}"] = pa.array(LEVELS[code])
    kinds = {"n": FeatureKind.NUMERIC, "b": FeatureKind.BOOLEAN, "t": FeatureKind.CATEGORICAL}
    features = tuple(Feature(name, kinds[name[0]]) for name in columns)
    churned = (rng.random(n) < 1 / (1 + np.exp(-score))).astype(np.float64)
    sides = rng.choice(SIDE_NAMES, n, p=(0.6, 0.2, 0.2)).astype("<U10")
    accounts = pa.array([f"account-{number:07d}" for number in rng.permutation(n)])
    return Frame(accounts, pa.table(columns), churned), sides, features


def whole(kind: ModelType, n_rows: int, database_url: str) -> Measured:
    """As the job does it, with MLflow imported beside the fits."""
    frame, sides, features = make_rows(n_rows)
    model, training = ModelConfig(model_type=kind), TrainingConfig()
    assert frame.churned is not None
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(database_url, Path(folder, "artifacts").as_uri())
        watch = Watch()
        with ThreadPoolExecutor(1) as pool:
            opening = pool.submit(registry.open)
            result = train(
                *(frame, sides, features, model, training),
                profile_rows=frame.churned == 0,
                progress=watch.say,
                n_threads=N_THREADS,
            )
            opening.result()
        fitted = {"primary": result.primary, "baseline": result.baseline}
        reports = {role: model_report(each, features) for role, each in fitted.items()}
        watch.say("track", 0)
        artifacts = Path(folder, "run")
        write_artifacts(artifacts, result, reports, frame.churned[sides == "test"], ABOUT)
        params, metrics = flat_params(model, training, result), flat_metrics(result)
        registry.log_run(TrackedRun(time.time_ns(), "benchmark", kind.value, artifacts, params, metrics))
        watch.say("bundles", 0)
        for each in fitted.values():
            each.bundle.to_bytes()
        measured = watch.stop(result.primary.n_rounds, float(result.baseline.bundle.params["C"]))
    print(f"  {watch}", flush=True)
    return measured


class Watch:
    """Measures from its birth on, and remembers when each step began."""

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), time.process_time()
        self._steps: dict[str, float] = {}

    def say(self, step: str, share: float) -> None:
        self._steps.setdefault(step, time.perf_counter() - self._began)

    def __str__(self) -> str:
        return ", ".join(f"{step} at {seconds:.1f} s" for step, seconds in self._steps.items())

    def stop(self, n_rounds: int = 0, C: float = 1.0) -> Measured:
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return Measured(time.perf_counter() - self._began, time.process_time() - self._cpu, peak_mb, n_rounds, C)


def bare(kind: ModelType, n_rows: int, n_rounds: int, C: float) -> Measured:
    """The yardstick."""
    frame, sides, features = make_rows(n_rows)
    rows = prepare(frame, sides, features, np.ones(n_rows, dtype=np.bool_), n_folds=5, seed=42)
    X, y, folds = rows.X[rows.development], rows.y[rows.development], rows.folds
    del frame, rows
    params = ModelConfig(model_type=kind).params()
    boost = fit_xgboost if kind is ModelType.XGBOOST else fit_lightgbm
    watch = Watch()
    fits: tuple[Callable[[Matrix, Floats, int], Any], ...] = (
        lambda X, y, n_threads: boost(X, y, {**params, "n_estimators": n_rounds}, n_threads),
        lambda X, y, n_threads: fit_logistic(X, y, C),
    )
    most = lambda X, y, n_threads: boost(X, y, params, n_threads)  # noqa: E731 - the folds go to the end
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(N_THREADS) as pool:
        for in_folds, final in zip((most, fits[1]), fits, strict=True):
            list(pool.map(lambda fold, fit=in_folds: fit(X[folds != fold], y[folds != fold], 1), range(5)))
            final(X, y, N_THREADS)
    return watch.stop()


def fit_xgboost(X: Matrix, y: Floats, params: dict[str, Any], n_threads: int) -> None:
    import xgboost as xgb

    params = {**params, "objective": "binary:logistic", "tree_method": "hist", "nthread": n_threads, "verbosity": 0}
    params["disable_default_eval_metric"] = 1
    n_rounds = params.pop("n_estimators")
    xgb.train(params, xgb.QuantileDMatrix(X, y, nthread=n_threads), n_rounds)


def fit_lightgbm(X: Matrix, y: Floats, params: dict[str, Any], n_threads: int) -> None:
    import lightgbm as lgb

    params = {**params, "objective": "binary", "metric": "none", "num_threads": n_threads, "verbosity": -1}
    params |= {"subsample_freq": 1, "deterministic": True, "force_row_wise": True}
    n_rounds = params.pop("n_estimators")
    lgb.train(params, lgb.Dataset(X, y), n_rounds)


def fit_logistic(X: Matrix, y: Floats, C: float) -> None:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    solver = LogisticRegression(C=C, solver="newton-cholesky")
    make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler(), solver).fit(X, y)


def in_a_process(measure: Callable[..., Measured], *args: Any) -> Measured:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, args)


async def compare(kinds: list[ModelType], n_rows: int) -> None:
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)  # the user that runs PostgreSQL must be able to pass
        async with open_store(Settings(home=Path(home) / "home")) as url:
            for kind in kinds:
                print(f"{kind.value}, {n_rows:,} x {N_FEATURES}, {N_THREADS} threads, load {os.getloadavg()[0]:.1f}")
                all_of_it = in_a_process(whole, kind, n_rows, url)
                fits = in_a_process(bare, kind, n_rows, all_of_it.n_rounds, all_of_it.C)
                print(f"  {all_of_it.n_rounds} rounds, C {all_of_it.C:g}")
                for name, found in (("whole", all_of_it), ("bare", fits)):
                    told = f"{found.seconds:7.1f} s, {found.cpu_seconds:7.1f} s of processors"
                    print(f"  {name:<6}{told}, peak {found.peak_mb:,.0f} MB")
                ratio, cpu_ratio = all_of_it.seconds / fits.seconds, all_of_it.cpu_seconds / fits.cpu_seconds
                print(f"  ratio {ratio:.2f}, of processor time {cpu_ratio:.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", type=int, default=N_ROWS)
    boosters = [ModelType.XGBOOST.value, ModelType.LIGHTGBM.value]
    parser.add_argument("--kinds", nargs="+", choices=boosters, default=boosters)
    asked = parser.parse_args()
    asyncio.run(compare([ModelType(kind) for kind in asked.kinds], asked.rows))


if __name__ == "__main__":
    main()
