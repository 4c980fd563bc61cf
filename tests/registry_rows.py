"""Versions and verdicts written straight into the tables, for the rules of registry and ledger."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.schemas.config import EvaluationConfig
from app.tables import Bundle, Dataset, Evaluation, Job, Revision, TrainedModel, Training, Version

FIGURES = {"roc_auc": 0.8, "pr_auc": 0.5, "precision": 0.5, "recall": 0.5, "f1": 0.5}
FIGURES |= {"log_loss": 0.4, "brier": 0.1, "calibration_slope": 1.0}


def report(**changes: Any) -> dict[str, Any]:
    """A model's report with all its members."""
    return {
        "parameters": {"max_depth": 6},
        "features": [{"name": "tenure", "kind": "numeric", "used": True}],
        "metrics": {"train": FIGURES, "validation": FIGURES, "test": FIGURES, "folds": [FIGURES]},
        "mean_fold_roc_auc": 0.8,
        "sd_fold_roc_auc": 0.01,
        "importances": {"tenure": 1.0},
        "fold_importances": [[1.0]],
        "feature_names": ["tenure"],
        "shap": None,
        "n_rounds": 28,
        "calibrator": {"kind": "platt", "slope": 1.0, "intercept": 0.0, "losses": {}},
        "tiers": [],
        "tier_warnings": [],
        "development_churn_rate": 0.2,
        "libraries": {},
        "training_data_hash": "d" * 64,
    } | changes


async def add_dataset(session: AsyncSession, name: str = "customers", **changes: Any) -> Dataset:
    """A dataset with one revision."""
    fields = {"kind": "snapshots", "id_column": "id", "label_column": "churned", "positive_value": "yes"}
    dataset = Dataset(**fields | {"name": name, "split_seed": 1, "created_by": "test"} | changes)
    session.add(dataset)
    await session.flush()
    revision = Revision(
        dataset_id=dataset.id,
        number=1,
        data_hash="a" * 64,
        n_rows=100,
        n_accounts=100,
        n_labelled=100,
        n_churned=20,
        columns=[],
        created_by="test",
    )
    session.add(revision)
    await session.flush()
    await session.refresh(dataset)
    return dataset


async def add_job(session: AsyncSession, dataset: Dataset, kind: str, **changes: Any) -> Job:
    """A job that has succeeded; it is in no queue."""
    job = Job(kind=kind, dataset_id=dataset.id, params={}, created_by="test", **{"status": "succeeded"} | changes)
    session.add(job)
    await session.flush()
    return job


async def add_training(session: AsyncSession, dataset: Dataset, *, mlflow_run: str | None = None) -> Training:
    """A finished training with both its models."""
    job = await add_job(session, dataset, "train")
    revision = await _newest_revision(session, dataset)
    training = Training(
        job_id=job.id,
        dataset_id=dataset.id,
        revision_id=revision,
        mlflow_run=mlflow_run,
        experiment=dataset.name,
        config={"model": {"seed": 42}, "training": {"n_folds": 5}},
        split={},
        data_hash="a" * 64,
        features_hash="f" * 64,
        warnings=[],
    )
    session.add(training)
    await session.flush()
    for role, kind in (("primary", "xgboost"), ("baseline", "logistic")):
        sha256 = f"{training.id:032x}{role:>32}".replace(" ", "0")
        session.add(Bundle(sha256=sha256, bytes=b""))
        await session.flush()
        session.add(
            TrainedModel(
                training_id=training.id,
                role=role,
                model_type=kind,
                recipe_hash=kind.ljust(64, "0"),
                bundle_sha256=sha256,
                report=report(),
                reference_scores=b"",
            )
        )
    await session.flush()
    return training


async def _newest_revision(session: AsyncSession, dataset: Dataset) -> int:
    query = select(func.max(Revision.id)).where(Revision.dataset_id == dataset.id)
    return int((await session.execute(query)).scalar_one())


async def add_version(session: AsyncSession, dataset: Dataset, *, mlflow_run: str | None = None) -> int:
    """A registered primary model of a training of its own."""
    training = await add_training(session, dataset, mlflow_run=mlflow_run)
    query = select(TrainedModel.id).where(TrainedModel.training_id == training.id, TrainedModel.role == "primary")
    version = Version(
        dataset_id=dataset.id,
        trained_model_id=(await session.execute(query)).scalar_one(),
        mlflow_name=f"holdfast-{dataset.name}",
        registered_by="test",
    )
    session.add(version)
    await session.flush()
    return version.version


async def add_verdict(session: AsyncSession, number: int, champion: int | None, **changes: Any) -> Evaluation:
    """A verdict of the gate by the policy in force; `promote` unless told otherwise."""
    version = await session.get_one(Version, number)
    trained = await session.get_one(TrainedModel, version.trained_model_id)
    training = await session.get_one(Training, trained.training_id)
    dataset = await session.get_one(Dataset, version.dataset_id)
    fields: dict[str, Any] = {
        "champion_version": champion,
        "config": EvaluationConfig().model_dump(mode="json"),
        "advisory": False,
        "rule": "better" if champion else "first_champion",
        "recommendation": "promote",
        "provisional": False,
        "judgement": {"sentences": ["So it is."], "checks": []},
        "bundle_sha256": trained.bundle_sha256,
    }
    job = await add_job(session, dataset, "evaluate")
    fields |= {"version": number, "revision_id": training.revision_id, "job_id": job.id}
    evaluation = Evaluation(**fields | changes)
    session.add(evaluation)
    await session.flush()
    return evaluation
