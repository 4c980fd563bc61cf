"""What a verdict proposes where the baseline is as good."""

from typing import Any

from sqlalchemy import select, update

from app.container import Services
from app.tables import Dataset, Promotion, TrainedModel, Training, Version
from tests.registry_rows import add_dataset, add_training, add_verdict, add_version

AS_GOOD: dict[str, Any] = {"sentences": [], "checks": [], "deciding_check": "improvement", "insufficient": []}
AS_GOOD |= {"power": {}, "baseline_as_good": True, "rows": {}}


async def register_baseline(services: Services, dataset: Dataset) -> int:
    """The baseline of a training of its own, as a version."""
    async with services.sessions.begin() as session:
        training = await add_training(session, dataset)
        baseline = select(TrainedModel.id).where(TrainedModel.training_id == training.id)
        trained = (await session.scalars(baseline.where(TrainedModel.role == "baseline"))).one()
        version = Version(dataset_id=dataset.id, trained_model_id=trained, mlflow_name="m", registered_by="t")
        session.add(version)
        await session.flush()
        return version.version


async def same_baseline(services: Services, version: int, other: int) -> None:
    """Let the baseline beside a version have the bytes of another version."""
    async with services.sessions.begin() as session:
        bytes_of = select(TrainedModel.bundle_sha256).join(Version).where(Version.version == other)
        training = select(TrainedModel.training_id).join(Version).where(Version.version == version)
        beside = update(TrainedModel).where(TrainedModel.training_id == training.scalar_subquery())
        beside = beside.where(TrainedModel.role == "baseline")
        await session.execute(beside.values(bundle_sha256=(await session.scalars(bytes_of)).one()))


async def proposed(services: Services, version: int, champion: int | None = None) -> list[str]:
    async with services.sessions.begin() as session:
        await add_verdict(session, version, champion, recommendation="hold", judgement=AS_GOOD)
    return (await services.evaluation.latest(str(version), None)).next


async def test_a_baseline_that_is_no_version_is_to_be_registered(services: Services, dataset: Dataset) -> None:
    async with services.sessions.begin() as session:
        version = await add_version(session, dataset)
        job = await session.scalar(select(Training.job_id))
    assert await proposed(services, version) == [f'POST /models {{"job_id": {job}, "model": "baseline"}}']


async def test_a_baseline_of_the_same_bytes_as_a_version_is_to_be_judged(services: Services, dataset: Dataset) -> None:
    earlier = await register_baseline(services, dataset)
    async with services.sessions.begin() as session:
        version = await add_version(session, dataset)
    await same_baseline(services, version, earlier)
    assert await proposed(services, version) == [f"POST /models/{earlier}/evaluate"]


async def test_a_baseline_that_is_the_champion_already_needs_nothing(services: Services, dataset: Dataset) -> None:
    champion = await register_baseline(services, dataset)
    newer = await register_baseline(services, dataset)
    async with services.sessions.begin() as session:
        version = await add_version(session, dataset)
        session.add(
            Promotion(dataset_id=dataset.id, stage="Production", action="promote", to_version=champion, actor="t")
        )
    await same_baseline(services, version, champion)
    async with services.sessions.begin() as session:
        trained = select(TrainedModel.bundle_sha256).join(Version).where(Version.version == champion)
        newest = select(Version.trained_model_id).where(Version.version == newer).scalar_subquery()
        sha256 = (await session.scalars(trained)).one()
        await session.execute(update(TrainedModel).where(TrainedModel.id == newest).values(bundle_sha256=sha256))
    assert await proposed(services, version, champion) == []


async def test_the_bytes_of_another_dataset_are_no_version_of_this_one(services: Services, dataset: Dataset) -> None:
    async with services.sessions.begin() as session:
        others = await add_dataset(session, "others")
        version = await add_version(session, dataset)
    await same_baseline(services, version, await register_baseline(services, others))
    assert "baseline" in (await proposed(services, version))[0]
