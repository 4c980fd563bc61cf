"""Jobs: long work that is asked for now and done by a worker later."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import queue
from app.db import Sessions
from app.errors import JobEnded, NotFound
from app.schemas.common import Page, decode_cursor, page_of
from app.schemas.jobs import ENDED, JobOut, JobStatus
from app.tables import Dataset, Job, Worker

POLL_SECONDS = (0.1, 0.5)  # between two looks at a job: at first, and after a while
KEEP_ALIVE_SECONDS = 10.0  # proxies cut streams that are silent for 30 to 60 seconds


class JobLost(Exception):
    """Another attempt has begun, or the job was cancelled: this one may write no more."""


def _report_nothing(step: str, progress: float) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class JobContext:
    """What a handler knows of the job it works on: one attempt at it."""

    id: int
    attempt: int
    kind: str
    params: dict[str, Any]
    dataset_id: int | None
    actor: str
    report: Callable[[str, float], None] = field(default=_report_nothing, repr=False, compare=False)

    async def step(self, name: str, progress: float) -> None:
        """Say what is done now, and which share (0..1) of the whole lies behind."""
        self.report(name, progress)

    def progress(self, step: str, fraction: float) -> None:
        """The same, from any thread, as often as you like."""
        self.report(step, fraction)

    async def guard(self, session: AsyncSession) -> None:
        """Keep the job ours until the transaction ends; the first statement of each one that writes.

        The lock lets heartbeats pass, but nobody can take the job over before the transaction has ended.

        Raises
        ------
        JobLost
            when another attempt has begun, or the job has been cancelled.

        """
        ours = (Job.id == self.id, Job.attempt == self.attempt, Job.status == "running", ~Job.cancel_requested)
        query = select(Job.id).where(*ours).with_for_update(read=True, key_share=True)
        if await session.scalar(query) is None:
            raise JobLost(f"attempt {self.attempt} at job {self.id}")


Handler = Callable[[JobContext], Awaitable[dict[str, Any]]]


class Jobs:
    """Adds jobs, tells how they stand, cancels them."""

    def __init__(self, sessions: Sessions, *, heartbeat_timeout_seconds: float) -> None:
        self._sessions = sessions
        self._timeout = heartbeat_timeout_seconds
        self.closing = asyncio.Event()  # set as the server stops: nobody must wait for a job any longer

    async def add(
        self, session: AsyncSession, kind: str, params: dict[str, Any], *, dataset_id: int | None, actor: str
    ) -> Job:
        """A job and its place in the queue, which exist if and when the caller's transaction commits."""
        job = Job(kind=kind, params=params, dataset_id=dataset_id, created_by=actor)
        session.add(job)
        await session.flush()
        await queue.enqueue(session, [job.id])
        return job

    async def submit(self, kind: str, params: dict[str, Any], *, dataset_id: int | None, actor: str) -> JobOut:
        """A job that is committed, and so may be running, when this returns."""
        async with self._sessions.begin() as session:
            job = await self.add(session, kind, params, dataset_id=dataset_id, actor=actor)
        return await self.get(job.id)

    async def get(self, job_id: int, *, wait_seconds: float = 0) -> JobOut:
        """The job as it stands; with a wait, when it has ended or the time is up. No connection is held meanwhile."""
        deadline = time.monotonic() + wait_seconds
        pause = POLL_SECONDS[0]
        while True:
            job = await self._read(job_id)
            left = deadline - time.monotonic()
            if job.has_ended or left <= 0 or self.closing.is_set():
                return job
            await self._pause(min(pause, left))
            pause = min(pause * 1.3, POLL_SECONDS[1])

    async def list_jobs(
        self,
        *,
        kind: str | None = None,
        status: JobStatus | None = None,
        dataset: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[JobOut]:
        """One page of jobs, the newest first."""
        before = decode_cursor(cursor, int)
        query = _jobs().order_by(Job.id.desc()).limit(limit + 1)
        query = query.where(Job.id < before[0]) if before else query
        query = query.where(Job.kind == kind) if kind else query
        query = query.where(Job.status == status) if status else query
        async with self._sessions() as session:
            if dataset:
                query = query.where(Job.dataset_id == await _dataset_id(session, dataset))
            jobs = [_out(job, name) for job, name in await session.execute(query)]
        return page_of(jobs, limit, lambda last: last.id)

    async def cancel(self, job_id: int) -> JobOut:
        """Stop the job: at once where nobody works on it, else its worker hears of it within a second.

        One transaction: a worker that would take the job in between must see the wish.
        """
        async with self._sessions.begin() as session:
            open_job = (Job.id == job_id, Job.status.not_in(ENDED))
            await session.execute(update(Job).where(*open_job).values(cancel_requested=True))
            # A transaction under `guard` holds the row: then somebody works on it, and will hear of the wish.
            nobody = (Job.status == "queued") | (Job.heartbeat_at < func.now() - interval(self._timeout))
            locked = select(Job).where(*open_job, nobody).with_for_update(skip_locked=True)
            idle = await session.scalar(locked)
            if idle:
                idle.status, idle.finished_at = "cancelled", func.now()
        job = await self.get(job_id)
        if job.status in {"succeeded", "failed"}:
            raise JobEnded(f"Job {job_id} has {job.status}: it can't be cancelled any more.")
        return job

    async def events(self, job_id: int, *, quiet_seconds: float = KEEP_ALIVE_SECONDS) -> AsyncIterator[JobOut | None]:
        """Each change of the job until it has ended, and None when nothing has changed for a while."""
        first = await self._read(job_id)
        return self._changes(first, quiet_seconds)

    async def any_worker(self) -> bool:
        """Whether any worker is alive, here or on another host."""
        alive = Worker.heartbeat_at > func.now() - interval(self._timeout)
        async with self._sessions() as session:
            return bool(await session.scalar(select(exists().where(alive))))

    async def _changes(self, job: JobOut, quiet_seconds: float) -> AsyncIterator[JobOut | None]:
        yield job
        told_at = time.monotonic()
        while not (job.has_ended or self.closing.is_set()):
            await self._pause(POLL_SECONDS[1] / 2)
            seen, job = job, await self._read(job.id)
            if job != seen or time.monotonic() - told_at > quiet_seconds:
                told_at = time.monotonic()
                yield job if job != seen else None

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.closing.wait(), seconds)
        except TimeoutError:
            return

    async def _read(self, job_id: int) -> JobOut:
        async with self._sessions() as session:
            row = (await session.execute(_jobs().where(Job.id == job_id))).one_or_none()
        if row is None:
            raise NotFound(f"There is no job {job_id}.", hint="GET /jobs shows the jobs there are.")
        return _out(*row)


def _jobs() -> Select[Job, str]:
    return select(Job, Dataset.name).outerjoin(Dataset, Dataset.id == Job.dataset_id)


def _out(job: Job, dataset: str | None) -> JobOut:
    fields = {name: getattr(job, name) for name in JobOut.model_fields if name != "dataset"}
    return JobOut.model_validate(fields | {"dataset": dataset})


async def _dataset_id(session: AsyncSession, name: str) -> int:
    dataset_id = await session.scalar(select(Dataset.id).where(Dataset.name == name))
    if dataset_id is None:
        raise NotFound(f"There is no dataset '{name}'.", hint="GET /datasets shows the datasets there are.")
    return dataset_id


def interval(seconds: float) -> Any:
    """An interval, as SQL."""
    return func.make_interval(0, 0, 0, 0, 0, 0, seconds)
