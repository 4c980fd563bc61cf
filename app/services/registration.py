"""How a trained model becomes a version: once, whoever asks however often."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.tables import Dataset, TrainedModel, Version


def mlflow_name(dataset: Dataset) -> str:
    """The registered model of a dataset in MLflow."""
    return f"holdfast-{dataset.name}"


async def register_model(
    session: AsyncSession, trained: TrainedModel, dataset: Dataset, *, description: str | None, actor: str
) -> tuple[Version, bool]:
    """The model's version, and whether it was made now; the model's row is locked, so no number is used up in vain."""
    await session.execute(select(TrainedModel.id).where(TrainedModel.id == trained.id).with_for_update())
    query = select(Version).where(Version.trained_model_id == trained.id)
    found = (await session.execute(query)).scalar_one_or_none()
    if found:
        return found, False
    version = Version(
        dataset_id=dataset.id,
        trained_model_id=trained.id,
        description=description,
        mlflow_name=mlflow_name(dataset),
        registered_by=actor,
    )
    session.add(version)
    await session.flush()
    await session.refresh(version)
    return version, True
