"""Which published batch run is meant: by its id, the newest of a version, the current one of a dataset."""

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import NotFound
from app.tables import Dataset, ScoringRun, Version


async def get_published(
    session: AsyncSession, run_id: int, *, dataset: Dataset | None = None, version: Version | None = None
) -> ScoringRun:
    """The published batch run of this id, where it is one of the dataset and version."""
    query = _published().where(ScoringRun.id == run_id)
    if dataset is not None:
        query = query.where(ScoringRun.dataset_id == dataset.id)
    if version is not None:
        query = query.where(ScoringRun.version == version.version)
    run = (await session.scalars(query)).one_or_none()
    if run is None:
        whose = [f" of version {version.version}" if version else "", f" of {dataset.name}" if dataset else ""]
        detail = f"There is no published scoring run {run_id}{''.join(whose)}."
        raise NotFound(detail, hint="GET /score/batches lists the runs.")
    return run


async def find_newest_run(session: AsyncSession, dataset_id: int, version: int) -> ScoringRun | None:
    """The newest one of a version."""
    query = _newest_first(dataset_id).where(ScoringRun.version == version).limit(1)
    return (await session.scalars(query)).first()


async def find_current_run(session: AsyncSession, dataset_id: int) -> ScoringRun | None:
    """The newest one whose version was the champion as it was published."""
    query = _newest_first(dataset_id).where(ScoringRun.current).limit(1)
    return (await session.scalars(query)).first()


async def list_runs_up_to(session: AsyncSession, run: ScoringRun, *, limit: int) -> list[ScoringRun]:
    """The run itself, then those of its version before it, newest first."""
    query = _newest_first(run.dataset_id).where(
        ScoringRun.version == run.version, ScoringRun.published_at <= run.published_at
    )
    return list(await session.scalars(query.limit(limit)))


def _newest_first(dataset_id: int) -> Select[ScoringRun]:
    query = _published().where(ScoringRun.dataset_id == dataset_id)
    return query.order_by(ScoringRun.published_at.desc(), ScoringRun.id.desc())


def _published() -> Select[ScoringRun]:
    return select(ScoringRun).where(ScoringRun.kind == "batch", ScoringRun.published_at.is_not(None))
