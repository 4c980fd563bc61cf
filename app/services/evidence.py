"""The evidence of the gate: a version, its baseline and the champion scored on the same rows."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from app.db import Sessions
from app.errors import Conflict
from app.ml.encoding import EncodingError
from app.ml.frame import Floats, Frame
from app.ml.gate import Evidence, Production
from app.ml.scorer import Scorer
from app.services.bundles import Bundles
from app.services.frames import Frames, TrainingRows
from app.services.ledger import find_champion
from app.services.revisions import get_revision
from app.tables import Dataset, Promotion, Revision, TrainedModel, Training, Version

MAX_ACTIVE = 200_000  # accounts whose scores the distribution check reads; of more, every k-th by id
CHUNK_SIZE = 20_000


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
    trained = await session.get_one(TrainedModel, version.trained_model_id, options=[undefer_scores])
    training = await session.get_one(Training, trained.training_id)
    others = select(TrainedModel).where(TrainedModel.training_id == training.id, TrainedModel.id != trained.id)
    champion = await find_champion(session, version.dataset_id)
    model, model_training = await _made_by(session, champion.to_version) if champion else (None, None)
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


undefer_scores = undefer(TrainedModel.reference_scores)


async def _made_by(session: AsyncSession, number: int) -> tuple[TrainedModel, Training]:
    query = select(TrainedModel, Training).join(Training, Training.id == TrainedModel.training_id)
    query = query.join(Version, Version.trained_model_id == TrainedModel.id).where(Version.version == number)
    return (await session.execute(query)).one()


class EvidenceRoom:
    """Gathers evidence: scores on the test side, and of the active accounts."""

    def __init__(self, sessions: Sessions, frames: Frames, bundles: Bundles) -> None:
        self._sessions = sessions
        self._frames = frames
        self._bundles = bundles

    async def gather(self, candidate: Candidate) -> tuple[Evidence, dict[str, Any]]:
        """The evidence, and which rows it rests on."""
        rows = await self._frames.training_rows(candidate.dataset, candidate.revision)
        test = rows.frame.take(np.flatnonzero(rows.sides == "test"))
        scorer = await self._bundles.load_bytes(candidate.trained.bundle_sha256)
        scorers = [scorer]
        if candidate.champion:
            scorers.append(await self._bundles.load(candidate.champion.to_version))
        active, n_active = await self._score_active(candidate, rows, scorers)
        p_model = await _score(scorer, test, "the version")
        p_baseline = p_model
        if not candidate.is_baseline:
            baseline = await self._bundles.load_bytes(candidate.sibling.bundle_sha256)
            p_baseline = await _score(baseline, test, "its baseline")
        report = candidate.trained.report
        evidence = Evidence(
            y=np.asarray(test.churned, dtype=np.float64),
            accounts=np.asarray(test.accounts.to_pylist(), dtype=object),
            p_model=p_model,
            p_baseline=p_baseline,
            development_churn_rate=report["development_churn_rate"],
            reference_scores=np.frombuffer(candidate.trained.reference_scores, dtype="<f4").astype(np.float64),
            active_scores=active[0],
            fold_importances=np.asarray(report["fold_importances"], dtype=np.float64),
            feature_names=tuple(report["feature_names"]),
            production=await self._production(candidate, test, scorers, active),
            baseline_is_model=candidate.is_baseline,
        )
        return evidence, _describe(candidate, rows, test, n_active, active[0].size)

    async def _production(
        self, candidate: Candidate, test: Frame, scorers: Sequence[Scorer], active: Sequence[Floats]
    ) -> Production | None:
        """The champion on the same rows, and the anchor where margins count from another version.

        Sides belong to dataset and account, for ever: no version of the dataset has used a row of the test side, so
        all of them are fair to both.
        """
        champion = candidate.champion
        if champion is None:
            return None
        anchor_version = champion.anchor_version if champion.anchor_version != champion.to_version else None
        anchor_p = None
        if anchor_version is not None:
            anchor_p = await _score(await self._bundles.load(anchor_version), test, f"version {anchor_version}")
        return Production(
            version=champion.to_version,
            p=await _score(scorers[1], test, f"version {champion.to_version} in Production"),
            fair=np.ones(len(test), dtype=np.bool_),
            same_recipe=candidate.same_recipe,
            active_scores=active[1],
            anchor_version=anchor_version,
            anchor_p=anchor_p,
        )

    async def _score_active(
        self, candidate: Candidate, rows: TrainingRows, scorers: Sequence[Scorer]
    ) -> tuple[list[Floats], int]:
        """Scores of the active accounts of the newest revision by each scorer, and how many accounts there are."""
        async with self._sessions() as session:
            newest = await get_revision(session, candidate.dataset)
        step = -(-newest.n_accounts // MAX_ACTIVE) or 1
        parts: list[list[Floats]] = [[np.empty(0)] for _ in scorers]
        n_active = 0
        async for chunk in self._active(candidate.dataset, newest, rows):
            taken = chunk.take(np.arange(-n_active % step, len(chunk), step))
            n_active += len(chunk)
            for scores, scorer in zip(parts, scorers, strict=True):
                scores.append(await _score(scorer, taken, "a version"))
        return [np.concatenate(scores) for scores in parts], n_active

    async def _active(self, dataset: Dataset, newest: Revision, rows: TrainingRows) -> AsyncIterator[Frame]:
        """The active accounts; in dated data without a newer instant everybody of the instant that was trained on.

        There the active accounts are those that stayed: chosen by outcome, as the reference is not, so that the
        scores would be said to have moved on day one.
        """
        if rows.as_of is not None and await self._frames.active_instant(dataset, newest) == rows.as_of:
            yield rows.frame
            return
        async for chunk in self._frames.active_chunks(dataset, newest, chunk_size=CHUNK_SIZE):
            yield chunk


async def _score(scorer: Scorer, frame: Frame, name: str) -> Floats:
    try:
        return await asyncio.to_thread(scorer.score, frame.features)
    except EncodingError as error:
        hint = "A column has gone or changed its kind since; evaluate on a revision that has it, or train again."
        raise Conflict(f"The rows can't be scored with {name}: {error}.", hint=hint) from error


def _describe(
    candidate: Candidate, rows: TrainingRows, test: Frame, n_active: int, n_active_scored: int
) -> dict[str, Any]:
    return {
        "revision": candidate.revision.number,
        "side": "test",
        "as_of": rows.as_of.isoformat() if rows.as_of else None,
        "n": len(test),
        "n_churners": int(np.nansum(test.churned)) if test.churned is not None else 0,
        "n_active": n_active,
        "n_active_scored": n_active_scored,
        "split": rows.split,
        "warnings": list(rows.warnings),
    }
