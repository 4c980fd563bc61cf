"""Long work on the command line: asked for, watched until it has ended, its result or problem told."""

from collections.abc import Awaitable
from typing import Any

from app.cli.terminal import JobProgress
from app.container import Services
from app.errors import HoldfastError
from app.schemas.jobs import JobOut
from app.worker import work_until_done


async def finish(services: Services, submission: Awaitable[JobOut]) -> dict[str, Any]:
    """The result of a job, its id among it; where no worker is alive one of our own does the work.

    Raises
    ------
    JobFailed
        with the job's own problem.

    """
    job = await submission
    with JobProgress(job.kind) as progress:
        async for seen in work_until_done(services, job.id):
            job = seen
            progress.show(job.step, job.progress)
        if job.status != "succeeded":
            raise JobFailed(job)
    return {"job_id": job.id, **(job.result or {})}


class JobFailed(HoldfastError):
    """A job has ended without a result; it tells the problem that the job was left with."""

    def __init__(self, job: JobOut) -> None:
        super().__init__(f"Job {job.id} was {job.status}.", job_id=job.id)
        self._problem = job.problem or {}

    def to_problem(self) -> dict[str, Any]:
        """The problem of the job, with the job's id."""
        return super().to_problem() | self._problem
