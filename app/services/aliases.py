"""The copy of versions and stages that MLflow shows: made by a job, and healed when the service starts."""

import asyncio
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions
from app.registry import ModelCopy, Registry
from app.services.jobs import JobContext, Jobs
from app.services.ledger import find_challenger, find_champion
from app.tables import Job, Promotion, TrainedModel, Training, Version

MIRROR = "mirror_aliases"


@dataclass(frozen=True)
class Stages:
    """The versions of a dataset that have an alias."""

    champion: int | None
    challenger: int | None


class AliasMirror:
    """Copies what the ledger says to MLflow; running it twice is harmless."""

    def __init__(self, sessions: Sessions, *, registry: Registry, jobs: Jobs) -> None:
        self._sessions = sessions
        self._registry = registry
        self._jobs = jobs

    async def run(self, context: JobContext) -> dict[str, Any]:
        """Copy until the ledger has not moved on meanwhile, so that of two copies at once the last tells the truth."""
        await context.step("mirror", 0.1)
        if context.dataset_id is None:
            raise ValueError("a mirror job needs a dataset")
        while True:
            async with self._sessions() as session:
                stages = await _read_stages(session, context.dataset_id)
                copies = await _read_copies(session, context.dataset_id, stages)
            numbers = {each.version: await self.copy_version(context, each) for each in copies}
            if copies:
                aliases = {name: numbers.get(version) for name, version in vars(stages).items() if version is not None}
                absent = {name: None for name, version in vars(stages).items() if version is None}
                await asyncio.to_thread(self._registry.set_aliases, copies[0].name, aliases | absent)
            async with self._sessions() as session:
                if await _read_stages(session, context.dataset_id) == stages:
                    return {"champion": stages.champion, "challenger": stages.challenger, "n_copied": len(copies)}

    async def copy_version(self, context: JobContext, copy: ModelCopy) -> str:
        """MLflow's number of a version, found or made, and stored beside ours."""
        number = await asyncio.to_thread(self._registry.copy_version, copy)
        async with self._sessions.begin() as session:
            await context.guard(session)
            await session.execute(update(Version).where(Version.version == copy.version).values(mlflow_version=number))
        return number

    async def heal(self) -> None:
        """Queue a copy for each dataset whose stages MLflow's tables tell otherwise."""
        async with self._sessions.begin() as session:
            for dataset_id in await _find_unequal(session):
                await self._jobs.add(session, MIRROR, {}, dataset_id=dataset_id, actor="holdfast")


async def _find_unequal(session: AsyncSession) -> list[int]:
    """Of the datasets for which no copy is waiting."""
    waiting = select(Job.dataset_id).where(Job.kind == MIRROR, Job.status.in_(["queued", "running"]))
    query = select(Promotion.dataset_id).where(Promotion.dataset_id.not_in(waiting)).distinct()
    told = await _told_aliases(session)
    return [each for each in (await session.execute(query)).scalars() if not await _is_told(session, each, told)]


async def _read_stages(session: AsyncSession, dataset_id: int) -> Stages:
    champion = await find_champion(session, dataset_id)
    challenger = await find_challenger(session, dataset_id)
    return Stages(champion.to_version if champion else None, challenger.to_version if challenger else None)


async def _read_copies(session: AsyncSession, dataset_id: int, stages: Stages) -> list[ModelCopy]:
    """The versions in a stage, which MLflow may have lost, and those it was never told of."""
    query = select(Version, TrainedModel.role, Training.mlflow_run).select_from(Version)
    query = query.join(TrainedModel).join(Training).where(Version.dataset_id == dataset_id)
    wanted = or_(Version.mlflow_version.is_(None), Version.version.in_([stages.champion, stages.challenger]))
    query = query.where(wanted, Training.mlflow_run.is_not(None)).order_by(Version.version)
    return [model_copy(*row) for row in (await session.execute(query))]


def model_copy(version: Version, role: str, mlflow_run: str | None) -> ModelCopy:
    """A version as MLflow is to know it."""
    return ModelCopy(version.mlflow_name, version.version, mlflow_run or "", role, version.description or "")


async def _told_aliases(session: AsyncSession) -> set[tuple[str, str, str]]:
    """Name, alias and MLflow's number as its tables have them: read directly, for importing MLflow takes seconds."""
    exists = "SELECT to_regclass('mlflow.registered_model_aliases') IS NOT NULL"
    if not (await session.execute(text(exists))).scalar_one():
        return set()
    query = text("SELECT name, alias, CAST(version AS text) FROM mlflow.registered_model_aliases")
    return {(name, alias, number) for name, alias, number in await session.execute(query)}


async def _is_told(session: AsyncSession, dataset_id: int, told: set[tuple[str, str, str]]) -> bool:
    for alias, number in vars(await _read_stages(session, dataset_id)).items():
        version = await session.get(Version, number) if number is not None else None
        if version and (version.mlflow_name, alias, version.mlflow_version or "") not in told:
            return False
    return True
