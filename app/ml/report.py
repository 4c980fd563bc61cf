"""What a training reports of the model and of its baseline."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from app.ml.auto import KindChoice
from app.ml.bundle import Bundle
from app.ml.calibration import Calibrator
from app.ml.calibration_report import calibration_figures
from app.ml.explain import ShapSummary
from app.ml.frame import Floats
from app.ml.metrics import side_intervals, side_metrics
from app.ml.recipe import Fitted
from app.ml.rolling import RollingOrigins
from app.ml.rows import Rows
from app.ml.tiers import TierRow, TierWarning, assign_tiers, tier_table, tier_warnings
from app.ml.trials import Searched
from app.schemas.config import ProbabilityTiers


@dataclass(frozen=True)
class FittedModel:
    """A model, or its baseline, with everything that is reported of it.

    Attributes
    ----------
    bundle : to store and score with
    metrics : 'train' (in sample), 'validation' (its out-of-fold predictions), 'test', 'folds' (a list)
        Where accounts come again at the instants of the test side also 'test_known' and 'test_new'.
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
    losses_by_c : out-of-fold log-loss under each C tried for a logistic regression; empty where C was given
    tiers : the expected risk tiers by the default policy, from the out-of-fold probabilities of the validation rows
    tier_warnings : where that policy does not choose
    kind_choice : where kinds were compared, how each did and why this one was taken
    components : of a blend its parts, as plain data; see `recipe.Fitted`
    intervals : by side 'validation' and 'test', 95 % intervals of its figures, clustered by account
    calibration : by side, 'before' and 'after' calibration: see `calibration_figures`
    baselines : the figures of each baseline next to the model's: see `compare`
    origins : the model through time; None where nobody asked
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
    losses_by_c: dict[str, float]
    tiers: tuple[TierRow, ...]
    tier_warnings: tuple[TierWarning, ...]
    components: tuple[dict[str, Any], ...] = ()
    kind_choice: KindChoice | None = None
    intervals: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)
    baselines: tuple[dict[str, Any], ...] = ()
    origins: RollingOrigins | None = None

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
    search : how the parameters of the primary model were found, where they were searched for
    """

    primary: FittedModel
    baseline: FittedModel
    warnings: tuple[str, ...]
    training_data_hash: str
    development_churn_rate: float
    n_rows: dict[str, int]
    search: Searched | None = None

    @property
    def metrics(self) -> dict[str, Any]:
        """The model's figures by side, and at the top those of the test side; its ROC AUC is also `auc`."""
        return {**self.primary.metrics["test"], "auc": self.primary.auc, **self.primary.metrics}

    @property
    def improvement_over_baseline(self) -> float:
        """Test AUC of the model minus that of the baseline."""
        return self.primary.auc - self.baseline.auc


def report(bundle: Bundle, rows: Rows, fitted: Fitted, summary: ShapSummary | None) -> FittedModel:
    """Judge a fitted model on each side and fold, and put everything reported of it together."""
    oof = fitted.calibrator.apply(fitted.oof_margins)
    margins = fitted.model.margins(rows.X)
    final = fitted.calibrator.apply(margins)
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
        oof_probabilities=rows.in_caller_order(oof, rows.development),
        test_probabilities=rows.in_caller_order(final[~rows.development], ~rows.development),
        reference_scores=oof[rows.in_profile[rows.development]],
        importances={bundle.encoder.names[i]: float(shares[i]) for i in ranked},
        fold_importances=np.stack([_shares(gains, owners, n_features) for gains in fitted.fold_gains]),
        feature_names=bundle.encoder.names,
        shap_summary=summary,
        n_rounds=fitted.model.n_rounds,
        round_losses=fitted.round_losses,
        calibrator_losses=fitted.calibrator_losses,
        losses_by_c=fitted.losses_by_c,
        tiers=tiers,
        tier_warnings=tier_warnings(tiers, rows.churn_rate),
        components=fitted.components,
        **_on_unseen_sides(rows, fitted.oof_margins, margins, fitted.calibrator),
    )


def clusters_of(rows: Rows, some: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64] | None:
    """A number for the account of each of these rows: shape (rows,); None where none comes twice."""
    codes = rows.account_codes[some]
    return codes if np.unique(codes).size < codes.size else None


def _on_unseen_sides(rows: Rows, oof_margins: Floats, margins: Floats, calibrator: Calibrator) -> dict[str, Any]:
    """How sure the figures of the unseen sides are, and how right their probabilities, raw and calibrated."""
    on = {"validation": rows.sides == "validation", "test": rows.sides == "test"}
    of_side = {"validation": oof_margins[on["validation"][rows.development]], "test": margins[on["test"]]}
    found: dict[str, Any] = {"intervals": {}, "calibration": {}}
    for side, raw in of_side.items():
        y, clusters, p = rows.y[on[side]], clusters_of(rows, on[side]), calibrator.apply(raw)
        found["intervals"][side] = side_intervals(y, p, rows.churn_rate, clusters)
        found["calibration"][side] = {
            "before": calibration_figures(y, np.asarray(expit(raw)), rows.churn_rate, clusters),
            "after": calibration_figures(y, p, rows.churn_rate, clusters),
        }
    return found


def _metrics(rows: Rows, oof: Floats, final: Floats) -> dict[str, Any]:
    development, share = rows.development, rows.churn_rate
    y, sides = rows.y[development], rows.sides[development]
    validation, test, train_side = sides == "validation", rows.sides == "test", rows.sides == "train"
    folds = [rows.folds == fold for fold in range(int(rows.folds.max()) + 1)]
    told_apart = {"test_known": test & rows.known, "test_new": test & ~rows.known} if (test & rows.known).any() else {}
    return {
        "train": side_metrics(rows.y[train_side], final[train_side], share),
        "validation": side_metrics(y[validation], oof[validation], share),
        "test": side_metrics(rows.y[test], final[test], share),
        **{name: side_metrics(rows.y[part], final[part], share) for name, part in told_apart.items()},
        "folds": [side_metrics(y[fold], oof[fold], share) for fold in folds],
    }


def _shares(gains: Floats, owners: npt.NDArray[np.int64], n_features: int) -> Floats:
    """Importance by feature, as shares of the whole: shape (features,)."""
    by_feature = np.bincount(owners, weights=gains, minlength=n_features)
    return np.asarray(by_feature / max(float(by_feature.sum()), 1e-300), dtype=np.float64)
