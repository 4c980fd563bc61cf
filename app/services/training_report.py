"""What is stored and told of a training: its hashes, the report of each model, the result of the job."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.ml.checks.improvement import AS_GOOD_MARGIN
from app.ml.frame import Feature, Floats
from app.ml.kinds.models import ModelKind
from app.ml.kinds.params import asked_params
from app.ml.metrics import over_folds
from app.ml.trainer import FittedModel, TrainingResult
from app.ml.trials import Searched
from app.schemas.config import ModelConfig, ModelType, TrainingConfig
from app.tables import Dataset, Revision, TrainedModel, Training, Version

ROLES = ("primary", "baseline")
_TOLD = (
    *("metrics", "mean_fold_roc_auc", "sd_fold_roc_auc", "n_rounds", "parameters", "importances", "shap"),
    *("tiers", "tier_warnings", "calibrator", "development_churn_rate", "training_data_hash"),
)
_TOLD_SINCE: Mapping[str, Any] = {
    **dict.fromkeys(("cross_validation", "rolling_origins", "intervals", "calibration", "baselines", "kind_choice")),
    "components": [],
    "losses_by_c": {},
}


def told_since(report: Mapping[str, Any]) -> dict[str, Any]:
    """What reports of earlier releases lack, empty there."""
    return {name: report.get(name, empty) for name, empty in _TOLD_SINCE.items()}


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def recipe_hash(
    asked: str,
    model: ModelConfig,
    training: TrainingConfig,
    split: str,
    dataset: Dataset,
    *,
    searched: Searched | None = None,
) -> str:
    """Of what makes two trainings the same recipe: not seed, experiment, tags or SHAP.

    It tells of what was `asked` for, a kind of model with all parameters its fit may use and the space where they were
    searched for, not of what came of it.
    """
    params = {} if asked == ModelKind.BASE_RATE else asked_params(model, ModelType(asked))
    label: tuple[Any, ...] = (dataset.label_column, dataset.positive_value)
    label += (dataset.horizon_days, dataset.lead_days, dataset.grace_days)
    label += (dataset.spec["active"],) if dataset.kind == "events" and dataset.spec else ()
    space = [searched.space_json] if searched else []
    return _hash([asked, params, split, training.n_folds, label, *space])


def label_words(dataset: Dataset) -> str:
    """Who counts as churned, in a sentence."""
    if dataset.kind == "events":
        told = "An account counts as churned where it has no subscription, or without contracts no event,"
    else:
        told = f"An account counts as churned where `{dataset.label_column}` is `{dataset.positive_value}`"
    if dataset.horizon_days is None:
        return f"{told}; the data say nothing of when."
    lead = f" that begin {dataset.lead_days} days after the instant" if dataset.lead_days else " after the instant"
    grace = f", with {dataset.grace_days} days of grace" if dataset.grace_days else ""
    return f"{told} within the {dataset.horizon_days} days{lead}{grace}."


def features_hash(features: Sequence[Feature]) -> str:
    """Of names and kinds, in order."""
    return _hash([[feature.name, feature.kind.value] for feature in features])


def score_bytes(scores: Floats) -> bytes:
    """Sorted, as little-endian float32: how the reference scores of a model are stored."""
    return np.sort(scores).astype("<f4").tobytes()


def model_reports(result: TrainingResult, features: Sequence[Feature]) -> dict[str, dict[str, Any]]:
    """The report of the model, with the search that found its parameters, and that of its baseline."""
    reports = {role: model_report(getattr(result, role), features) for role in ROLES}
    if result.search:
        reports["primary"]["search"] = result.search.to_json()
    return reports


def model_report(fitted: FittedModel, features: Sequence[Feature]) -> dict[str, Any]:
    """Everything told of a model, as JSON."""
    bundle = fitted.bundle
    used = set(bundle.encoder.names)
    folds = over_folds(fitted.metrics["folds"])
    return {
        "parameters": dict(bundle.params),
        "features": [{"name": each.name, "kind": each.kind.value, "used": each.name in used} for each in features],
        "metrics": fitted.metrics,
        "mean_fold_roc_auc": folds["mean"]["roc_auc"],
        "sd_fold_roc_auc": folds["sd"]["roc_auc"],
        "cross_validation": folds,
        "rolling_origins": fitted.origins.to_json() if fitted.origins else None,
        "intervals": fitted.intervals,
        "calibration": fitted.calibration,
        "baselines": list(fitted.baselines),
        "importances": fitted.importances,
        "fold_importances": fitted.fold_importances.tolist(),
        "feature_names": list(fitted.feature_names),
        "shap": fitted.shap_summary.to_json() if fitted.shap_summary else None,
        "n_rounds": fitted.n_rounds,
        "components": list(fitted.components),
        "kind_choice": fitted.kind_choice.to_json() if fitted.kind_choice else None,
        "calibrator": {**bundle.calibrator.to_json(), "losses": fitted.calibrator_losses},
        "losses_by_c": fitted.losses_by_c,
        "tiers": [row.to_json() for row in fitted.tiers],
        "tier_warnings": [warning.to_json() for warning in fitted.tier_warnings],
        "development_churn_rate": bundle.development_churn_rate,
        "libraries": dict(bundle.libraries),
        "training_data_hash": bundle.training_data_hash,
    }


async def training_summary(session: AsyncSession, training_id: int) -> dict[str, Any]:
    """The result of a training's job: figures of both models, and what to call next."""
    training = await session.get_one(Training, training_id)
    revision = await session.get_one(Revision, training.revision_id)
    models = (await session.scalars(select(TrainedModel).where(TrainedModel.training_id == training_id))).all()
    by_role = {trained.role: trained for trained in models}
    versions = select(Version.version).where(Version.trained_model_id == by_role["primary"].id)
    version = await session.scalar(versions)
    return {
        "training_id": training.id,
        "job_id": training.job_id,
        "revision": revision.number,
        "split": training.split,
        "config": training.config,
        "leaks": training.leaks,
        "mlflow_run": training.mlflow_run,
        "experiment": training.experiment,
        "warnings": training.warnings,
        **{role: _model_summary(trained) for role, trained in by_role.items()},
        "search": by_role["primary"].report.get("search"),
        "version": version,
        **_advice(training.job_id, by_role, version),
    }


def _model_summary(trained: TrainedModel) -> dict[str, Any]:
    return {
        "model_type": trained.model_type,
        "bundle_sha256": trained.bundle_sha256,
        **{name: trained.report[name] for name in _TOLD},
        **told_since(trained.report),
    }


def _advice(job_id: int, by_role: dict[str, TrainedModel], version: int | None) -> dict[str, Any]:
    """How the model compares with its baseline, in words, and the calls to make next."""
    primary, baseline = (by_role[role].report["metrics"]["test"]["roc_auc"] for role in ("primary", "baseline"))
    names = {role: trained.model_type for role, trained in by_role.items()}
    gain = primary - baseline
    as_good = names["baseline"] != "base_rate" and _baseline_as_good(by_role["primary"].report, gain)
    register = f'POST /models {{"job_id": {job_id}, "model": "primary"}}'
    steps = [f"POST /models/{version}/evaluate" if version else register]
    if as_good:
        steps.append(f'POST /models {{"job_id": {job_id}, "model": "baseline"}}')
    words = f"On the test side {names['primary']} has AUC {primary:.3f}, {names['baseline']} {baseline:.3f}"
    words += f" ({gain:+.3f})."
    if as_good:
        words += f" The baseline is as good, and simpler: register it with {steps[-1]}."
    words += "".join(f" {sentence}" for sentence in _humbling(by_role["primary"].report))
    return {"improvement_over_baseline": gain, "baseline_as_good": as_good, "summary": words, "next": steps}


def _baseline_as_good(report: Mapping[str, Any], gain: float) -> bool:
    """As the paired comparison of the report says; by the figure alone where an old one lacks it."""
    paired = [each["as_good"] for each in report.get("baselines") or () if each["name"] == "logistic"]
    return bool(paired[0]) if paired else gain <= AS_GOOD_MARGIN


def _humbling(report: Mapping[str, Any]) -> list[str]:
    """Sentences on the base rate and the single rule where one of them is as good as the model."""
    others = [each for each in report.get("baselines") or () if each["name"] != "logistic"]
    return [each["sentence"] for each in others if each["as_good"]]
