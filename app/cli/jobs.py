"""Long work on the command line: asked for, watched until it has ended, its result or problem told."""

from collections.abc import Awaitable
from typing import Any

from app import local_jobs
from app.cli.terminal import JobProgress
from app.container import Services
from app.schemas.jobs import JobOut


async def finish(services: Services, submission: Awaitable[JobOut]) -> dict[str, Any]:
    """The result of a job, its id among it; where no worker is alive one of our own does the work."""
    job = await submission
    with JobProgress(job.kind) as progress:
        return await local_jobs.finish(services, job, show=lambda seen: progress.show(seen.step, seen.progress))
