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
from app.ml.fitting import fit_pair
from app.ml.frame import Feature, Floats, Frame
from app.ml.kinds.models import ModelKind
from app.ml.kinds.params import validate_params
from app.ml.profile import Profile, profile_scores
from app.ml.recipe import Fitted
from app.ml.report import FittedModel, TrainingResult, report
from app.ml.rows import Rows, TrainingError, prepare, require_usable
from app.ml.search import search_model
from app.ml.split import SIDE_NAMES, Sides
from app.ml.trials import Trial
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
    history: Sequence[Trial] = (),
    on_trial: Callable[[Trial], None] = lambda _trial: None,
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
    history : sequence of Trial
        Trials of a search that was cut off, to go on from.
    on_trial : callable
        Told each new trial of a search as it ends.
    gap : timedelta or None
        Lead, horizon and grace of dated rows: with it the report has scores through time.

    Raises
    ------
    TrainingError, app.ml.split.SplitError, app.ml.encoding.EncodingError, app.ml.kinds.params.ParamsError,
    app.ml.kinds.boosters.FitError
        All of them ValueErrors: rows or parameters that can't be used.
    app.ml.explain.ExplanationError
        Where SHAP values can't be computed.
    """
    validate_params(model)
    require_usable(frame, sides, profile_rows)
    progress("encode", 0.0)
    rows = prepare(frame, sides, features, profile_rows, n_folds=training.n_folds, seed=model.seed)
    # One BLAS thread: sums in another order give other last digits, and so another hash.
    with threadpool_limits(1, user_api="blas"):
        model, searched = search_model(
            rows, model, training, history=history, on_trial=on_trial, progress=progress, n_threads=n_threads
        )
        pair = fit_pair(rows, model, n_threads=n_threads, progress=progress)
        models = [
            _report_kind(kind, fitted, rows, model, training, plan=plan)
            for kind, fitted in (pair.primary, pair.baseline)
        ]
        n_rows = {side: int((sides == side).sum()) for side in SIDE_NAMES}
        result = TrainingResult(
            replace(models[0], kind_choice=pair.choice),
            models[1],
            rows.fitted.warnings,
            rows.data_hash,
            rows.churn_rate,
            n_rows,
            searched,
        )
        said = partial(progress, "report")
        return with_yardsticks(result, rows, model, gap=gap, n_threads=n_threads, progress=said)


def predict_test(
    frame: Frame, sides: Sides, features: Sequence[Feature], model: ModelConfig, *, n_folds: int, n_threads: int
) -> tuple[Floats, Floats]:
    """The probabilities that `train` would give the test rows, by the model and by its baseline, without all the rest.

    Returns
    -------
    two ndarrays of shape (test rows,)
        In the order of the frame.

    Raises
    ------
    TrainingError, app.ml.split.SplitError, app.ml.encoding.EncodingError, app.ml.kinds.params.ParamsError
        As `train` does.
    """
    validate_params(model)
    everywhere = np.ones(len(frame), dtype=np.bool_)  # nobody looks at the profile
    require_usable(frame, sides, everywhere)
    rows = prepare(frame, sides, features, everywhere, n_folds=n_folds, seed=model.seed)
    test = ~rows.development
    with threadpool_limits(1, user_api="blas"):
        pair = fit_pair(rows, model, n_threads=n_threads, progress=lambda _step, _share: None)
        primary, baseline = (
            fitted.calibrator.apply(fitted.model.margins(rows.X)[test]) for _, fitted in (pair.primary, pair.baseline)
        )
    return rows.in_caller_order(primary, test), rows.in_caller_order(baseline, test)


def _report_kind(
    kind: ModelKind,
    fitted: Fitted,
    rows: Rows,
    model: ModelConfig,
    training: TrainingConfig,
    *,
    plan: Mapping[str, Any] | None,
) -> FittedModel:
    bundle = replace(_make_bundle(kind, fitted.params, model.seed, rows, fitted), plan=plan)
    sample = _shap_sample(rows, model.seed) if training.shap else None
    summary = None if sample is None else summarise(fitted.model, sample, rows.fitted.encoder)
    return report(bundle, rows, fitted, summary)


def _shap_sample(rows: Rows, seed: int) -> Matrix:
    development = np.flatnonzero(rows.development)
    rng = np.random.default_rng(seed)
    chosen = rng.choice(development.size, min(development.size, N_SHAP_SAMPLE), replace=False)
    return rows.X[development[np.sort(chosen)]]


def _make_bundle(kind: ModelKind, params: dict[str, Any], seed: int, rows: Rows, fitted: Fitted) -> Bundle:
    oof = fitted.calibrator.apply(fitted.oof_margins)
    references = oof[rows.in_profile[rows.development]]
    return Bundle(
        kind=kind,
        params=params,
        seed=seed,
        n_rounds=fitted.model.n_rounds,
        encoder=rows.fitted.encoder,
        calibrator=fitted.calibrator,
        profile=Profile(rows.feature_profiles, profile_scores(references), references.size),
        development_churn_rate=rows.churn_rate,
        training_data_hash=rows.data_hash,
        libraries=library_versions(kind, params),
        probes=_probes(rows, fitted, oof),
        files=fitted.model.to_files(),
    )


def _probes(rows: Rows, fitted: Fitted, oof: Floats) -> tuple[Probe, ...]:
    """Development rows from the lowest to the highest out-of-fold probability, with what the final model gives them."""
    ranked = np.argsort(oof, kind="stable")
    chosen = np.unique(ranked[np.linspace(0, len(ranked) - 1, _N_PROBES).astype(int)])
    at = np.flatnonzero(rows.development)[chosen]
    p = fitted.calibrator.apply(fitted.model.margins(rows.X[at]))
    table = rows.frame.features.select(list(rows.fitted.encoder.names)).take(pa.array(at))
    plain = [{name: _finite(value) for name, value in row.items()} for row in table.to_pylist()]
    return tuple(Probe(row, float(probability)) for row, probability in zip(plain, p, strict=True))


def _finite(value: Any) -> Any:
    """JSON knows no NaN or infinity; to the encoder all three are missing."""
    return None if isinstance(value, float) and not np.isfinite(value) else value
