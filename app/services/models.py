"""The registry of versions: history, details, and how a finished training becomes one."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions
from app.errors import Conflict, InvalidRequest, NotFound, NothingInProduction, NothingInStaging, NothingRegistered
from app.schemas.common import Page, decode_cursor, page_of
from app.schemas.models import RegisteredOut, RegisterIn, VersionDetailOut, VersionOut
from app.services.aliases import MIRROR
from app.services.datasets import Datasets
from app.services.jobs import Jobs
from app.services.ledger import find_challenger, find_champion
from app.services.registration import register_model
from app.services.version_rows import Query, VersionRow, read_standing, select_versions, version_detail, version_out
from app.tables import Dataset, Job, TrainedModel, Training, Version


class Models:
    """Knows every version; promotions and evaluations have services of their own."""

    def __init__(self, sessions: Sessions, *, datasets: Datasets, jobs: Jobs) -> None:
        self._sessions = sessions
        self._datasets = datasets
        self._jobs = jobs

    async def resolve(self, session: AsyncSession, version: str, *, dataset: str | None) -> tuple[Dataset, Version]:
        """The version that a request means, and its dataset.

        A number alone says its dataset; champion, challenger and latest are those of a dataset, which must be named
        or be the only one.

        Raises
        ------
        HoldfastError
            where there is no such dataset or version, nothing is registered, or nothing is in that stage.

        """
        if version.isdecimal():
            named = await self._datasets.resolve(session, dataset) if dataset else None
            found = await _get_number(session, int(version), named)
            return await session.get_one(Dataset, found.dataset_id), found
        named = await self._datasets.resolve(session, dataset)
        return named, await _get_named(session, version, named)

    async def register(self, body: RegisterIn, *, actor: str) -> RegisteredOut:
        """Make a trained model a version, and queue the job that tells MLflow; asked again, it is the same version."""
        async with self._sessions.begin() as session:
            trained, dataset = await _get_trained(session, body)
            version, created = await register_model(
                session, trained, dataset, description=body.description, actor=actor
            )
            if created:
                await self._jobs.add(session, MIRROR, {}, dataset_id=dataset.id, actor=actor)
        shown = await self._show(version.version)
        steps = [f"POST /models/{version.version}/evaluate"]
        return RegisteredOut(**shown.model_dump(), created=created, next=steps)

    async def get(self, name: str, dataset_name: str | None) -> VersionDetailOut:
        """Everything about one version."""
        async with self._sessions() as session:
            row = await self.get_row(session, name, dataset_name)
            standing = await read_standing(session, [row])
        return version_detail(row, standing)

    async def get_row(self, session: AsyncSession, name: str, dataset_name: str | None) -> VersionRow:
        """A version with what it was made of, by number or stage."""
        _, version = await self.resolve(session, name, dataset=dataset_name)
        rows = await _rows(session, select_versions().where(Version.version == version.version))
        return rows[0]

    async def list_models(self, *, dataset: str | None, limit: int, cursor: str | None) -> Page[VersionOut]:
        """The history, newest first."""
        query = select_versions().order_by(Version.version.desc()).limit(limit + 1)
        if position := decode_cursor(cursor, int):
            query = query.where(Version.version < position[0])
        async with self._sessions() as session:
            if dataset:
                query = query.where(Version.dataset_id == (await self._datasets.resolve(session, dataset)).id)
            rows = await _rows(session, query)
            standing = await read_standing(session, rows)
        return page_of([version_out(row, standing) for row in rows], limit, lambda last: last.version)

    async def _show(self, number: int) -> VersionOut:
        async with self._sessions() as session:
            rows = await _rows(session, select_versions().where(Version.version == number))
            return version_out(rows[0], await read_standing(session, rows))


async def _rows(session: AsyncSession, query: Query) -> Sequence[VersionRow]:
    return [VersionRow(*row) for row in (await session.execute(query))]


async def _get_named(session: AsyncSession, name: str, dataset: Dataset) -> Version:
    """The dataset's champion, challenger or latest version."""
    newest = select(Version).where(Version.dataset_id == dataset.id).order_by(Version.version.desc()).limit(1)
    latest = (await session.execute(newest)).scalar_one_or_none()
    if latest is None:
        raise NothingRegistered(f"The dataset {dataset.name} has no version yet.")
    if name == "latest":
        return latest
    if name not in {"champion", "challenger"}:
        raise NotFound(f"No version is called {name!r}: give its number, or champion, challenger or latest.")
    find = find_champion if name == "champion" else find_challenger
    entry = await find(session, dataset.id)
    if entry is None:
        raise _no_entry(name, dataset, latest)
    return await session.get_one(Version, entry.to_version)


async def _get_number(session: AsyncSession, number: int, dataset: Dataset | None) -> Version:
    version = await session.get(Version, number)
    if version is None or (dataset and version.dataset_id != dataset.id):
        where = f" of dataset {dataset.name}" if dataset else ""
        raise NotFound(f"There is no version {number}{where}.", hint="GET /models lists the versions there are.")
    return version


def _no_entry(name: str, dataset: Dataset, latest: Version) -> NothingInProduction | NothingInStaging:
    if name == "challenger":
        hint = f'Put a version in Staging: POST /models/{latest.version}/promote {{"stage": "Staging"}}.'
        return NothingInStaging(f"The dataset {dataset.name} has no version in Staging.", hint=hint)
    hint = (
        f"Have the gate judge a version and promote it: POST /models/{latest.version}/evaluate, then "
        f"POST /models/{latest.version}/promote (`holdfast evaluate`, `holdfast promote`)."
    )
    return NothingInProduction(f"The dataset {dataset.name} has no version in Production.", hint=hint)


async def _get_trained(session: AsyncSession, body: RegisterIn) -> tuple[TrainedModel, Dataset]:
    """The model a finished training made."""
    query = select(TrainedModel, Dataset).join(Training, Training.id == TrainedModel.training_id)
    query = query.join(Dataset, Dataset.id == Training.dataset_id)
    query = query.where(Training.job_id == body.job_id, TrainedModel.role == body.model)
    found = (await session.execute(query)).one_or_none()
    if found:
        return found
    job = await session.get(Job, body.job_id)
    if job is None:
        raise NotFound(f"There is no job {body.job_id}.", hint="GET /jobs?kind=train lists the trainings.")
    if job.kind != "train":
        raise InvalidRequest(f"Job {job.id} is of kind {job.kind}; only a training makes models.")
    hint = f"Wait for it: GET /jobs/{job.id}?wait=30." if job.status in ("queued", "running") else "Train again."
    raise Conflict(f"Job {job.id} has made no models: it is {job.status}.", hint=hint)
