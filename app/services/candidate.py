"""The version to judge: what it was trained beside, and what is in Production."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from app.ml.instants import Knowledge
from app.services.ledger import find_champion
from app.tables import Dataset, Promotion, Revision, TrainedModel, Training, Version


@dataclass(frozen=True)
class Candidate:
    """The version to judge, with what it was trained beside and what is in Production."""

    version: Version
    trained: TrainedModel
    sibling: TrainedModel
    training: Training
    dataset: Dataset
    revision: Revision
    champion: Promotion | None
    champion_model: TrainedModel | None
    champion_training: Training | None

    @property
    def is_baseline(self) -> bool:
        """It is what others are measured by: logistic regression, or the base rate."""
        return self.trained.role == "baseline" or self.sibling.model_type == "base_rate"

    @property
    def same_recipe(self) -> bool:
        """Recipe and features are those of the champion."""
        if self.champion_model is None or self.champion_training is None:
            return False
        return (self.trained.recipe_hash, self.training.features_hash) == (
            self.champion_model.recipe_hash,
            self.champion_training.features_hash,
        )


async def read_candidate(session: AsyncSession, number: int, revision_id: int) -> Candidate:
    """Everything the ledger and the registry say about a version now."""
    version = await session.get_one(Version, number)
    trained = await session.get_one(
        TrainedModel, version.trained_model_id, options=[undefer(TrainedModel.reference_scores)]
    )
    training = await session.get_one(Training, trained.training_id)
    others = select(TrainedModel).where(TrainedModel.training_id == training.id, TrainedModel.id != trained.id)
    champion = await find_champion(session, version.dataset_id)
    model, model_training = await read_made_by(session, champion.to_version) if champion else (None, None)
    return Candidate(
        version=version,
        trained=trained,
        sibling=(await session.execute(others)).scalar_one(),
        training=training,
        dataset=await session.get_one(Dataset, version.dataset_id),
        revision=await session.get_one(Revision, revision_id),
        champion=champion,
        champion_model=model,
        champion_training=model_training,
    )


async def read_made_by(session: AsyncSession, number: int) -> tuple[TrainedModel, Training]:
    """The model of a version, and the training that made it."""
    query = select(TrainedModel, Training).join(Training, Training.id == TrainedModel.training_id)
    query = query.join(Version, Version.trained_model_id == TrainedModel.id).where(Version.version == number)
    return (await session.execute(query)).one()


def knowledge_of(training: Training) -> Knowledge:
    """What went into the versions of a training."""
    return Knowledge(training.information_end, by_account=training.split["kind"] == "random")
