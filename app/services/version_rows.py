"""Versions as they are shown: their rows joined, and where each stands now."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from app.ml.kinds.models import ModelKind, explanations_of
from app.schemas.models import StagePeriodOut, VerdictOut, VersionDetailOut, VersionOut
from app.schemas.promotions import Stage
from app.services.ledger import find_vacated
from app.services.stage_periods import read_periods
from app.services.training_report import told_since
from app.tables import Dataset, Evaluation, Promotion, Revision, TrainedModel, Training, Version

Query = Select[Version, Dataset, TrainedModel, Training, Revision]
_TOLD = (
    *("parameters", "features", "metrics", "importances", "shap", "n_rounds", "calibrator", "tiers"),
    *("tier_warnings", "development_churn_rate", "libraries", "training_data_hash"),
)


class VersionRow(NamedTuple):
    """A version with what it was made of."""

    version: Version
    dataset: Dataset
    trained: TrainedModel
    training: Training
    revision: Revision


@dataclass(frozen=True)
class Standing:
    """The heads of the ledger that still hold, by dataset and stage, and the newest verdict by version."""

    heads: dict[tuple[int, str], Promotion]
    verdicts: dict[int, Evaluation]
    periods: dict[int, list[StagePeriodOut]]

    def stage(self, version: Version) -> Stage | None:
        """The champion is in Production; what is newest in Staging is there unless it is the champion."""
        stages: tuple[Stage, ...] = ("Production", "Staging")
        for stage in stages:
            head = self.heads.get((version.dataset_id, stage))
            if head and head.to_version == version.version:
                return stage
        return None

    def is_provisional(self, version: Version) -> bool:
        """In Production on a provisional verdict."""
        head = self.heads.get((version.dataset_id, "Production"))
        return head is not None and head.to_version == version.version and head.provisional

    def confirmed(self, version: Version) -> bool | None:
        """What came of a provisional promotion: the newest verdict since, where that is no longer provisional."""
        head, verdict = self.heads.get((version.dataset_id, "Production")), self.verdicts.get(version.version)
        if head is None or verdict is None or not self.is_provisional(version):
            return None
        is_later = verdict.id > (head.evaluation_id or 0)
        return verdict.recommendation == "promote" if is_later and not verdict.provisional else None


def select_versions() -> Query:
    """Rows of `VersionRow`."""
    query = select(Version, Dataset, TrainedModel, Training, Revision).select_from(Version)
    query = query.join(Dataset, Dataset.id == Version.dataset_id)
    query = query.join(TrainedModel, TrainedModel.id == Version.trained_model_id)
    query = query.join(Training, Training.id == TrainedModel.training_id)
    return query.join(Revision, Revision.id == Training.revision_id)


async def read_standing(session: AsyncSession, rows: Sequence[VersionRow]) -> Standing:
    """Where these versions stand and have stood, in a few queries however many they are."""
    datasets = {row.dataset.id for row in rows}
    heads = (
        select(Promotion)
        .where(Promotion.dataset_id.in_(datasets))
        .ext(distinct_on(Promotion.dataset_id, Promotion.stage))
    )
    heads = heads.order_by(Promotion.dataset_id, Promotion.stage, Promotion.id.desc())
    verdicts = select(Evaluation).where(Evaluation.version.in_([row.version.version for row in rows]))
    verdicts = verdicts.where(Evaluation.advisory.is_(False)).ext(distinct_on(Evaluation.version))
    verdicts = verdicts.order_by(Evaluation.version, Evaluation.id.desc())
    entries = (await session.scalars(heads)).all()
    vacated = await find_vacated(session, [entry.id for entry in entries if entry.stage == "Staging"])
    return Standing(
        {(entry.dataset_id, entry.stage): entry for entry in entries if entry.id not in vacated},
        {verdict.version: verdict for verdict in (await session.execute(verdicts)).scalars()},
        await read_periods(session, datasets),
    )


def version_out(row: VersionRow, standing: Standing) -> VersionOut:
    """A line of the history."""
    return VersionOut(**_summary(row, standing))


def _summary(row: VersionRow, standing: Standing) -> dict[str, Any]:
    version, metrics = row.version, row.trained.report["metrics"]
    verdict = standing.verdicts.get(version.version)
    return {
        "version": version.version,
        "dataset": row.dataset.name,
        "stage": standing.stage(version),
        "provisional": standing.is_provisional(version),
        "confirmed": standing.confirmed(version),
        "model_type": row.trained.model_type,
        "explanations": explanations_of(ModelKind(row.trained.model_type)),
        "role": row.trained.role,
        "description": version.description,
        "verdict": verdict and _verdict_out(verdict),
        "test_roc_auc": metrics["test"]["roc_auc"],
        "test_pr_auc": metrics["test"]["pr_auc"],
        "validation_roc_auc": metrics["validation"]["roc_auc"],
        "mean_fold_roc_auc": row.trained.report["mean_fold_roc_auc"],
        "revision": row.revision.number,
        "job_id": row.training.job_id,
        "experiment": row.training.experiment,
        "mlflow_run": row.training.mlflow_run,
        "mlflow_name": version.mlflow_name,
        "mlflow_version": version.mlflow_version,
        "bundle_sha256": row.trained.bundle_sha256,
        "registered_at": version.registered_at,
        "registered_by": version.registered_by,
        "stages": standing.periods.get(version.version, []),
    }


def _verdict_out(verdict: Evaluation) -> VerdictOut:
    auc = next((check for check in verdict.judgement["checks"] if check["name"] == "thresholds"), None)
    return VerdictOut(
        evaluation_id=verdict.id,
        recommendation=verdict.recommendation,
        provisional=verdict.provisional,
        rule=verdict.rule,
        champion_version=verdict.champion_version,
        roc_auc=auc["estimate"] if auc else None,
        roc_auc_interval=auc["interval"] if auc else None,
        created_at=verdict.created_at,
    )


def version_detail(row: VersionRow, standing: Standing) -> VersionDetailOut:
    """Everything about a version."""
    report, training = row.trained.report, row.training
    return VersionDetailOut(
        **_summary(row, standing),
        **{name: report[name] for name in _TOLD},
        **told_since(report),
        search=report.get("search"),  # only where there was one
        config=training.config,
        split=training.split,
        warnings=training.warnings,
        recipe_hash=row.trained.recipe_hash,
        features_hash=training.features_hash,
        data_hash=training.data_hash,
    )
