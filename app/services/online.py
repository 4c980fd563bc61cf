"""Single scores: a few accounts at once, answered now and kept."""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import select, text

from app.db import Sessions, copy_in, take_lock
from app.errors import NotFound, RowsDoNotFit
from app.ml.encoding import EncodedFeature
from app.ml.explain import Reason
from app.ml.frame import FeatureKind
from app.ml.kinds.models import explanations_of
from app.ml.scorer import ScoredRow, Scorer
from app.ml.tiers import tiers_at
from app.schemas.config import ScoringConfig
from app.schemas.scoring import AccountScoreOut, FeatureOut, ScoreIn, ScoreSchemaOut, ScoresOut, TierLimits
from app.services.bundles import Bundles
from app.services.champions import Champions
from app.services.datasets import Datasets
from app.services.frames import Frames
from app.services.ledger import find_champion
from app.services.models import Models
from app.services.online_rows import OnlineRow, given_row, stored_rows
from app.services.policy import in_force
from app.services.prediction_rows import plain_reasons
from app.services.revisions import get_revision
from app.services.run_tables import attach_run_table, create_run_table, run_table
from app.services.run_tiers import Cutoffs, cutoffs_in_force
from app.settings import Settings
from app.tables import Dataset, Revision, ScoringRun

ONLINE_RUN_LOCK = 0x6F6E6C  # space of the locks under which a month's run is made
MAX_ON_LOOP = 4  # rows scored right here: a thread costs more than they do, and they don't hold the others up


@dataclass(frozen=True)
class _Using:
    """What the accounts of one request are scored with."""

    dataset: Dataset
    revision: Revision
    version: int
    provisional: bool
    scorer: Scorer
    config: ScoringConfig
    cutoffs: Cutoffs
    now: datetime


class Online:
    """Scores single accounts by the champion of this process, or by any version."""

    def __init__(
        self,
        sessions: Sessions,
        settings: Settings,
        *,
        datasets: Datasets,
        frames: Frames,
        models: Models,
        bundles: Bundles,
        champions: Champions,
    ) -> None:
        self._sessions = sessions
        self._settings = settings
        self._datasets = datasets
        self._frames = frames
        self._models = models
        self._bundles = bundles
        self._champions = champions

    async def score(self, body: ScoreIn) -> ScoresOut:
        """Answer each account or say why not; what was answered is stored before it is sent."""
        using = await self._prepare(body.dataset, body.version)
        rows = await self._rows(body, using)
        scored = await _score(rows, using)
        answers = [_answer(row, scored.get(at), using) for at, row in enumerate(rows)]
        run_id = await self._store(answers, using) if scored else None
        return ScoresOut(
            dataset=using.dataset.name,
            version=using.version,
            provisional=using.provisional,
            run_id=run_id,
            scored_at=using.now,
            tiers=TierLimits(**using.cutoffs.__dict__),
            explanations=explanations_of(using.scorer.bundle.kind),
            scores=answers,
        )

    async def describe(self, dataset: str | None, version: str) -> ScoreSchemaOut:
        """The features a version reads, with what the newest revision shows of them."""
        using = await self._prepare(dataset, version)
        seen = {column["name"]: column for column in using.revision.columns}
        features = [
            _feature_out(each, seen.get(each.feature.name, {})) for each in using.scorer.bundle.encoder.features
        ]
        return ScoreSchemaOut(dataset=using.dataset.name, version=using.version, features=features)

    async def _prepare(self, dataset_name: str | None, version_name: str) -> _Using:
        """What to score with; no connection is held while a bundle is loaded, which takes one of its own."""
        dataset, version, provisional, scorer = await self._scorer(dataset_name, version_name)
        async with self._sessions() as session:
            revision = await get_revision(session, dataset)
            config = in_force(ScoringConfig, dataset, self._settings)
            base_rate = scorer.bundle.development_churn_rate
            cutoffs = await cutoffs_in_force(session, dataset.id, config.tiers, base_rate)
            now = (await session.execute(text("SELECT now()"))).scalar_one()
        return _Using(dataset, revision, version, provisional, scorer, config, cutoffs, now)

    async def _scorer(self, dataset_name: str | None, version_name: str) -> tuple[Dataset, int, bool, Scorer]:
        """The champion as this process serves it, or any other version."""
        if version_name == "champion":
            async with self._sessions() as session:
                dataset = await self._datasets.resolve(session, dataset_name)
            champion = await self._champions.serving(dataset.id)
            return dataset, champion.version, champion.provisional, champion.scorer
        async with self._sessions() as session:
            dataset, version = await self._models.resolve(session, version_name, dataset=dataset_name)
            head = await find_champion(session, dataset.id)
        provisional = head is not None and head.to_version == version.version and head.provisional
        return dataset, version.version, provisional, await self._bundles.load(version.version)

    async def _rows(self, body: ScoreIn, using: _Using) -> list[OnlineRow]:
        """One row per account asked for, in that order."""
        by_id = [account.account_id for account in body.accounts if account.features is None]
        stored: dict[str, OnlineRow] = {}
        if by_id:
            source = await self._frames.open(using.dataset, using.revision, using.scorer.bundle.plan)
            frame = await source.newest(sorted(set(by_id)))
            features = using.scorer.features
            revision, version = using.revision.number, using.version
            stored = stored_rows(by_id, frame, features, revision=revision, version=version, absent=source.absent)
        names = {column["name"] for column in using.revision.columns}
        rows = [
            stored[account.account_id]
            if account.features is None
            else given_row(account, using.scorer.bundle.encoder, names)
            for account in body.accounts
        ]
        _require_some(rows, using)
        return rows

    async def _store(self, answers: list[AccountScoreOut], using: _Using) -> int:
        """Append to the month's run."""
        run_id = await self._month_run(using)
        rows = _prediction_rows(answers, run_id, using)
        async with self._sessions.begin() as session:
            await copy_in(await session.connection(), rows, run_table(run_id), schema="data")
        return run_id

    async def _month_run(self, using: _Using) -> int:
        """The run of this version, its standing and the UTC month; the first to need it makes it, the others wait."""
        month = using.now.strftime("%Y-%m")
        key = select(ScoringRun.id).where(
            ScoringRun.kind == "online",
            ScoringRun.dataset_id == using.dataset.id,
            ScoringRun.version == using.version,
            ScoringRun.month == month,
            ScoringRun.provisional == using.provisional,
        )
        async with self._sessions() as session:
            found = await session.scalar(key)
        if found is not None:
            return found
        async with self._sessions.begin() as session:
            await take_lock(session, ONLINE_RUN_LOCK, using.version)
            found = await session.scalar(key)
            if found is not None:
                return found
            run = _new_month(using, month)
            session.add(run)
            await session.flush()
            await create_run_table(session, run.id)
            await attach_run_table(session, run.id)
        return run.id


def _require_some(rows: list[OnlineRow], using: _Using) -> None:
    """What is wrong with every account in the same way is wrong with the request."""
    codes = {row.problem.code if row.problem else None for row in rows}
    if codes in ({"unknown_account"}, {"inactive_account"}):
        there = "in" if codes == {"unknown_account"} else "active in"
        raise NotFound(
            f"None of these accounts is {there} revision {using.revision.number} of {using.dataset.name}.",
            hint="Check the ids, or give the features of each account.",
        )
    if codes == {"rows_do_not_fit"} and rows[0].problem:
        raise RowsDoNotFit(rows[0].problem.detail)


def _new_month(using: _Using, month: str) -> ScoringRun:
    return ScoringRun(
        kind="online",
        dataset_id=using.dataset.id,
        version=using.version,
        revision_id=using.revision.id,
        month=month,
        provisional=using.provisional,
        config=using.config.model_dump(mode="json"),
        published_at=using.now,
    )


async def _score(rows: list[OnlineRow], using: _Using) -> dict[int, ScoredRow]:
    """Scores by position; many rows go through the vectorised path, in a thread."""
    positions = [at for at, row in enumerate(rows) if row.features is not None]
    features = [rows[at].features or {} for at in positions]
    n_reasons = using.config.n_reasons
    if len(positions) <= MAX_ON_LOOP:
        scored = [using.scorer.score_one(each, n_reasons) for each in features]
    else:
        scored = await asyncio.to_thread(_score_table, using.scorer, features, n_reasons)
    return dict(zip(positions, scored, strict=True))


def _score_table(scorer: Scorer, rows: list[Any], n_reasons: int) -> list[ScoredRow]:
    table = pa.Table.from_pylist(rows, schema=scorer.features)
    probabilities, reasons = scorer.score_and_explain(table, n_reasons)
    listed = [tuple(Reason(**reason) for reason in of_row) for of_row in reasons.to_pylist()]
    return [ScoredRow(float(p), why) for p, why in zip(probabilities, listed, strict=True)]


def _answer(row: OnlineRow, scored: ScoredRow | None, using: _Using) -> AccountScoreOut:
    if scored is None:
        return AccountScoreOut(account_id=row.account_id, problem=row.problem)
    return AccountScoreOut(
        account_id=row.account_id,
        churn_probability=scored.probability,
        risk_tier=str(tiers_at(np.array([scored.probability]), using.cutoffs.high, using.cutoffs.medium)[0]),
        reasons=plain_reasons(scored.reasons),
        as_of=row.as_of or using.now,
        revision=row.revision,
    )


def _prediction_rows(answers: list[AccountScoreOut], run_id: int, using: _Using) -> pa.Table:
    scored = [answer for answer in answers if answer.problem is None]
    instant = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "run_id": pa.array([run_id] * len(scored), pa.int64()),
            "account_id": [answer.account_id for answer in scored],
            "churn_probability": [answer.churn_probability for answer in scored],
            "risk_tier": [answer.risk_tier for answer in scored],
            "model_version": pa.array([using.version] * len(scored), pa.int32()),
            "scored_at": pa.array([using.now] * len(scored), instant),
            "as_of": pa.array([answer.as_of for answer in scored], instant),
            "reasons": [json.dumps([r.model_dump(exclude={"unit"}) for r in answer.reasons]) for answer in scored],
        }
    )


def _feature_out(each: EncodedFeature, seen: dict[str, Any]) -> FeatureOut:
    is_level = each.feature.kind is FeatureKind.CATEGORICAL
    return FeatureOut(
        name=each.feature.name,
        kind=each.feature.kind.value,
        levels=list(each.levels) if is_level else None,
        minimum=seen.get("minimum"),
        maximum=seen.get("maximum"),
        missing_share=seen.get("missing_share"),
    )
