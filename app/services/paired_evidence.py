"""Two versions compared on the rows that both were judged on, from the evidence stored with their verdicts."""

import asyncio
from dataclasses import asdict, dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions
from app.ml.judgement import Evidence, plain_interval
from app.ml.paired import MIN_ROWS, compare_on_rows
from app.schemas.models import PairedMetricRow, PairedOut
from app.services import evidence_store
from app.stats.arrays import Ints
from app.tables import Evaluation, Revision, StoredEvidence

MAX_VERDICTS = 20  # of each version, the newest, among which two on the same revision are looked for
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Paired:
    """The comparison, or why there is none and what to call for one."""

    found: PairedOut | None
    missing: str | None = None
    next: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Judged:
    """A verdict whose evidence was kept."""

    evaluation_id: int
    version: int
    revision: int


async def compare_judged(sessions: Sessions, a: int, b: int) -> Paired:
    """Figures of two versions on the rows that are in the evidence of both, so fair to both."""
    async with sessions() as session:
        of_a, of_b = await _list_judged(session, a), await _list_judged(session, b)
        unjudged = [version for version, judged in ((a, of_a), (b, of_b)) if not judged]
        if unjudged:
            named = " and ".join(f"version {version}" for version in unjudged)
            return Paired(None, f"No evidence is kept of a verdict on {named}.", _judge(*unjudged))
        judged = _choose(of_a, of_b)
        kept = [await evidence_store.read(session, each.evaluation_id) for each in judged]
    if kept[0] is None or kept[1] is None:
        raise RuntimeError(f"the evidence of the verdicts {judged} was there, and is not")
    return await asyncio.to_thread(_compare, judged, (kept[0], kept[1]))


async def _list_judged(session: AsyncSession, version: int) -> list[_Judged]:
    query = select(Evaluation.id, Evaluation.version, Revision.number)
    query = query.join(StoredEvidence, StoredEvidence.evaluation_id == Evaluation.id)
    query = query.join(Revision, Revision.id == Evaluation.revision_id)
    query = query.where(Evaluation.version == version, StoredEvidence.content.is_not(None))
    rows = await session.execute(query.order_by(Evaluation.id.desc()).limit(MAX_VERDICTS))
    return [_Judged(*row) for row in rows]


def _choose(of_a: list[_Judged], of_b: list[_Judged]) -> tuple[_Judged, _Judged]:
    """Two on the newest revision that both were judged on; else the newest of each."""
    pairs = [(x, y) for x in of_a for y in of_b if x.revision == y.revision]
    return max(pairs, key=lambda pair: pair[0].revision, default=(of_a[0], of_b[0]))


def _compare(judged: tuple[_Judged, _Judged], evidence: tuple[tuple[Evidence, Ints], tuple[Evidence, Ints]]) -> Paired:
    (a, keys_a), (b, keys_b) = evidence
    _, at_a, at_b = np.intersect1d(keys_a, keys_b, return_indices=True)
    newer, at = (a, at_a) if judged[0].revision >= judged[1].revision else (b, at_b)  # labels may have been amended
    y = newer.y[at]
    n_churners, newest = int((y == 1).sum()), max(each.revision for each in judged)
    if min(n_churners, y.size - n_churners) < MIN_ROWS:
        missing = (
            f"Both were judged on {y.size} rows with {n_churners} churners; {MIN_ROWS} churners and as many others are "
            f"needed. Judge both on the same revision."
        )
        return Paired(None, missing, _judge(*(each.version for each in judged), revision=newest))
    figures = compare_on_rows(
        y,
        (a.p_model[at_a], b.p_model[at_b]),
        (a.development_churn_rate, b.development_churn_rate),
        accounts=newer.accounts[at],
        confidence=CONFIDENCE,
    )
    metrics = [PairedMetricRow(**asdict(each) | {"interval": plain_interval(each.interval)}) for each in figures]
    return Paired(
        PairedOut(
            n=y.size,
            n_churners=n_churners,
            n_accounts=np.unique(newer.accounts[at]).size,
            confidence=CONFIDENCE,
            evaluation_a=judged[0].evaluation_id,
            evaluation_b=judged[1].evaluation_id,
            revision_a=judged[0].revision,
            revision_b=judged[1].revision,
            metrics=metrics,
        )
    )


def _judge(*versions: int, revision: int | None = None) -> tuple[str, ...]:
    body = "" if revision is None else f' {{"revision": {revision}}}'
    return tuple(f"POST /models/{version}/evaluate{body}" for version in versions)
