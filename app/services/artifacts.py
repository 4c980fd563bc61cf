"""What a training leaves in MLflow for people: a folder of figures, pictures and bundles, and its flat numbers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.ml.frame import Floats
from app.ml.plots import draw_plots
from app.ml.trainer import FittedModel, TrainingResult
from app.ml.trials import Searched, Trial
from app.registry import TrackedTrial
from app.schemas.config import ModelConfig, TrainingConfig

BUNDLE_FILE = "bundle.zip"


def write_artifacts(folder: Path, result: TrainingResult, reports: Mapping[str, Mapping[str, Any]], y: Floats) -> None:
    """Fill an empty folder: per role its bundle and stored report, and pictures of the test side with labels `y`."""
    models = {"primary": result.primary, "baseline": result.baseline}
    for role, fitted in models.items():
        (folder / role).mkdir(parents=True)
        (folder / role / BUNDLE_FILE).write_bytes(fitted.bundle.to_bytes())
        (folder / role / "report.json").write_text(json.dumps(reports[role], indent=1))
        (folder / "plots" / role).mkdir(parents=True)
        pictures = draw_plots(y, fitted.test_probabilities, fitted.importances, fitted.shap_summary)
        for name, picture in pictures.items():
            (folder / "plots" / role / name).write_bytes(picture)
    metrics = {role: fitted.metrics for role, fitted in models.items()}
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1))
    if result.primary.shap_summary:
        (folder / "shap_summary.json").write_text(json.dumps(result.primary.shap_summary.to_json(), indent=1))


def flat_metrics(result: TrainingResult) -> dict[str, float]:
    """Figures by name such as `test_roc_auc`, `fold_1_roc_auc` and `baseline_test_roc_auc`; unknown ones left out."""
    return _of_model(result.primary, "") | _of_model(result.baseline, "baseline_")


def _of_model(fitted: FittedModel, prefix: str) -> dict[str, float]:
    sides = {side: figures for side, figures in fitted.metrics.items() if side != "folds"}
    sides |= {f"fold_{at}": figures for at, figures in enumerate(fitted.metrics["folds"], start=1)}
    return {
        f"{prefix}{side}_{name}": float(value)
        for side, figures in sides.items()
        for name, value in figures.items()
        if value is not None
    }


def tracked_trials(searched: Searched | None) -> tuple[TrackedTrial, ...]:
    """The trials of a search, as MLflow is to know them."""
    return tuple(_tracked(trial, is_best=trial is searched.best) for trial in searched.trials) if searched else ()


def _tracked(trial: Trial, *, is_best: bool) -> TrackedTrial:
    figures = {"log_loss": trial.log_loss, "n_rounds": trial.n_rounds, "seconds": trial.seconds}
    figures |= {f"fold_{at}_log_loss": loss for at, loss in enumerate(trial.fold_losses, start=1)}
    return TrackedTrial(
        number=trial.number,
        state=trial.state.value,
        is_best=is_best,
        params={name: str(value) for name, value in trial.params.items()},
        metrics={name: float(value) for name, value in figures.items() if value is not None},
        error=trial.error,
    )


def flat_params(model: ModelConfig, training: TrainingConfig, result: TrainingResult) -> dict[str, str]:
    """The effective parameters and configs as text."""
    params = {
        "model_type": model.model_type.value,
        "seed": model.seed,
        "n_rounds": result.primary.n_rounds,
        "n_folds": training.n_folds,
        "split": training.split,
        "training_data_hash": result.training_data_hash,
    }
    return {name: str(value) for name, value in {**result.primary.bundle.params, **params}.items()}
