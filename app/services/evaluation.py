"""Evaluations: the gate's verdict on a version, as a job, stored with everything it rests on."""

import asyncio
import os
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions
from app.errors import FieldError, InvalidRequest, NotFound
from app.ml.curves import draw_curves
from app.ml.gate import Judgement, judge
from app.ml.judgement import Look
from app.schemas.common import Page, decode_cursor, page_of
from app.schemas.config import EvaluationConfig
from app.schemas.evaluation import EvaluateIn, EvaluationOut, Include
from app.schemas.jobs import JobOut
from app.services import evidence_store
from app.services.bundles import Bundles
from app.services.candidate import Candidate, read_candidate
from app.services.evaluation_rows import read_evaluations, select_evaluations
from app.services.evidence import EvidenceRoom, Gathered
from app.services.frames import Frames
from app.services.jobs import JobContext, Jobs
from app.services.looks import count_new, find_look, lock_looks
from app.services.models import Models
from app.services.policy import gate_in_force
from app.services.revisions import get_revision
from app.settings import Settings
from app.tables import Dataset, Evaluation, Revision, TrainedModel, Training, Version


class Evaluations:
    """Takes requests to judge, and is the handler of the job."""

    def __init__(
        self,
        sessions: Sessions,
        settings: Settings,
        *,
        frames: Frames,
        models: Models,
        bundles: Bundles,
        jobs: Jobs,
    ) -> None:
        self._sessions = sessions
        self._settings = settings
        self._models = models
        self._jobs = jobs
        self._evidence = EvidenceRoom(sessions, frames, bundles, n_threads=settings.n_threads or os.cpu_count() or 1)

    async def submit(self, number: int, body: EvaluateIn, *, actor: str) -> JobOut:
        """Queue an evaluation; the bar is settled now, what is in Production when the job reads it."""
        async with self._sessions() as session:
            dataset, version = await self._models.resolve(session, str(number), dataset=None)
            revision = await _choose_revision(session, version, dataset, body.revision)
            config = await gate_in_force(session, dataset, self._settings, body.evaluation)
        params = {"version": number, "evaluation": config.model_dump(mode="json"), "revision_id": revision.id}
        return await self._jobs.submit("evaluate", params, dataset_id=dataset.id, actor=actor)

    async def run(self, context: JobContext) -> dict[str, Any]:
        """Judge, unless an attempt before this one has; the verdict is stored in one transaction.

        A champion that is judged again because outcomes may have matured is not, while too few new ones have.
        """
        stored = await self._find(context.id)
        if stored is None:
            await context.step("read", 0.0)
            async with self._sessions() as session:
                candidate = await read_candidate(session, context.params["version"], context.params["revision_id"])
            config = EvaluationConfig.model_validate(context.params["evaluation"])
            gathered = await self._evidence.gather(
                _without_itself(candidate),
                cross_fitted=config.evidence == "auto",
                segments=config.segments.features if config.segments else (),
                progress=lambda share: context.progress("refit in folds", 0.1 + 0.8 * share),
            )
            n_new = await self._too_little_news(context, candidate, gathered)
            if n_new is not None:
                return {"judged": False, "version": candidate.version.version, "n_new_churners": n_new}
            await context.step("judge", 0.9)
            await self._judge(context, candidate, config, gathered)
            stored = await self._find(context.id)
        if stored is None:
            raise RuntimeError(f"the verdict of job {context.id} was stored, yet is not there")
        return stored.model_dump(mode="json")

    async def _too_little_news(self, context: JobContext, candidate: Candidate, gathered: Gathered) -> int | None:
        """The new churners, where they are fewer than the job asks for."""
        wanted = context.params.get("min_new_churners", 0)
        if not wanted:
            return None
        async with self._sessions() as session:
            n_new = await count_new(session, candidate.version.version, gathered.churner_keys)
        return n_new if n_new < wanted else None

    async def _judge(
        self, context: JobContext, candidate: Candidate, config: EvaluationConfig, gathered: Gathered
    ) -> None:
        """Judge and store; once more where another verdict was stored meanwhile that makes this a later look."""
        look: Look | None = None
        while look is None or not await self._store(context, candidate, config, gathered, look):
            async with self._sessions() as session:
                look = await _find_look(session, candidate, gathered)

    async def _store(
        self, context: JobContext, candidate: Candidate, config: EvaluationConfig, gathered: Gathered, look: Look
    ) -> bool:
        """Write the verdict with its evidence, unless it is another look by now; under the lock no two are the same."""
        evidence = replace(gathered.evidence, look=look)
        judgement = await asyncio.to_thread(judge, evidence, config)
        content = await evidence_store.pack(evidence, gathered.keys)
        curves = await asyncio.to_thread(draw_curves, evidence, config)
        async with self._sessions.begin() as session:
            await context.guard(session)
            await lock_looks(session, candidate.dataset.id)
            if look != await _find_look(session, candidate, gathered):
                return False
            evaluation = self._evaluation(context, candidate, config, judgement)
            evaluation.advisory = config != await gate_in_force(session, candidate.dataset, self._settings)
            evaluation.curves = curves
            told = evaluation.judgement
            evaluation.judgement = told | {"rows": gathered.rows, "sentences": [*told["sentences"], *gathered.notes]}
            session.add(evaluation)
            await session.flush()
            evidence_store.store(session, evaluation.id, content, gathered.churner_keys)
        return True

    def _evaluation(
        self, context: JobContext, candidate: Candidate, config: EvaluationConfig, judgement: Judgement
    ) -> Evaluation:
        told = judgement.to_json()
        if _is_champion(candidate):
            told["sentences"] = [
                *told["sentences"],
                "It is the champion: this verdict is a check-up, as of a first one.",
            ]
        return Evaluation(
            job_id=context.id,
            version=candidate.version.version,
            revision_id=candidate.revision.id,
            bundle_sha256=candidate.trained.bundle_sha256,
            champion_version=candidate.champion.to_version if candidate.champion else None,
            config=config.model_dump(mode="json"),
            rule=judgement.rule,
            recommendation=judgement.recommendation.value,
            provisional=judgement.provisional,
            judgement=told,
        )

    async def _find(self, job_id: int) -> EvaluationOut | None:
        async with self._sessions() as session:
            rows = await read_evaluations(session, select_evaluations().where(Evaluation.job_id == job_id))
        return rows[0] if rows else None

    async def list_evaluations(
        self, name: str, dataset_name: str | None, *, limit: int, cursor: str | None
    ) -> Page[EvaluationOut]:
        """The verdicts on a version, newest first, advisory ones too."""
        async with self._sessions() as session:
            _, version = await self._models.resolve(session, name, dataset=dataset_name)
            query = select_evaluations().where(Evaluation.version == version.version).order_by(Evaluation.id.desc())
            if position := decode_cursor(cursor, int):
                query = query.where(Evaluation.id < position[0])
            found = await read_evaluations(session, query.limit(limit + 1))
        return page_of(found, limit, lambda last: last.id)

    async def latest(self, name: str, dataset_name: str | None, *, include: Include | None = None) -> EvaluationOut:
        """The newest verdict that counts; with its curves, where they are asked for."""
        async with self._sessions() as session:
            _, version = await self._models.resolve(session, name, dataset=dataset_name)
            query = select_evaluations().where(Evaluation.version == version.version, Evaluation.advisory.is_(False))
            found = await read_evaluations(
                session, query.order_by(Evaluation.id.desc()).limit(1), with_curves=include == "curves"
            )
        if not found:
            number = version.version
            hint = f"POST /models/{number}/evaluate (`holdfast evaluate --version {number}`)."
            raise NotFound(f"Version {number} has no verdict of the gate that counts.", hint=hint)
        return found[0]


def _is_champion(candidate: Candidate) -> bool:
    return candidate.champion is not None and candidate.champion.to_version == candidate.version.version


def _without_itself(candidate: Candidate) -> Candidate:
    """The champion is not compared with itself, which it would always pass: it is judged as a first one."""
    if not _is_champion(candidate):
        return candidate
    return replace(candidate, champion=None, champion_model=None, champion_training=None)


async def _find_look(session: AsyncSession, candidate: Candidate, gathered: Gathered) -> Look:
    return await find_look(session, candidate.dataset.id, candidate.trained.bundle_sha256, gathered.churner_keys)


async def _choose_revision(session: AsyncSession, version: Version, dataset: Dataset, number: int | None) -> Revision:
    """The version's own revision, or a newer one: what an older one says has been amended since."""
    query = select(Revision).join(Training).join(TrainedModel)
    own = (await session.execute(query.where(TrainedModel.id == version.trained_model_id))).scalar_one()
    if number is None or number == own.number:
        return own
    if number < own.number:
        detail = f"Version {version.version} was trained on revision {own.number}, a newer one."
        raise InvalidRequest(detail, errors=[FieldError("/revision", f"must be {own.number} or newer")])
    return await get_revision(session, dataset, number)
