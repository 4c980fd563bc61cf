"""The queue: PgQueuer carries the ids of jobs, every step of it on the transaction of the caller."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from uuid import UUID

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.models import Job as Entry
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.queries import Queries
from pgqueuer.types import QueueEntrypoint, QueueManagerId
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import driver

ENTRYPOINT = QueueEntrypoint("job")
_UNLIMITED = EntrypointExecutionParameter(concurrency_limit=0)
_LOST = text("""
    SELECT jobs.id FROM jobs
    WHERE (jobs.status = 'queued'
           OR jobs.status = 'running' AND jobs.heartbeat_at < now() - make_interval(secs => :timeout))
      AND NOT EXISTS (SELECT FROM pgqueuer WHERE pgqueuer.dedupe_key = 'job-' || jobs.id)
    ORDER BY jobs.id
    LIMIT 1000
""")


@dataclass(frozen=True)
class Ticket:
    """A place in the queue that one worker holds."""

    entry: Entry

    @property
    def job_id(self) -> int:
        """The job it stands for."""
        return int(self.entry.payload or b"")


async def enqueue(session: AsyncSession, job_ids: Sequence[int]) -> None:
    """Put jobs into the queue; one that is in it already stays where it is."""
    n = len(job_ids)
    await (await _queries(session)).enqueue(
        [ENTRYPOINT] * n,
        [str(job_id).encode() for job_id in job_ids],
        [0] * n,
        dedupe_key=[f"job-{job_id}" for job_id in job_ids],
        on_conflict="skip",
    )


async def claim(session: AsyncSession, worker: UUID, *, limit: int, heartbeat_timeout_seconds: float) -> list[Ticket]:
    """Take up to `limit` places: waiting ones, and those whose holder has not been heard of for the timeout."""
    entries = await (await _queries(session)).dequeue(
        batch_size=limit,
        entrypoints={ENTRYPOINT: _UNLIMITED},
        queue_manager_id=QueueManagerId(worker),
        global_concurrency_limit=None,
        heartbeat_timeout=timedelta(seconds=heartbeat_timeout_seconds),
    )
    return [Ticket(entry) for entry in entries]


async def beat(session: AsyncSession, ticket: Ticket) -> None:
    """Say that the holder is alive."""
    await (await _queries(session)).update_heartbeat([ticket.entry.id])


async def remove(session: AsyncSession, ticket: Ticket) -> None:
    """Take a place out of the queue: its job has ended."""
    await (await _queries(session)).log_jobs([(ticket.entry, "successful", None)])


async def put_back(session: AsyncSession, ticket: Ticket, *, delay_seconds: float = 0) -> None:
    """Let anybody take the place again, after a while."""
    await (await _queries(session)).retry_job(ticket.entry, timedelta(seconds=delay_seconds), None)


async def find_lost(session: AsyncSession, *, heartbeat_timeout_seconds: float) -> list[int]:
    """Jobs that wait, or that nobody works on any more, and that have no place in the queue."""
    return list((await session.scalars(_LOST, {"timeout": heartbeat_timeout_seconds})).all())


async def trim(session: AsyncSession) -> None:
    """Forget what the queue noted of places taken out of it more than a week ago."""
    await session.execute(text("DELETE FROM pgqueuer_log WHERE created < now() - interval '7 days'"))


async def _queries(session: AsyncSession) -> Queries:
    """PgQueuer on the session's own connection.

    Until a first statement of SQLAlchemy's that connection is in no transaction, and what PgQueuer writes would
    commit by itself.
    """
    connection = await session.connection()
    bare = await driver(connection)
    if not bare.is_in_transaction():
        await connection.execute(text("SELECT 1"))
    queries = Queries.from_asyncpg_connection(bare)
    queries.qbe, queries.qbq, queries.qbs = _builders()
    return queries


@cache
def _builders() -> tuple[QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder]:
    """PgQueuer's builders of SQL; made once, as they keep what they have built."""
    return QueryBuilderEnvironment(), QueryQueueBuilder(), QuerySchedulerBuilder()
