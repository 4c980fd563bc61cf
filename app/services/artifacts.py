"""What a training leaves in MLflow for people: a folder of figures, pictures and bundles, and its flat numbers."""

import csv
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.ml.frame import Floats
from app.ml.model_card import model_card
from app.ml.plots import draw_comparison, draw_model
from app.ml.trainer import FittedModel, TrainingResult
from app.ml.trials import Searched, Trial
from app.registry import TrackedTrial
from app.schemas.config import ModelConfig, TrainingConfig

BUNDLE_FILE = "bundle.zip"
_CALIBRATION = ("slope", "intercept", "mean_error", "brier", "brier_skill")


def write_artifacts(
    folder: Path, result: TrainingResult, reports: Mapping[str, Mapping[str, Any]], y: Floats, about: Mapping[str, Any]
) -> None:
    """Fill an empty folder: per role bundle, report, card, importances and pictures; and pictures of how both rank.

    Pictures are of the test side. `y` has the labels of the test side, `about` what a card says of the training.
    """
    models = {"primary": result.primary, "baseline": result.baseline}
    for role, fitted in models.items():
        (folder / role).mkdir(parents=True)
        (folder / role / BUNDLE_FILE).write_bytes(fitted.bundle.to_bytes())
        _write_json(folder / role / "report.json", reports[role])
        card = model_card({**about, "role": role, "model_type": fitted.bundle.kind.value}, reports[role])
        (folder / role / "model_card.md").write_text(card, encoding="utf-8")
        _write_importances(folder / role, fitted.importances)
        test = fitted.calibration.get("test")
        pictures = draw_model(y, fitted.test_probabilities, fitted.importances, fitted.shap_summary, test)
        _write_pictures(folder / "plots" / role, pictures)
    named = {
        result.primary.bundle.kind.value: result.primary.test_probabilities,
        f"baseline, {result.baseline.bundle.kind.value}": result.baseline.test_probabilities,
    }
    _write_pictures(folder / "plots", draw_comparison(y, named))
    _write_json(folder / "metrics.json", {role: fitted.metrics for role, fitted in models.items()})
    if result.primary.shap_summary:
        _write_json(folder / "shap_summary.json", result.primary.shap_summary.to_json())


def _write_pictures(folder: Path, pictures: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        (folder / name).write_bytes(picture)


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1))


def _write_importances(folder: Path, importances: Mapping[str, float]) -> None:
    """Largest first, for programs and for spreadsheets."""
    _write_json(folder / "importances.json", importances)
    with (folder / "importances.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("feature", "share"), *importances.items()])


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


def flat_reports(reports: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """What reports tell beside the figures of sides and folds: intervals, spread, calibration, baselines, origins."""
    return _of_report(reports["primary"], "") | _of_report(reports["baseline"], "baseline_")


def _of_report(report: Mapping[str, Any], prefix: str) -> dict[str, float]:
    origins = report["rolling_origins"] or {"origins": []}
    found: dict[str, Any] = {}
    for side, intervals in report["intervals"].items():
        for name, interval in intervals.items():
            found |= dict(zip((f"{side}_{name}_low", f"{side}_{name}_high"), interval or (), strict=False))
    for side, stages in report["calibration"].items():
        for stage, figures in stages.items():
            found |= {f"{side}_{name}_{stage}_calibration": figures[name] for name in _CALIBRATION}
    for part, told in (("folds", report["cross_validation"]), ("origins", origins)):
        found |= {f"{part}_{how}_{name}": each for how in ("mean", "sd") for name, each in told.get(how, {}).items()}
    for at, origin in enumerate(origins["origins"], start=1):
        found |= {f"origin_{at}_{name}": origin[name] for name in ("roc_auc", "log_loss", "mean_error")}
    for each in report["baselines"]:
        found |= {f"against_{each['name']}_auc_gain": each["auc_gain"]}
        found |= {f"{each['name']}_test_{name}": value for name, value in each["metrics"].items()}
    return {f"{prefix}{name}": float(value) for name, value in found.items() if value is not None}


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


def version_tags(result: TrainingResult, code: Mapping[str, str | None]) -> dict[str, str]:
    """Versions of the code, of Python and of the libraries.

    Tags, not parameters: MLflow lets nobody change a parameter, and a later attempt may run on newer code.
    """
    libraries = {**result.baseline.bundle.libraries, **result.primary.bundle.libraries}
    return {
        "holdfast_code": code["version"] or "unknown",
        "holdfast_commit": code["commit"] or "unknown",
        "holdfast_python": platform.python_version(),
        **{f"holdfast_library_{name}": version for name, version in libraries.items()},
    }
