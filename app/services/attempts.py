"""Attempts at jobs: what a worker writes about the work it holds, each write only while the attempt is the newest."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import queue
from app.db import Sessions
from app.errors import AttemptsExhausted
from app.queue import Ticket
from app.schemas.jobs import ENDED
from app.services.jobs import JobContext, interval
from app.tables import Job, Worker

BUSY_SECONDS = 1.0  # until the next look at a job that a transaction under guard holds


class Standing(Enum):
    """Whether an attempt shall go on."""

    OURS = auto()
    CANCELLED = auto()
    LOST = auto()


@dataclass(frozen=True)
class Attempt:
    """One attempt at a job, and the place in the queue it was taken from."""

    ticket: Ticket
    job: JobContext


class Attempts:
    """The attempts of one worker.

    The job's row and its place in the queue change in the same transaction. A job is only taken over once its own
    heartbeat is old: the queue's may be late although the job is well.
    """

    def __init__(
        self, sessions: Sessions, worker: UUID, *, heartbeat_timeout_seconds: float, max_attempts: int
    ) -> None:
        self._sessions = sessions
        self._worker = worker
        self._timeout = heartbeat_timeout_seconds
        self._max_attempts = max_attempts

    async def claim(self, limit: int) -> list[Attempt]:
        """Begin up to `limit` jobs that wait or whose worker is gone."""
        async with self._sessions.begin() as session:
            tickets = await queue.claim(session, self._worker, limit=limit, heartbeat_timeout_seconds=self._timeout)
            begun = [await self._begin(session, ticket) for ticket in tickets]
        return [attempt for attempt in begun if attempt]

    async def _begin(self, session: AsyncSession, ticket: Ticket) -> Attempt | None:
        age = func.extract("epoch", func.now() - Job.heartbeat_at)
        query = select(Job, age).where(Job.id == ticket.job_id).with_for_update(skip_locked=True)
        row = (await session.execute(query)).one_or_none()
        if row is None:
            await queue.put_back(session, ticket, delay_seconds=BUSY_SECONDS)
            return None
        job, heartbeat_age_seconds = row
        if job.status == "running" and heartbeat_age_seconds <= self._timeout:
            left = self._timeout - float(heartbeat_age_seconds)
            await queue.put_back(session, ticket, delay_seconds=max(left, 0.1))
            return None
        if job.status in ENDED or self._is_over(job):
            await queue.remove(session, ticket)
            return None
        return Attempt(ticket, _begin_next(job))

    async def beat(self, attempt: Attempt, *, step: str | None, progress: float) -> Standing:
        """Say that the attempt goes on, and how far it is; the answer says whether it should."""
        alive = {"heartbeat_at": func.now(), "step": step, "progress": progress}
        async with self._sessions.begin() as session:
            query = update(Job).where(*_newest(attempt)).values(alive).returning(Job.cancel_requested)
            cancelled = await session.scalar(query)
            if cancelled is None:
                return Standing.LOST
            await queue.beat(session, attempt.ticket)
        return Standing.CANCELLED if cancelled else Standing.OURS

    async def succeed(self, attempt: Attempt, result: dict[str, Any], *, step: str | None) -> None:
        """The job is done."""
        await self._end(attempt, "succeeded", result=result, step=step, progress=1.0)

    async def fail(self, attempt: Attempt, problem: dict[str, Any], *, step: str | None, progress: float) -> None:
        """The job can't be done."""
        await self._end(attempt, "failed", problem=problem, step=step, progress=progress)

    async def cancel(self, attempt: Attempt, *, step: str | None, progress: float) -> None:
        """The job was stopped on request."""
        await self._end(attempt, "cancelled", step=step, progress=progress)

    async def _end(self, attempt: Attempt, status: str, **values: Any) -> None:
        async with self._sessions.begin() as session:
            ended = {"status": status, "finished_at": func.now(), **values}
            query = update(Job).where(*_newest(attempt)).values(ended).returning(Job.id)
            if await session.scalar(query) is not None:
                await queue.remove(session, attempt.ticket)

    async def release(self, attempt: Attempt, *, counted: bool) -> None:
        """Let the job be tried again; `counted`: the attempt failed, and was not merely handed back."""
        async with self._sessions.begin() as session:
            job = await session.scalar(select(Job).where(*_newest(attempt)).with_for_update())
            if job is None:
                return
            job.attempt -= 0 if counted else 1
            if self._is_over(job):
                await queue.remove(session, attempt.ticket)
                return
            job.status, job.step, job.progress = "queued", None, 0.0
            await queue.put_back(session, attempt.ticket)

    def _is_over(self, job: Job) -> bool:
        """End a job that must not be begun again: on request, or because that was tried often enough."""
        if job.cancel_requested:
            job.status = "cancelled"
        elif job.attempt >= self._max_attempts:
            detail = f"The job was begun {job.attempt} times, and each time its process ended without an answer."
            job.status, job.problem = "failed", AttemptsExhausted(detail).to_problem()
        else:
            return False
        job.finished_at = func.now()
        return True

    async def stay_alive(self) -> None:
        """Keep the worker in the list of those alive."""
        query = insert(Worker).values(id=str(self._worker))
        query = query.on_conflict_do_update(index_elements=[Worker.id], set_={"heartbeat_at": func.now()})
        async with self._sessions.begin() as session:
            await session.execute(query)

    async def leave(self) -> None:
        """Take the worker out of the list of those alive."""
        async with self._sessions.begin() as session:
            await session.execute(delete(Worker).where(Worker.id == str(self._worker)))

    async def sweep(self) -> int:
        """Put back into the queue what it has lost, and forget workers long gone; returns how many jobs were lost."""
        async with self._sessions.begin() as session:
            lost = await queue.find_lost(session, heartbeat_timeout_seconds=self._timeout)
            if lost:
                await queue.enqueue(session, lost)
            gone = Worker.heartbeat_at < func.now() - interval(100 * self._timeout)
            await session.execute(delete(Worker).where(gone))
            await queue.trim(session)
        return len(lost)


def _begin_next(job: Job) -> JobContext:
    job.status, job.attempt = "running", job.attempt + 1
    job.step, job.progress = None, 0.0
    job.started_at = job.heartbeat_at = func.now()
    return JobContext(job.id, job.attempt, job.kind, job.params, job.dataset_id, job.created_by)


def _newest(attempt: Attempt) -> tuple[Any, ...]:
    """That no other attempt has begun, and the job has not ended."""
    return Job.id == attempt.job.id, Job.attempt == attempt.job.attempt, Job.status == literal("running")
