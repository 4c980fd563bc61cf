"""Provisional champions are judged again on their own as outcomes mature, once on each newer revision."""

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.db import Sessions, take_lock
from app.services.jobs import Jobs
from app.services.ledger import list_champions
from app.services.policy import gate_in_force
from app.services.revisions import newest_revision
from app.settings import Settings
from app.tables import Dataset, Evaluation, Job, Promotion, Revision

REJUDGE = "rejudge"
REJUDGE_LOCK = 0x726A67  # space of the locks under which such jobs are made
MIN_NEW_CHURNERS = 20  # fair ones that the version has not been judged by; with fewer a verdict would hardly move
MAX_TRIES = 3  # jobs for one revision
_ACTOR = "holdfast"


class Rejudging:
    """Finds what is to be judged again; the jobs are evaluations like any other."""

    def __init__(self, sessions: Sessions, settings: Settings, jobs: Jobs) -> None:
        self._sessions = sessions
        self._settings = settings
        self._jobs = jobs

    async def sweep(self) -> int:
        """Queue a job for each provisional champion whose dataset has a revision it was not judged on."""
        async with self._sessions() as session:
            champions = await list_champions(session)
        provisional = [entry for entry in champions.values() if entry.provisional]
        return sum([await self._queue(entry) for entry in provisional])

    async def _queue(self, entry: Promotion) -> int:
        """Under a lock and in one transaction, so that of all workers one makes the job."""
        async with self._sessions.begin() as session:
            await take_lock(session, REJUDGE_LOCK, entry.dataset_id)
            dataset = await session.get_one(Dataset, entry.dataset_id)
            newest = await newest_revision(session, dataset)
            if newest is None or await is_settled(session, entry) or not await _is_news(session, entry, newest):
                return 0
            config = await gate_in_force(session, dataset, self._settings)
            params = {
                "version": entry.to_version,
                "evaluation": config.model_dump(mode="json"),
                "revision_id": newest.id,
                "min_new_churners": MIN_NEW_CHURNERS,
            }
            await self._jobs.add(session, REJUDGE, params, dataset_id=dataset.id, actor=_ACTOR)
        return 1


async def is_settled(session: AsyncSession, entry: Promotion) -> bool:
    """A verdict since the provisional promotion counts and is itself not provisional."""
    later = (Evaluation.version == entry.to_version, Evaluation.id > (entry.evaluation_id or 0))
    query = select(exists().where(*later, Evaluation.advisory.is_(False), Evaluation.provisional.is_(False)))
    return bool(await session.scalar(query))


async def _is_news(session: AsyncSession, entry: Promotion, newest: Revision) -> bool:
    """The revision is newer than those the version was judged on, and all jobs made for it have come to nothing."""
    judged = aliased(Revision)
    query = select(judged.number).join(Evaluation, Evaluation.revision_id == judged.id)
    numbers = await session.scalars(query.where(Evaluation.version == entry.to_version, ~Evaluation.advisory))
    if newest.number <= max(numbers, default=0):
        return False
    made = select(Job.status, Job.params, Evaluation.advisory).outerjoin(Evaluation, Evaluation.job_id == Job.id)
    made = made.where(Job.kind == REJUDGE, Job.dataset_id == entry.dataset_id)
    tries = [
        status in ("failed", "cancelled") or bool(advisory)  # advisory: the policy changed while it was judged
        for status, params, advisory in await session.execute(made)
        if (params["version"], params["revision_id"]) == (entry.to_version, newest.id)
    ]
    return len(tries) < MAX_TRIES and all(tries)
