"""Reading what was scored: runs, accounts by risk, one account's history."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions
from app.errors import NotFound, NothingScored
from app.ml.kinds.models import ModelKind, explanations_of
from app.schemas.common import Page, decode_cursor, encode_cursor, page_of
from app.schemas.config import ScoringConfig
from app.schemas.scoring import AccountScoresOut, Reason, RunOut, ScoreOut, TierName
from app.services.datasets import Datasets
from app.services.models import Models
from app.services.runs import find_current_run, find_newest_run, get_published
from app.services.score_csv import stream_scores
from app.tables import Dataset, Prediction, Revision, ScoringRun, Version

MAX_RUNS_SEARCHED = 200  # of one dataset, newest first, when an account's history is put together


@dataclass(frozen=True)
class ScoreFilter:
    """Which scores of a dataset are asked for; by default those of its current run."""

    dataset: str | None = None
    tier: TierName | None = None
    min_probability: float | None = None
    run: int | None = None
    version: str | None = None


class Scores:
    """Reads a run's id first, then its rows: a run published in between changes nothing."""

    def __init__(self, sessions: Sessions, datasets: Datasets, models: Models) -> None:
        self._sessions = sessions
        self._datasets = datasets
        self._models = models

    async def list_runs(self, dataset: str | None, *, limit: int, cursor: str | None) -> Page[RunOut]:
        """Batch runs, newest first, those under way included."""
        position = decode_cursor(cursor, int)
        async with self._sessions() as session:
            query = _runs().order_by(ScoringRun.id.desc()).limit(limit + 1)
            if dataset is not None:
                query = query.where(ScoringRun.dataset_id == (await self._datasets.resolve(session, dataset)).id)
            if position:
                query = query.where(ScoringRun.id < position[0])
            found = [_run_out(run, name, number) for run, name, number in await session.execute(query)]
        return page_of(found, limit, lambda last: last.id)

    async def get_run(self, run_id: int) -> RunOut:
        """One batch run."""
        async with self._sessions() as session:
            found = (await session.execute(_runs().where(ScoringRun.id == run_id))).first()
        if found is None:
            raise NotFound(f"There is no scoring run {run_id}.", hint="GET /score/batches lists the runs.")
        run, dataset, revision = found
        return _run_out(run, dataset, revision)

    async def list_accounts(
        self, wanted: ScoreFilter, *, limit: int, cursor: str | None, as_csv: bool = False
    ) -> Page[ScoreOut] | AsyncIterator[bytes]:
        """Accounts of one run, the riskiest first: a page, or all of them as CSV. Later pages stay with their run."""
        position = decode_cursor(cursor, int, float, int)
        async with self._sessions() as session:
            run = await self._choose_run(session, wanted, run_id=position[0] if position else wanted.run)
            if not as_csv:
                return await _read_page(session, run, wanted, limit=limit, position=position)
        return stream_scores(self._sessions, run, tier=wanted.tier, min_probability=wanted.min_probability)

    async def get_account(self, dataset: str | None, account_id: str, *, limit: int) -> AccountScoresOut:
        """The newest score of an account, the current one, and what was said before."""
        async with self._sessions() as session:
            found = await self._datasets.resolve(session, dataset)
            runs = await _newest_runs(session, found.id)
            rows = await session.scalars(
                select(Prediction)
                .where(Prediction.run_id.in_(list(runs)), Prediction.account_id == account_id)
                .order_by(Prediction.scored_at.desc(), Prediction.id.desc())
                .limit(limit)
            )
            history = [_score_out(row, runs[row.run_id]) for row in rows]
            current = await find_current_run(session, found.id)
            in_force = None if current is None else await _find_score(session, current, account_id)
        if not history:
            raise NotFound(
                f"No score of account {account_id!r} is stored in {found.name}.",
                hint="Score it with POST /score, or all active accounts with POST /score/batches.",
            )
        return AccountScoresOut(
            account_id=account_id, dataset=found.name, newest=history[0], current=in_force, history=history
        )

    async def _choose_run(self, session: AsyncSession, wanted: ScoreFilter, *, run_id: int | None) -> ScoringRun:
        """The run named, the newest one of the version named, or the current one; published ones only."""
        if run_id is not None:
            dataset, version = await self._restrict(session, wanted)
            return await get_published(session, run_id, dataset=dataset, version=version)
        if wanted.version is None:
            dataset = await self._datasets.resolve(session, wanted.dataset)
            return _require(await find_current_run(session, dataset.id), f"{dataset.name} has no current scores.")
        dataset, version = await self._models.resolve(session, wanted.version, dataset=wanted.dataset)
        newest = await find_newest_run(session, dataset.id, version.version)
        return _require(newest, f"Version {version.version} has not scored {dataset.name}.")

    async def _restrict(self, session: AsyncSession, wanted: ScoreFilter) -> tuple[Dataset | None, Version | None]:
        """Whose run alone will do, as far as the request says."""
        dataset = await self._datasets.resolve(session, wanted.dataset) if wanted.dataset else None
        if wanted.version is None:
            return dataset, None
        return dataset, (await self._models.resolve(session, wanted.version, dataset=wanted.dataset))[1]


def _require(run: ScoringRun | None, otherwise: str) -> ScoringRun:
    if run is None:
        raise NothingScored(otherwise)
    return run


async def _find_score(session: AsyncSession, run: ScoringRun, account_id: str) -> ScoreOut | None:
    query = select(Prediction).where(Prediction.run_id == run.id, Prediction.account_id == account_id)
    row = (await session.scalars(query)).first()
    return None if row is None else _score_out(row, run)


async def _newest_runs(session: AsyncSession, dataset_id: int) -> dict[int, ScoringRun]:
    query = select(ScoringRun).where(ScoringRun.dataset_id == dataset_id, ScoringRun.published_at.is_not(None))
    query = query.order_by(ScoringRun.published_at.desc()).limit(MAX_RUNS_SEARCHED)
    return {run.id: run for run in await session.scalars(query)}


def _runs() -> Select[ScoringRun, str, int]:
    return (
        select(ScoringRun, Dataset.name, Revision.number)
        .join(Dataset, Dataset.id == ScoringRun.dataset_id)
        .join(Revision, Revision.id == ScoringRun.revision_id)
        .where(ScoringRun.kind == "batch")
    )


def _rows(run_id: int, wanted: ScoreFilter) -> Select[Prediction]:
    query = select(Prediction).where(Prediction.run_id == run_id)
    if wanted.tier is not None:
        query = query.where(Prediction.risk_tier == wanted.tier)
    if wanted.min_probability is not None:
        query = query.where(Prediction.churn_probability >= wanted.min_probability)
    return query


async def _read_page(
    session: AsyncSession, run: ScoringRun, wanted: ScoreFilter, *, limit: int, position: list[Any] | None
) -> Page[ScoreOut]:
    """The first comparison is one the index on the run's table can use."""
    query = _rows(run.id, wanted).order_by(Prediction.churn_probability.desc(), Prediction.id).limit(limit + 1)
    if position:
        query = query.where(Prediction.churn_probability <= position[1])
        query = query.where(
            tuple_(-Prediction.churn_probability, Prediction.id) > tuple_(literal(-position[1]), literal(position[2]))
        )
    found = (await session.scalars(query)).all()
    last = found[limit - 1] if len(found) > limit else None
    cursor = encode_cursor([run.id, last.churn_probability, last.id]) if last else None
    return Page(items=[_score_out(row, run) for row in found[:limit]], next_cursor=cursor)


def _run_out(run: ScoringRun, dataset: str, revision: int) -> RunOut:
    return RunOut(
        **{name: getattr(run, name) for name in _RUN_FIELDS},
        dataset=dataset,
        revision=revision,
        status="published" if run.published_at else "running",
        scoring=ScoringConfig.model_validate(run.config),
    )


_RUN_FIELDS = (
    "id",
    "version",
    "job_id",
    "current",
    "provisional",
    "as_of",
    "n_scored",
    "tiers",
    "warnings",
    "started_at",
    "published_at",
)


def _score_out(row: Prediction, run: ScoringRun) -> ScoreOut:
    return ScoreOut(
        account_id=row.account_id,
        churn_probability=row.churn_probability,
        risk_tier=row.risk_tier,
        reasons=[Reason.model_validate(reason) for reason in row.reasons],
        explanations=explanations_of(ModelKind(run.model_type)),
        version=row.model_version,
        run_id=run.id,
        kind=run.kind,
        current=run.current,
        provisional=run.provisional,
        as_of=row.as_of,
        scored_at=row.scored_at,
    )
