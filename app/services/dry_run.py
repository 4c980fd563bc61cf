"""What another policy would have decided: versions judged again from the evidence stored with their verdicts."""

import asyncio
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.db import Sessions
from app.ml.gate import FEW_CHURNERS, Evidence, Verdict, judge
from app.schemas.config import EvaluationConfig
from app.schemas.gate import DecisionOut, DryRunIn, DryRunOut, RejudgedOut
from app.services import evidence_store
from app.services.datasets import Datasets
from app.services.policy import gate_in_force
from app.settings import Settings
from app.tables import Dataset, Evaluation, Version

MAX_ROWS = 2_000_000  # judged rows of one dry run; 100,000 take about 2 s on a busy machine
NOT_KEPT = "Its evidence was not kept: it was judged before evidence was, or on too many rows."
NOT_REFITTED = "On so few churners its recipe would have been refitted in folds: judge it again under this policy."
NOT_PARTED = "Its rows were not parted by these segments: judge it again under this policy."
TOO_MANY = "It would be too many rows at once: ask for fewer versions, or judge it again under this policy."


class DryRuns:
    """Judges again, one dry run at a time; nothing is written."""

    def __init__(self, sessions: Sessions, settings: Settings, *, datasets: Datasets) -> None:
        self._sessions = sessions
        self._settings = settings
        self._datasets = datasets
        self._turn = asyncio.Lock()

    async def dry_run(self, body: DryRunIn) -> DryRunOut:
        """The newest verdicts that count, beside what the policy asked for would have said."""
        async with self._turn:
            async with self._sessions() as session:
                dataset = await self._datasets.resolve(session, body.dataset)
                in_force = await gate_in_force(session, dataset, self._settings)
                verdicts = await _last_judged(session, dataset, body.n_versions)
            n_rows, told = 0, []
            for verdict in verdicts:
                n_rows += verdict.judgement["rows"]["n"]
                told.append(await self._judge_again(verdict, body.evaluation, fits=n_rows <= MAX_ROWS))
        return DryRunOut(
            dataset=dataset.name,
            evaluation=body.evaluation,
            in_force=in_force,
            n_judged_again=sum(each.would_be is not None for each in told),
            n_changed=sum(bool(each.changed) for each in told),
            versions=told,
        )

    async def _judge_again(self, verdict: Evaluation, policy: EvaluationConfig, *, fits: bool) -> RejudgedOut:
        found, missing = None, None if fits else TOO_MANY
        if fits:
            async with self._sessions() as session:
                found = await evidence_store.read(session, verdict.id)
            missing = _missing(found[0], verdict, policy) if found else NOT_KEPT
        would_be = None if found is None or missing else await asyncio.to_thread(_judge, found[0], policy)
        was = _stored(verdict)
        return RejudgedOut(
            version=verdict.version,
            evaluation_id=verdict.id,
            judged_at=verdict.created_at,
            champion_version=verdict.champion_version,
            was=was,
            would_be=would_be,
            changed=would_be and _outcome(would_be) != _outcome(was),
            missing=missing,
        )


async def _last_judged(session: AsyncSession, dataset: Dataset, n_versions: int) -> list[Evaluation]:
    """Of each version the newest verdict that counts, the newest of them first."""
    newest = select(Evaluation).join(Version, Version.version == Evaluation.version)
    newest = newest.where(Version.dataset_id == dataset.id, Evaluation.advisory.is_(False))
    newest = newest.ext(distinct_on(Evaluation.version)).order_by(Evaluation.version, Evaluation.id.desc())
    verdict = aliased(Evaluation, newest.subquery())
    return list(await session.scalars(select(verdict).order_by(verdict.id.desc()).limit(n_versions)))


def _missing(evidence: Evidence, verdict: Evaluation, policy: EvaluationConfig) -> str | None:
    """Why this policy would have asked for more than was gathered under the one of that time."""
    then = EvaluationConfig.model_validate(verdict.config)
    few = (evidence.y == 1).sum() < FEW_CHURNERS
    if few and policy.evidence == "auto" and then.evidence != "auto":
        return NOT_REFITTED
    unparted = _segments(policy) - _segments(then) - set(evidence.segment_features)
    return NOT_PARTED if unparted else None


def _segments(policy: EvaluationConfig) -> set[str]:
    return set(policy.segments.features) if policy.segments else set()


def _outcome(decision: DecisionOut) -> tuple[str, bool]:
    return decision.recommendation, decision.provisional


def _stored(verdict: Evaluation) -> DecisionOut:
    checks = {check["name"]: check["verdict"] for check in verdict.judgement["checks"]}
    return DecisionOut(
        recommendation=verdict.recommendation,
        provisional=verdict.provisional,
        rule=verdict.rule,
        failed=[name for name, found in checks.items() if found == Verdict.FAIL],
        insufficient=[name for name, found in checks.items() if found == Verdict.INSUFFICIENT],
        sentence=verdict.judgement["sentences"][0],
    )


def _judge(evidence: Evidence, policy: EvaluationConfig) -> DecisionOut:
    evidence = evidence if policy.evidence == "auto" else replace(evidence, cross_fit=None)
    judgement = judge(evidence, policy, n_draws=0)  # the bootstrap is only shown, not judged by
    return DecisionOut(
        recommendation=judgement.recommendation.value,
        provisional=judgement.provisional,
        rule=judgement.rule,
        failed=[check.name for check in judgement.checks if check.verdict is Verdict.FAIL],
        insufficient=list(judgement.insufficient),
        sentence=judgement.sentences[0],
    )
