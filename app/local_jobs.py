"""Jobs for callers without a service: watched until they have ended, worked on here where nobody else does."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from app.container import Services
from app.errors import ConfigurationError, HoldfastError
from app.schemas.jobs import JobOut
from app.settings import Settings
from app.worker import Worker, work_until_done

PARTING_SECONDS = 10.0  # for a worker to hand back what it holds
_PROGRAM = "import sys; sys.path[:] = {path!r}; from app.local_jobs import work_beside; work_beside()"


class JobFailed(HoldfastError):
    """A job has ended without a result; it tells the problem that the job was left with."""

    def __init__(self, job: JobOut) -> None:
        super().__init__(f"Job {job.id} was {job.status}.", job_id=job.id)
        self.problem = job.problem or {}

    def to_problem(self) -> dict[str, Any]:
        """The problem of the job, with the job's id."""
        return super().to_problem() | self.problem


async def finish(
    services: Services,
    job: JobOut,
    *,
    show: Callable[[JobOut], None],
    helper: Callable[[], Awaitable[None]] | None = None,
) -> dict[str, Any]:
    """The result of a job, its id among it; each change is shown. Where no worker is alive, one of our own works.

    Raises
    ------
    JobFailed
        with the job's own problem.

    """
    async for seen in work_until_done(services, job.id, helper=helper):
        job = seen
        show(job)
    if job.status != "succeeded":
        raise JobFailed(job)
    return {"job_id": job.id, **(job.result or {})}


class WorkerBeside:
    """A worker in a process of its own, which ends with this one.

    Jobs run in children that are given the caller's main module to import; where that is a script, it would run again
    in each of them. So callers that are scripts have their worker elsewhere.
    """

    def __init__(self, settings: Settings, database_url: str) -> None:
        self._settings = settings
        self._database_url = database_url
        self._process: subprocess.Popen[bytes] | None = None

    async def help(self) -> None:
        """Start, unless it was started before.

        Raises
        ------
        ConfigurationError
            where it has ended by itself.

        """
        if self._process is None:
            self._process = await asyncio.to_thread(self._start)
        code = self._process.poll()
        if code is not None:
            raise ConfigurationError(f"The worker of this process has ended with exit code {code}; see its messages.")

    def _start(self) -> subprocess.Popen[bytes]:
        """In a session of its own: Ctrl-C is for the caller, who then cancels the job."""
        told = {
            "DATABASE_URL": self._database_url,
            "HOLDFAST_HOME": str(self._settings.home.absolute()),
            "HOLDFAST_LOG_LEVEL": self._settings.log_level,
        }
        command = [sys.executable, "-c", _PROGRAM.format(path=sys.path)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | told, start_new_session=True)  # noqa: S603

    def stop(self) -> None:
        """Let it hand back what it holds, and end."""
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PARTING_SECONDS)
        self._process.kill()
        self._process.wait()


def work_beside() -> None:
    """Work until the process that asked for it has closed our stdin, as it does when it dies."""
    settings = Settings()
    logging.basicConfig(level=settings.log_level, format="%(name)s: %(message)s")
    asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    worker, loop = Worker(settings, settings.database_url or "", warm=("app.child",)), asyncio.get_running_loop()

    def leave() -> None:
        loop.remove_reader(sys.stdin.fileno())
        worker.stop()

    loop.add_reader(sys.stdin.fileno(), leave)
    await worker.run()
