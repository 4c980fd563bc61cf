"""Train a model and its baseline by one recipe, and report on both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from threadpoolctl import threadpool_limits

from app.ml.bundle import Bundle, Probe
from app.ml.encoding import FittedEncoder, Matrix, fit_encoder
from app.ml.explain import ShapSummary, summarise
from app.ml.fingerprint import library_versions, training_data_hash
from app.ml.frame import Feature, Floats, Frame
from app.ml.metrics import side_metrics
from app.ml.models import ModelKind, make_learner
from app.ml.params import validate_params
from app.ml.profile import build_profile
from app.ml.recipe import Fitted, fit_base_rate, fit_by_recipe
from app.ml.split import Sides, deal_folds
from app.ml.tiers import TierRow, TierWarning, assign_tiers, tier_table, tier_warnings
from app.schemas.config import ModelConfig, ProbabilityTiers, TrainingConfig

N_SHAP_SAMPLE = 2_000
_N_PROBES = 5


class TrainingError(ValueError):
    """These rows can't be trained on; the message says what is missing."""


@dataclass(frozen=True)
class FittedModel:
    """A model, or its baseline, with everything that is reported of it.

    Attributes
    ----------
    bundle : to store and score with
    metrics : 'train' (in sample), 'validation' (its out-of-fold predictions), 'test', 'folds' (a list)
        Each with n, n_churners, roc_auc, pr_auc, precision, recall, f1, log_loss, brier, calibration_slope, ...
    oof_probabilities : ndarray of shape (development rows,), in the order of the frame; calibrated
    test_probabilities : ndarray of shape (test rows,), in the order of the frame; calibrated
    reference_scores : ndarray of shape (profile rows,)
        The out-of-fold probabilities of the rows that make the drift profile, in no order that matters.
    importances : share of each feature in the model, largest first; sums to 1 (0 for the base rate)
    fold_importances : ndarray of shape (k, features); the same for each fold's model, unsorted
    feature_names : the columns of `fold_importances`
    shap_summary : None where not asked for
    n_rounds : of the final fit
    round_losses : ndarray of shape (rounds,), out-of-fold log-loss after recalibration
    calibrator_losses : cross-fitted log-loss of each calibrator tried
    tiers : the expected risk tiers by the default policy, from the out-of-fold probabilities of the validation rows
    tier_warnings : where that policy does not choose
    """

    bundle: Bundle
    metrics: dict[str, Any]
    oof_probabilities: Floats
    test_probabilities: Floats
    reference_scores: Floats
    importances: dict[str, float]
    fold_importances: Floats
    feature_names: tuple[str, ...]
    shap_summary: ShapSummary | None
    n_rounds: int
    round_losses: Floats
    calibrator_losses: dict[str, float]
    tiers: tuple[TierRow, ...]
    tier_warnings: tuple[TierWarning, ...]

    @property
    def auc(self) -> float:
        """ROC AUC on the test side; NaN where one class is missing there."""
        found = self.metrics["test"]["roc_auc"]
        return float("nan") if found is None else float(found)


@dataclass(frozen=True)
class TrainingResult:
    """The model asked for, and its baseline: logistic regression, or the base rate where that is the model.

    Attributes
    ----------
    primary, baseline : FittedModel
    warnings : sentences: features left out, and the like
    training_data_hash : SHA-256 of rows, labels and sides
    development_churn_rate : 0..1
    n_rows : by side
    """

    primary: FittedModel
    baseline: FittedModel
    warnings: tuple[str, ...]
    training_data_hash: str
    development_churn_rate: float
    n_rows: dict[str, int]

    @property
    def metrics(self) -> dict[str, Any]:
        """The model's figures by side, and at the top those of the test side; its ROC AUC is also `auc`."""
        return {**self.primary.metrics["test"], "auc": self.primary.auc, **self.primary.metrics}

    @property
    def improvement_over_baseline(self) -> float:
        """Test AUC of the model minus that of the baseline."""
        return self.primary.auc - self.baseline.auc


@dataclass(frozen=True)
class _Rows:
    """Rows sorted by account and encoded; `order` leads from them back to the caller's."""

    frame: Frame
    y: Floats
    sides: Sides
    fitted: FittedEncoder
    X: Matrix
    in_profile: npt.NDArray[np.bool_]
    folds: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    data_hash: str

    @property
    def development(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.sides != "test")

    @property
    def churn_rate(self) -> float:
        return float(self.y[self.development].mean())


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

    Raises
    ------
    TrainingError, app.ml.split.SplitError, app.ml.encoding.EncodingError, app.ml.params.ParamsError
        All of them ValueErrors: rows or parameters that can't be used.
    app.ml.explain.ExplanationError
        Where SHAP values can't be computed.
    """
    validate_params(model)
    _require_usable(frame, sides, profile_rows)
    progress("encode", 0.0)
    rows = _prepare(frame, sides, features, profile_rows, n_folds=training.n_folds, seed=model.seed)
    primary = ModelKind(model.model_type.value)
    baseline = ModelKind.BASE_RATE if primary is ModelKind.LOGISTIC else ModelKind.LOGISTIC
    # One BLAS thread: sums in another order give other last digits, and so another hash.
    with threadpool_limits(1, user_api="blas"):
        fits = [
            _train_kind(kind, step, rows, model, training, progress=progress, n_threads=n_threads)
            for kind, step in ((primary, "fit model"), (baseline, "fit baseline"))
        ]
    progress("report", 1.0)
    n_rows = {side: int((sides == side).sum()) for side in ("train", "validation", "test")}
    return TrainingResult(fits[0], fits[1], rows.fitted.warnings, rows.data_hash, rows.churn_rate, n_rows)


def _require_usable(frame: Frame, sides: Sides, profile_rows: npt.NDArray[np.bool_]) -> None:
    if len(sides) != len(frame) or len(profile_rows) != len(frame):
        raise TrainingError(f"{len(frame)} rows need as many sides and profile marks")
    if frame.churned is None or not np.isin(frame.churned, (0.0, 1.0)).all():
        raise TrainingError("every row needs a label: churned or stayed")
    for side in ("train", "validation", "test"):
        n_churned, n = int(frame.churned[sides == side].sum()), int((sides == side).sum())
        if n_churned in (0, n):
            raise TrainingError(f"the {side} side has {n_churned} churners in {n} rows: it needs both kinds")


def _prepare(
    frame: Frame,
    sides: Sides,
    features: Sequence[Feature],
    profile_rows: npt.NDArray[np.bool_],
    *,
    n_folds: int,
    seed: int,
) -> _Rows:
    order = _by_account(frame)
    rows, sides = frame.take(order), sides[order]
    development = sides != "test"
    fitted = fit_encoder(rows.features.filter(pa.array(development)), features)
    y = np.asarray(rows.churned, dtype=np.float64)
    names = np.asarray(rows.accounts.to_pylist(), dtype=object)
    in_profile = profile_rows[order] & development
    return _Rows(
        frame=rows,
        y=y,
        sides=sides,
        fitted=fitted,
        X=fitted.encoder.encode(rows.features),
        in_profile=in_profile if in_profile.any() else development,
        folds=deal_folds(names[development].tolist(), y[development], n_folds, seed=seed),
        order=order,
        data_hash=training_data_hash(rows, sides, features),
    )


def _by_account(frame: Frame) -> npt.NDArray[np.int64]:
    """The order of rows by account, byte for byte, then by instant."""
    names = frame.accounts.to_pylist()
    instants = [0] * len(names) if frame.as_of is None else frame.as_of.cast(pa.int64()).to_pylist()
    return np.array(sorted(range(len(names)), key=lambda i: (names[i], instants[i])), dtype=np.int64)


def _train_kind(
    kind: ModelKind,
    step: str,
    rows: _Rows,
    model: ModelConfig,
    training: TrainingConfig,
    *,
    progress: Callable[[str, float], None],
    n_threads: int,
) -> FittedModel:
    learner, development = make_learner(kind, model), rows.development
    X, y = rows.X[development], rows.y[development]
    if kind is ModelKind.BASE_RATE:
        fitted = fit_base_rate(learner, X, y, training.n_folds)
    else:
        report = partial(progress, step)
        fitted = fit_by_recipe(learner, X, y, rows.folds, n_threads=n_threads, progress=report)
    bundle = _make_bundle(kind, learner.params, model.seed, rows, fitted)
    summary = summarise(fitted.model, _shap_sample(X, model.seed), rows.fitted.encoder) if training.shap else None
    return _report(bundle, rows, fitted, summary)


def _shap_sample(X: Matrix, seed: int) -> Matrix:
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(X), min(len(X), N_SHAP_SAMPLE), replace=False)
    return np.ascontiguousarray(X[np.sort(chosen)])


def _make_bundle(kind: ModelKind, params: dict[str, Any], seed: int, rows: _Rows, fitted: Fitted) -> Bundle:
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


def _probes(rows: _Rows, final: Floats) -> tuple[Probe, ...]:
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


def _report(bundle: Bundle, rows: _Rows, fitted: Fitted, summary: ShapSummary | None) -> FittedModel:
    oof = fitted.calibrator.apply(fitted.oof_margins)
    final = fitted.calibrator.apply(fitted.model.margins(rows.X))
    validation = rows.sides[rows.development] == "validation"
    y_validation = rows.y[rows.development][validation]
    tiers = tier_table(
        oof[validation], y_validation, assign_tiers(oof[validation], ProbabilityTiers(), rows.churn_rate)
    )
    owners, n_features = bundle.encoder.owners, len(bundle.encoder.features)
    shares = _shares(fitted.model.gains(rows.X.shape[1], fitted.n_rounds), owners, n_features)
    ranked = np.argsort(-shares, kind="stable")
    return FittedModel(
        bundle=bundle,
        metrics=_metrics(rows, oof, final),
        oof_probabilities=_in_caller_order(oof, rows.development, rows.order),
        test_probabilities=_in_caller_order(final[~rows.development], ~rows.development, rows.order),
        reference_scores=oof[rows.in_profile[rows.development]],
        importances={bundle.encoder.names[i]: float(shares[i]) for i in ranked},
        fold_importances=np.stack([_shares(gains, owners, n_features) for gains in fitted.fold_gains]),
        feature_names=bundle.encoder.names,
        shap_summary=summary,
        n_rounds=fitted.n_rounds,
        round_losses=fitted.round_losses,
        calibrator_losses=fitted.calibrator_losses,
        tiers=tiers,
        tier_warnings=tier_warnings(tiers, rows.churn_rate),
    )


def _metrics(rows: _Rows, oof: Floats, final: Floats) -> dict[str, Any]:
    development, share = rows.development, rows.churn_rate
    y, sides = rows.y[development], rows.sides[development]
    validation, test, train_side = sides == "validation", rows.sides == "test", rows.sides == "train"
    folds = [rows.folds == fold for fold in range(int(rows.folds.max()) + 1)]
    return {
        "train": side_metrics(rows.y[train_side], final[train_side], share),
        "validation": side_metrics(y[validation], oof[validation], share),
        "test": side_metrics(rows.y[test], final[test], share),
        "folds": [side_metrics(y[fold], oof[fold], share) for fold in folds],
    }


def _shares(gains: Floats, owners: npt.NDArray[np.int64], n_features: int) -> Floats:
    """Importance by feature, as shares of the whole: shape (features,)."""
    by_feature = np.bincount(owners, weights=gains, minlength=n_features)
    return np.asarray(by_feature / max(float(by_feature.sum()), 1e-300), dtype=np.float64)


def _in_caller_order(values: Floats, rows: npt.NDArray[np.bool_], order: npt.NDArray[np.int64]) -> Floats:
    """Values of some of the sorted rows, in the order those rows have in the caller's frame."""
    return values[np.argsort(order[rows], kind="stable")]
