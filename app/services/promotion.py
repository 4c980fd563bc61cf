"""Promotions: which version is in which stage, by the gate's verdict, under a lock, on a ledger that only grows."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions
from app.errors import Conflict, GateNotPassed, NotEvaluated, NotFound, StaleEvaluation, StaleHead
from app.schemas.common import Page, decode_cursor, page_of
from app.schemas.config import EvaluationConfig
from app.schemas.promotions import HeadOut, PromoteIn, PromotionOut, RollbackIn, Stage
from app.services.aliases import MIRROR
from app.services.datasets import Datasets
from app.services.etags import etag, is_newest
from app.services.jobs import Jobs
from app.services.ledger import (
    find_challenger,
    find_champion,
    find_head,
    find_last_promoted,
    find_newer_rows,
    find_newest_verdict,
    lock_ledger,
)
from app.services.policy import gate_in_force
from app.settings import Settings
from app.tables import Dataset, Evaluation, Promotion, TrainedModel, Version

_WITH_MARGIN = ("not_worse", "no_harm")  # rules under which margins count from the anchor


class Promotions:
    """Owns the ledger."""

    def __init__(self, sessions: Sessions, settings: Settings, *, datasets: Datasets, jobs: Jobs) -> None:
        self._sessions = sessions
        self._datasets = datasets
        self._jobs = jobs
        self._settings = settings

    async def promote(self, number: int, body: PromoteIn, *, if_match: str | None, actor: str) -> PromotionOut:
        """Append to the ledger; concurrent calls queue on the lock, and the loser is told."""
        async with self._sessions.begin() as session:
            version, dataset = await _get_version(session, number)
            await lock_ledger(session, dataset.id)
            head = await find_head(session, dataset.id, body.stage)
            _require_head(head, if_match)
            present = await _require_elsewhere(session, version, body.stage)
            verdict = await self._verdict(session, version, dataset, body, present)
            entry = _promotion(version, body, present, verdict, actor=actor)
            await self._append(session, entry)
        return _out(entry, dataset.name, verdict)

    async def _append(self, session: AsyncSession, entry: Promotion) -> None:
        """Write the entry, and on the same transaction the job that tells MLflow: a copy for people."""
        session.add(entry)
        await session.flush()
        await self._jobs.add(session, MIRROR, {}, dataset_id=entry.dataset_id, actor=entry.actor)

    async def _verdict(
        self, session: AsyncSession, version: Version, dataset: Dataset, body: PromoteIn, head: Promotion | None
    ) -> Evaluation | None:
        verdict = await find_newest_verdict(session, version.version)
        if body.stage == "Staging" or body.force:
            return verdict
        if verdict is None:
            raise NotEvaluated(f"Version {version.version} has no verdict of the gate.", hint=_judge(version.version))
        await self._require_fresh(session, verdict, version, dataset, head)
        _require_recommended(verdict)
        return verdict

    async def _require_fresh(
        self, session: AsyncSession, verdict: Evaluation, version: Version, dataset: Dataset, head: Promotion | None
    ) -> None:
        """The verdict was on these bytes, against the present champion, by the policy in force.

        And on the newest rows that judged the version: else who does not like what these say could go back to others.
        """
        trained = await session.get_one(TrainedModel, version.trained_model_id)
        champion = head.to_version if head else None
        policy = await gate_in_force(session, dataset, self._settings)
        reason = None
        if verdict.champion_version != champion:
            was, now = _named(verdict.champion_version), _named(champion)
            reason = f"the verdict compared it with {was} in Production, but there is {now} now"
        elif verdict.rule in _WITH_MARGIN and head and _anchor_of(verdict) != _anchor_in_force(head):
            reason = "margins count from another version by now than it was compared with"
        elif verdict.bundle_sha256 != trained.bundle_sha256:
            reason = "the verdict was on other bytes"
        elif EvaluationConfig.model_validate(verdict.config) != policy:  # it may not know all that there is by now
            reason = "the policy has changed since the verdict"
        newer = await find_newer_rows(session, verdict)
        if newer and not reason:
            reason = f"it rests on older rows than revision {newer}, which has judged the version"
        if reason:
            raise StaleEvaluation(
                f"The newest evaluation of version {version.version} no longer holds: {reason}.",
                hint=_judge(version.version, newer),
            )

    async def rollback(self, body: RollbackIn, *, if_match: str | None, actor: str) -> PromotionOut:
        """Go back to a version that was in Production before; no new gate, the verdict of its time is shown."""
        async with self._sessions.begin() as session:
            dataset = await self._datasets.resolve(session, body.dataset)
            await lock_ledger(session, dataset.id)
            head = await find_head(session, dataset.id, "Production")
            _require_head(head, if_match)
            then = await _earlier(session, dataset.id, head, body.version)
            entry = _rollback(then, head, reason=body.reason, actor=actor)
            await self._append(session, entry)
            verdict = await session.get(Evaluation, then.evaluation_id) if then.evaluation_id else None
        return _out(entry, dataset.name, verdict)

    async def head(self, dataset_name: str | None, stage: Stage) -> HeadOut:
        """The newest entry of a stage."""
        async with self._sessions() as session:
            dataset = await self._datasets.resolve(session, dataset_name)
            entry = await find_head(session, dataset.id, stage)
            verdict = await session.get(Evaluation, entry.evaluation_id) if entry and entry.evaluation_id else None
        shown = _out(entry, dataset.name, verdict) if entry else None
        return HeadOut(dataset=dataset.name, stage=stage, head=entry.id if entry else 0, promotion=shown)

    async def list_promotions(
        self, *, dataset: str | None, stage: Stage | None, limit: int, cursor: str | None
    ) -> Page[PromotionOut]:
        """The ledger, newest first."""
        query = select(Promotion, Dataset.name, Evaluation).join(Dataset, Dataset.id == Promotion.dataset_id)
        query = query.outerjoin(Evaluation, Evaluation.id == Promotion.evaluation_id)
        query = query.order_by(Promotion.id.desc()).limit(limit + 1)
        if stage:
            query = query.where(Promotion.stage == stage)
        if position := decode_cursor(cursor, int):
            query = query.where(Promotion.id < position[0])
        async with self._sessions() as session:
            if dataset:
                query = query.where(Promotion.dataset_id == (await self._datasets.resolve(session, dataset)).id)
            rows = (await session.execute(query)).all()
        return page_of([_out(*row) for row in rows], limit, lambda last: last.id)


async def _get_version(session: AsyncSession, number: int) -> tuple[Version, Dataset]:
    query = select(Version, Dataset).join(Dataset).where(Version.version == number)
    found = (await session.execute(query)).one_or_none()
    if found is None:
        raise NotFound(f"There is no version {number}.", hint="GET /models lists the versions there are.")
    return found


def _require_head(head: Promotion | None, if_match: str | None) -> None:
    """Refuse a caller who looked at another head than there is."""
    present = head.id if head else 0
    if not is_newest(present, if_match):
        raise StaleHead(f"The newest entry is {etag(present)} now, not what If-Match names.")


async def _require_elsewhere(session: AsyncSession, version: Version, stage: Stage) -> Promotion | None:
    """What is in the stage now; refuse a version that is there already, or a champion that would challenge itself."""
    champion = await find_champion(session, version.dataset_id)
    present = champion if stage == "Production" else await find_challenger(session, version.dataset_id)
    if present and present.to_version == version.version:
        raise Conflict(f"Version {version.version} is in {stage} already.", hint="There is nothing to do.")
    if champion and champion.to_version == version.version:
        detail = f"Version {version.version} is in Production: it can't be its own challenger."
        raise Conflict(detail, hint="Put another version in Staging; GET /models lists the versions there are.")
    return present


def _require_recommended(verdict: Evaluation) -> None:
    if verdict.recommendation == "promote":
        return
    open_verdicts = ("fail",) if verdict.recommendation == "reject" else ("fail", "insufficient")
    checks = [check for check in verdict.judgement["checks"] if check["verdict"] in open_verdicts]
    raise GateNotPassed(
        f"The gate says {verdict.recommendation} to version {verdict.version}: "
        + " ".join(verdict.judgement["sentences"]),
        recommendation=verdict.recommendation,
        evaluation_id=verdict.id,
        failed_checks=[{key: check[key] for key in ("name", "verdict", "sentence")} for check in checks],
    )


def _anchor_in_force(head: Promotion) -> int:
    """The version that margins count from: the last one promoted as better."""
    return head.anchor_version or head.to_version


def _anchor_of(verdict: Evaluation) -> int | None:
    """What margins counted from: the champion itself, where the verdict names no other version."""
    for check in verdict.judgement["checks"]:
        if anchor := check.get("details", {}).get("anchor"):
            return int(anchor["version"])
    return verdict.champion_version


def _judge(version: int, revision: int | None = None) -> str:
    """What to call; on which revision, where it is not just the version's own."""
    body, option = (f' {{"revision": {revision}}}', f" --revision {revision}") if revision else ("", "")
    return (
        f"POST /models/{version}/evaluate{body} (`holdfast evaluate --version {version}{option}`), then promote again."
    )


def _named(version: int | None) -> str:
    return "nothing" if version is None else f"version {version}"


def _promotion(
    version: Version, body: PromoteIn, head: Promotion | None, verdict: Evaluation | None, *, actor: str
) -> Promotion:
    """An entry; margins count from the anchor, so it moves only where a version was better."""
    gated = body.stage == "Production" and not body.force and verdict is not None
    rule = verdict.rule if gated and verdict else None
    anchor = _anchor_in_force(head) if head and rule in _WITH_MARGIN else version.version
    return Promotion(
        dataset_id=version.dataset_id,
        stage=body.stage,
        action="promote",
        from_version=head.to_version if head else None,
        to_version=version.version,
        anchor_version=anchor if body.stage == "Production" else None,
        evaluation_id=verdict.id if verdict else None,
        rule=rule,
        forced=body.force,
        provisional=bool(gated and verdict and verdict.provisional),
        reason=body.reason,
        actor=actor,
    )


async def _earlier(session: AsyncSession, dataset_id: int, head: Promotion | None, version: int | None) -> Promotion:
    """The entry that once brought the version to go back to into Production."""
    if head is None:
        raise Conflict("Nothing is in Production, so there is nothing to go back from.")
    present = await find_last_promoted(session, dataset_id, head.to_version)
    target = version or (present.from_version if present else None)
    if target is None:
        raise Conflict(f"Version {head.to_version} is the first champion: there is none before it to go back to.")
    if target == head.to_version:
        raise Conflict(f"Version {target} is in Production already.", hint="There is nothing to do.")
    then = await find_last_promoted(session, dataset_id, target)
    if then is None:
        hint = f"Promote it instead: POST /models/{target}/promote."
        raise Conflict(f"Version {target} has never been in Production of this dataset.", hint=hint)
    return then


def _rollback(then: Promotion, head: Promotion | None, *, reason: str, actor: str) -> Promotion:
    """An entry with the verdict, the rule and the anchor of its time."""
    return Promotion(
        dataset_id=then.dataset_id,
        stage="Production",
        action="rollback",
        from_version=head.to_version if head else None,
        to_version=then.to_version,
        anchor_version=then.anchor_version,
        evaluation_id=then.evaluation_id,
        rule=then.rule,
        forced=then.forced,
        provisional=then.provisional,
        reason=reason,
        actor=actor,
    )


def _out(entry: Promotion, dataset: str, verdict: Evaluation | None) -> PromotionOut:
    fields = {name: getattr(entry, name) for name in PromotionOut.model_fields if hasattr(entry, name)}
    recommendation = verdict.recommendation if verdict else None
    return PromotionOut(**fields, dataset=dataset, recommendation=recommendation, weak_evidence=entry.rule == "no_harm")
