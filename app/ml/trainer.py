"""Train a model and its baseline by one recipe, and report on both."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from threadpoolctl import threadpool_limits

from app.ml.bundle import Bundle, Probe
from app.ml.encoding import Matrix
from app.ml.explain import summarise
from app.ml.fingerprint import library_versions
from app.ml.frame import Feature, Floats, Frame
from app.ml.models import ModelKind, make_learner
from app.ml.params import validate_params
from app.ml.profile import build_profile
from app.ml.recipe import Fitted, fit_base_rate, fit_by_recipe
from app.ml.report import FittedModel, TrainingResult, report
from app.ml.rows import Rows, TrainingError, prepare, require_usable
from app.ml.split import SIDE_NAMES, Sides
from app.ml.yardsticks import with_yardsticks
from app.schemas.config import ModelConfig, TrainingConfig

__all__ = ["FittedModel", "TrainingError", "TrainingResult", "train", "validate_params"]

N_SHAP_SAMPLE = 2_000
_N_PROBES = 5


def train(
    frame: Frame,
    sides: Sides,
    features: Sequence[Feature],
    model: ModelConfig,
    training: TrainingConfig,
    *,
    profile_rows: npt.NDArray[np.bool_],
    progress: Callable[[str, float], None],
    n_threads: int,
    plan: Mapping[str, Any] | None = None,
    gap: timedelta | None = None,
) -> TrainingResult:
    """Train the model and its baseline; the order of rows and the number of threads have no effect on the bytes.

    Parameters
    ----------
    frame : Frame
        n rows, all with a label.
    sides : ndarray of shape (n,)
        'train', 'validation' or 'test'; development rows are the first two.
    features : sequence of Feature
        The columns of the frame to learn from.
    model : ModelConfig
        Kind, parameters and seed.
    training : TrainingConfig
        Folds, and whether SHAP values are wanted.
    profile_rows : boolean ndarray of shape (n,)
        The development rows that look like those that will be scored: they make the drift profile. Marks on test
        rows have no effect; where none is left all development rows stand in.
    progress : callable
        Told the step and the share of it that is done, 0..1.
    n_threads : int
        1 or more.
    plan : mapping or None
        What builds these features; it is kept in the bundles.
    gap : timedelta or None
        Lead, horizon and grace of dated rows: with it the report has scores through time.

    Raises
    ------
    TrainingError, app.ml.split.SplitError, app.ml.encoding.EncodingError, app.ml.params.ParamsError
        All of them ValueErrors: rows or parameters that can't be used.
    app.ml.explain.ExplanationError
        Where SHAP values can't be computed.
    """
    validate_params(model)
    require_usable(frame, sides, profile_rows)
    progress("encode", 0.0)
    rows = prepare(frame, sides, features, profile_rows, n_folds=training.n_folds, seed=model.seed)
    primary = ModelKind(model.model_type.value)
    baseline = ModelKind.BASE_RATE if primary is ModelKind.LOGISTIC else ModelKind.LOGISTIC
    # One BLAS thread: sums in another order give other last digits, and so another hash.
    with threadpool_limits(1, user_api="blas"):
        fits = [
            _train_kind(kind, step, rows, model, training, progress=progress, n_threads=n_threads, plan=plan)
            for kind, step in ((primary, "fit model"), (baseline, "fit baseline"))
        ]
        n_rows = {side: int((sides == side).sum()) for side in SIDE_NAMES}
        result = TrainingResult(fits[0], fits[1], rows.fitted.warnings, rows.data_hash, rows.churn_rate, n_rows)
        said = partial(progress, "report")
        return with_yardsticks(result, rows, model, gap=gap, n_threads=n_threads, progress=said)


def _train_kind(
    kind: ModelKind,
    step: str,
    rows: Rows,
    model: ModelConfig,
    training: TrainingConfig,
    *,
    progress: Callable[[str, float], None],
    n_threads: int,
    plan: Mapping[str, Any] | None,
) -> FittedModel:
    learner, development = make_learner(kind, model), rows.development
    X, y = rows.X[development], rows.y[development]
    if kind is ModelKind.BASE_RATE:
        fitted = fit_base_rate(learner, X, y, training.n_folds)
        progress(step, 1.0)
    else:
        said = partial(progress, step)
        fitted = fit_by_recipe(learner, X, y, rows.folds, n_threads=n_threads, progress=said)
    bundle = replace(_make_bundle(kind, learner.params, model.seed, rows, fitted), plan=plan)
    summary = summarise(fitted.model, _shap_sample(X, model.seed), rows.fitted.encoder) if training.shap else None
    return report(bundle, rows, fitted, summary)


def _shap_sample(X: Matrix, seed: int) -> Matrix:
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(X), min(len(X), N_SHAP_SAMPLE), replace=False)
    return np.ascontiguousarray(X[np.sort(chosen)])


def _make_bundle(kind: ModelKind, params: dict[str, Any], seed: int, rows: Rows, fitted: Fitted) -> Bundle:
    oof = fitted.calibrator.apply(fitted.oof_margins)
    scores = np.full(len(rows.y), np.nan)
    scores[rows.development] = oof
    encoder = rows.fitted.encoder
    profiled = rows.frame.take(np.flatnonzero(rows.in_profile))
    used = [each.feature for each in encoder.features]
    final = fitted.calibrator.apply(fitted.model.margins(rows.X[rows.development]))
    return Bundle(
        kind=kind,
        params=params,
        seed=seed,
        n_rounds=fitted.n_rounds,
        encoder=encoder,
        calibrator=fitted.calibrator,
        profile=build_profile(profiled, used, scores[rows.in_profile]),
        development_churn_rate=rows.churn_rate,
        training_data_hash=rows.data_hash,
        libraries=library_versions(kind),
        probes=_probes(rows, final),
        model=fitted.model.to_bytes(),
    )


def _probes(rows: Rows, final: Floats) -> tuple[Probe, ...]:
    """Development rows from the lowest to the highest probability."""
    ranked = np.argsort(final, kind="stable")
    chosen = np.unique(ranked[np.linspace(0, len(ranked) - 1, _N_PROBES).astype(int)])
    at = np.flatnonzero(rows.development)[chosen]
    table = rows.frame.features.select(list(rows.fitted.encoder.names)).take(pa.array(at))
    plain = [{name: _finite(value) for name, value in row.items()} for row in table.to_pylist()]
    return tuple(Probe(row, float(p)) for row, p in zip(plain, final[chosen], strict=True))


def _finite(value: Any) -> Any:
    """JSON knows no NaN or infinity; to the encoder all three are missing."""
    return None if isinstance(value, float) and not np.isfinite(value) else value
