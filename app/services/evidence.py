"""The evidence of the gate: a version, its baseline and the champion scored on the same rows."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.db import Sessions
from app.errors import Conflict
from app.ml.contenders import Progress, too_many_rows, wants_cross_fit
from app.ml.encoding import EncodingError
from app.ml.fingerprint import row_keys
from app.ml.frame import Floats, Frame
from app.ml.gate import Evidence, Production
from app.ml.instants import Bools, fair_rows
from app.ml.leaks.findings import suspicions
from app.ml.scorer import Scorer
from app.ml.segments import cut_segments
from app.services.bundles import Bundles
from app.services.candidate import Candidate, knowledge_of, read_made_by
from app.services.cross_fit import Made, refit_versions
from app.services.evidence_rows import TestRows, describe, instants_of, is_own, why_unfair
from app.services.frames import Frames
from app.services.revisions import get_revision
from app.services.row_source import RowSource
from app.services.sides import read_used_accounts
from app.services.training_rows import TrainingRows, among, row_instants
from app.stats.arrays import Ints
from app.tables import Dataset, Revision, TrainedModel, Training

MAX_ACTIVE = 200_000  # accounts whose scores the distribution check reads; of more, every k-th by id
CHUNK_SIZE = 20_000
Plan = Mapping[str, Any] | None


@dataclass(frozen=True)
class _Rival:
    """A version that is scored beside the candidate."""

    version: int
    scorer: Scorer
    trained: TrainedModel
    training: Training

    @property
    def name(self) -> str:
        return f"version {self.version}"

    @property
    def made(self) -> Made:
        return Made(self.name, self.trained, self.training, self.scorer.bundle.plan)


@dataclass(frozen=True)
class _Active:
    """Scores of active accounts, and of how many there are these were taken."""

    scores: Floats
    accounts: pa.Array
    n: int

    def of(self, accounts: pa.Array) -> Floats:
        """The score of each of these accounts; NaN for those that have none."""
        at = pc.index_in(accounts, value_set=self.accounts)
        found: Floats = np.append(self.scores, np.nan)[at.fill_null(self.scores.size).to_numpy()]
        return found


@dataclass(frozen=True)
class Gathered:
    """Evidence, the keys of its rows and of the churners that it is judged by, and which rows those are."""

    evidence: Evidence
    keys: Ints
    churner_keys: Ints
    rows: dict[str, Any]
    notes: tuple[str, ...] = ()


class EvidenceRoom:
    """Gathers evidence: scores on the test side, and of the active accounts."""

    def __init__(self, sessions: Sessions, frames: Frames, bundles: Bundles, *, n_threads: int) -> None:
        self._sessions = sessions
        self._frames = frames
        self._bundles = bundles
        self._n_threads = n_threads

    async def gather(
        self,
        candidate: Candidate,
        *,
        cross_fitted: bool = False,
        segments: Sequence[str] = (),
        progress: Progress = lambda share: None,
    ) -> Gathered:
        """The evidence, and which rows it rests on; `cross_fitted` wherever the test side has too few churners.

        `segments` are the features by which the rows are parted.
        """
        scorer = await self._bundles.load_bytes(candidate.trained.bundle_sha256)
        test = await self._test_rows(candidate, scorer.bundle.plan)
        champion, anchor = await self._champion(candidate), await self._anchor(candidate)
        active = await self._score_active(candidate, test.rows, scorer)
        parted = await asyncio.to_thread(cut_segments, test.frame.features, segments)
        p_model = await _score(scorer, test.frame, "the version")
        p_baseline = p_model
        if not candidate.is_baseline:
            baseline = await self._bundles.load_bytes(candidate.sibling.bundle_sha256)
            p_baseline = await _score(baseline, test.frame, "its baseline")
        report = candidate.trained.report
        evidence = Evidence(
            y=np.asarray(test.frame.churned, dtype=np.float64),
            accounts=np.asarray(test.frame.accounts.to_pylist(), dtype=object),
            p_model=p_model,
            p_baseline=p_baseline,
            development_churn_rate=report["development_churn_rate"],
            reference_scores=np.frombuffer(candidate.trained.reference_scores, dtype="<f4").astype(np.float64),
            active_scores=active.scores,
            fold_importances=np.asarray(report["fold_importances"], dtype=np.float64),
            feature_names=tuple(report["feature_names"]),
            production=await self._production(candidate, test, champion, anchor, active),
            baseline_is_model=candidate.is_baseline,
            known=None if candidate.training.split["kind"] == "random" else test.known,
            segment_features=parted.features,
            segment_names=parted.names,
            segment_codes=parted.codes if parted.features else None,
            suspected_leaks=_suspected(candidate.training),
        )
        keys, rows = (
            await asyncio.to_thread(row_keys, test.frame),
            describe(candidate, test, active.n, active.scores.size),
        )
        gathered = Gathered(evidence, keys, keys[evidence.y == 1], rows)
        if not cross_fitted or not wants_cross_fit(test.rows.frame, int(evidence.y.sum())):
            return gathered
        versions = {"model": Made("The version", candidate.trained, candidate.training, scorer.bundle.plan)}
        versions |= {name: each.made for name, each in (("production", champion), ("anchor", anchor)) if each}
        return await self._in_folds(candidate, test, gathered, versions, progress)

    async def _in_folds(
        self, candidate: Candidate, test: TestRows, gathered: Gathered, versions: dict[str, Made], progress: Progress
    ) -> Gathered:
        """The same evidence with the recipes of these versions refitted in folds, where the rows are not too many."""
        every = test.rows.frame
        if too_many := too_many_rows(len(every)):
            return replace(gathered, notes=(too_many,))
        fit = await refit_versions(
            lambda plan: self._as_built(candidate, test.rows, every, plan),
            versions,
            seed=candidate.dataset.split_seed,
            n_threads=self._n_threads,
            progress=progress,
        )
        churner_keys = (await asyncio.to_thread(row_keys, every))[fit.y == 1]
        return replace(gathered, evidence=replace(gathered.evidence, cross_fit=fit), churner_keys=churner_keys)

    async def _test_rows(self, candidate: Candidate, plan: Plan) -> TestRows:
        """The test side of the revision: as it was split at training, or of what has matured in a newer one."""
        training = candidate.training
        source = await self._frames.open(candidate.dataset, candidate.revision, plan)
        own = is_own(candidate)
        rows = await self._frames.training_rows(
            candidate.dataset, source, split=training.split["kind"], like=training.split if own else None
        )
        async with self._sessions() as session:
            used_accounts = await read_used_accounts(session, candidate.dataset.id)
        used = among(rows.frame.accounts, pa.array(used_accounts, pa.string()))
        fair = fair_rows(instants_of(rows.frame), used, knowledge_of(training))
        at = np.flatnonzero((rows.sides == "test") & fair)
        if not at.size:
            raise Conflict(
                f"Revision {candidate.revision.number} has no row that is fair to version {candidate.version.version}.",
                hint="Evaluate on its own revision, or wait until rows mature that are newer than what it knows.",
            )
        known = rows.known if own else await self._known(candidate, rows, plan)
        return TestRows(rows, rows.frame.take(at), known[at], used[at])

    async def _known(self, candidate: Candidate, rows: TrainingRows, plan: Plan) -> Bools:
        """Rows of a newer revision whose account the version learned from: a split of that revision can't tell."""
        training = candidate.training
        if training.split["kind"] != "temporal":
            return rows.known
        async with self._sessions() as session:
            revision = await session.get_one(Revision, training.revision_id)
        source = await self._frames.open(candidate.dataset, revision, plan)
        own = await self._frames.training_rows(candidate.dataset, source, like=training.split, keep_sides=False)
        return among(rows.frame.accounts, own.learned_accounts)

    async def _champion(self, candidate: Candidate) -> _Rival | None:
        if candidate.champion is None or candidate.champion_model is None or candidate.champion_training is None:
            return None
        version = candidate.champion.to_version
        scorer = await self._bundles.load(version)
        return _Rival(version, scorer, candidate.champion_model, candidate.champion_training)

    async def _anchor(self, candidate: Candidate) -> _Rival | None:
        """The version that margins count from, where that is not the champion itself."""
        champion = candidate.champion
        if champion is None or champion.anchor_version in (None, champion.to_version):
            return None
        version = champion.anchor_version or 0
        async with self._sessions() as session:
            trained, training = await read_made_by(session, version)
        return _Rival(version, await self._bundles.load(version), trained, training)

    async def _production(
        self, candidate: Candidate, test: TestRows, champion: _Rival | None, anchor: _Rival | None, active: _Active
    ) -> Production | None:
        """The champion, and the anchor where there is one, on the rows that are fair to them too."""
        if champion is None:
            return None
        fair, other = test.fair_to(champion.training), champion
        if anchor is not None:
            other = anchor if fair.any() else champion
            fair &= test.fair_to(anchor.training)
        theirs = await self._score_active(candidate, test.rows, champion.scorer)
        return Production(
            version=champion.version,
            p=await self._score_rival(candidate, test, champion),
            fair=fair,
            unfair="" if fair.any() else why_unfair(test, other.name, other.training),
            same_recipe=candidate.same_recipe,
            active_scores=theirs.scores,
            active_paired=theirs.of(active.accounts),
            anchor_version=anchor.version if anchor else None,
            anchor_p=await self._score_rival(candidate, test, anchor) if anchor else None,
        )

    async def _score_rival(self, candidate: Candidate, test: TestRows, rival: _Rival) -> Floats:
        """Probabilities of the same rows, from the features as the rival's own plan has them."""
        frame = await self._as_built(candidate, test.rows, test.frame, rival.scorer.bundle.plan)
        return await _score(rival.scorer, frame, rival.name)

    async def _as_built(self, candidate: Candidate, rows: TrainingRows, some: Frame, plan: Plan) -> Frame:
        """Some of the rows, with the features that a plan builds."""
        if plan == rows.source.plan:
            return some
        source = await self._frames.open(candidate.dataset, candidate.revision, plan)
        instants = sorted(set(some.as_of.to_pylist())) if some.as_of is not None else [None]
        frame = (await source.labelled(instants)).frame
        keys = {key: at for at, key in enumerate(_keys(frame))}
        return frame.take(np.array([keys[key] for key in _keys(some)], dtype=np.int64))

    async def _score_active(self, candidate: Candidate, rows: TrainingRows, scorer: Scorer) -> _Active:
        """Scores of the active accounts of the newest revision."""
        async with self._sessions() as session:
            newest = await get_revision(session, candidate.dataset)
        step = -(-newest.n_accounts // MAX_ACTIVE) or 1
        scores, accounts, n_active = [np.empty(0)], [pa.array([], pa.string())], 0
        async for chunk in self._active(candidate.dataset, newest, rows, scorer.bundle.plan):
            taken = chunk.take(np.arange(-n_active % step, len(chunk), step))
            n_active += len(chunk)
            scores.append(await _score(scorer, taken, "a version"))
            accounts.append(taken.accounts)
        return _Active(np.concatenate(scores), pa.concat_arrays(accounts), n_active)

    async def _active(self, dataset: Dataset, newest: Revision, rows: TrainingRows, plan: Plan) -> AsyncIterator[Frame]:
        """The active accounts; in dated data without a newer instant everybody of the instant that judges.

        There the active accounts are those that stayed: chosen by outcome, as the reference is not, so that the
        scores would be said to have moved on day one.
        """
        source: RowSource = await self._frames.open(dataset, newest, plan)
        of_one_plan = source.plan == rows.source.plan
        if rows.as_of is not None and of_one_plan and await source.active_instant() == rows.as_of:
            at = row_instants(rows.frame) == np.datetime64(rows.as_of.replace(tzinfo=None), "us")
            yield rows.frame.take(np.flatnonzero(at))
            return
        async for chunk in source.active_chunks(chunk_size=CHUNK_SIZE):
            yield chunk


async def _score(scorer: Scorer, frame: Frame, name: str) -> Floats:
    try:
        return await asyncio.to_thread(scorer.score, frame.features)
    except EncodingError as error:
        hint = "A column has gone or changed its kind since; evaluate on a revision that has it, or train again."
        raise Conflict(f"The rows can't be scored with {name}: {error}.", hint=hint) from error


def _keys(frame: Frame) -> list[tuple[str, Any]]:
    instants: Sequence[Any] = [None] * len(frame) if frame.as_of is None else frame.as_of.to_pylist()
    return list(zip(frame.accounts.to_pylist(), instants, strict=True))


def _suspected(training: Training) -> tuple[str, ...]:
    levels = [(each["name"], each["level"]) for each in training.leaks]
    return suspicions(levels, training.config["training"].get("accept_leaks", []))
