"""Jobs: how long work stands, and how to stop it."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from app.deps import DatasetQuery, JobId, PagingDep, ServicesDep, accepted, refusals
from app.schemas.common import Page
from app.schemas.jobs import JobOut, JobStatus

router = APIRouter(prefix="/jobs", tags=["jobs"])
Kind = Annotated[str | None, Query(pattern=r"^[a-z_]{1,30}$", description="Jobs of one kind.", examples=["train"])]
Status = Annotated[JobStatus | None, Query(description="Jobs in one state.")]
EVENTS: dict[str, Any] = {
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
    "description": "Events `job`.",
}
Wait = Annotated[float, Query(ge=0, le=60, description="Seconds to wait for the job's end.", examples=[30])]


@router.get("", operation_id="list_jobs", responses=refusals(404, 422))
async def list_jobs(
    services: ServicesDep,
    paging: PagingDep,
    kind: Kind = None,
    status: Status = None,
    dataset: DatasetQuery = None,
) -> Page[JobOut]:
    """List jobs, the newest first."""
    return await services.jobs.list_jobs(
        kind=kind, status=status, dataset=dataset, limit=paging.limit, cursor=paging.cursor
    )


@router.get("/{job_id}", operation_id="get_job", responses=refusals(404, 422))
async def get_job(job_id: JobId, services: ServicesDep, wait: Wait = 0) -> JobOut:
    """Say how a job stands; with `wait`, as soon as it has ended or the time is up."""
    return await services.jobs.get(int(job_id), wait_seconds=wait)


@router.post(
    "/{job_id}/cancel",
    operation_id="cancel_job",
    status_code=202,
    responses=refusals(404, 409, 422),
)
async def cancel_job(job_id: JobId, response: Response, services: ServicesDep) -> JobOut:
    """Stop a job: a waiting one at once, a running one within about two seconds."""
    return accepted(response, await services.jobs.cancel(int(job_id)))


@router.get(
    "/{job_id}/events",
    operation_id="watch_job",
    response_class=StreamingResponse,
    responses=refusals(404, 422) | {200: EVENTS},
)
async def watch_job(job_id: JobId, services: ServicesDep) -> StreamingResponse:
    """Stream each change of a job as a server-sent event that holds the job; ends with the job."""
    events = await services.jobs.events(int(job_id))
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(_as_stream(events), media_type="text/event-stream", headers=headers)


async def _as_stream(events: AsyncIterator[JobOut | None]) -> AsyncIterator[str]:
    """What the HTML standard calls an event stream; a comment keeps a silent one open."""
    async for job in events:
        yield f"event: job\ndata: {job.model_dump_json()}\n\n" if job else ": nothing new\n\n"
