"""Monitoring: run a check, read the verdict, report what accounts did."""

from fastapi import APIRouter, Response

from app.deps import Caller, DatasetQuery, PagingDep, ServicesDep, accepted, refusals
from app.routers.tabular import CSV_CONTENT, Format, answer
from app.schemas.common import Page
from app.schemas.jobs import JobOut
from app.schemas.monitoring import CheckOut, DriftOut, MonitorIn, MonitorOut, OutcomesIn, OutcomesOut

router = APIRouter(prefix="/monitor", tags=["monitoring"])
PROBLEMS = refusals(404, 409, 422)


@router.post("", operation_id="run_check", status_code=202, responses=PROBLEMS)
async def run_check(body: MonitorIn, response: Response, services: ServicesDep, caller: Caller) -> JobOut:
    """Check the newest scores of the champion: drift, tiers, and what came of the accounts."""
    return accepted(response, await services.monitoring.submit(body, actor=caller.name))


@router.get("", operation_id="get_verdict", responses=PROBLEMS)
async def get_verdict(services: ServicesDep, dataset: DatasetQuery = None) -> MonitorOut:
    """Answer the newest verdict, saved or not."""
    return await services.monitoring.newest(dataset)


@router.get(
    "/checks", operation_id="list_checks", response_model=Page[CheckOut], responses=PROBLEMS | {200: CSV_CONTENT}
)
async def list_checks(
    services: ServicesDep, paging: PagingDep, dataset: DatasetQuery = None, form: Format = "json"
) -> Page[CheckOut] | Response:
    """List the saved verdicts, the newest first."""
    found = await services.monitoring.list_checks(dataset, limit=paging.limit, cursor=paging.cursor)
    return answer(found, form, CheckOut)


@router.get("/drift", operation_id="get_drift", responses=PROBLEMS)
async def get_drift(services: ServicesDep, dataset: DatasetQuery = None) -> DriftOut:
    """Show the newest check feature by feature, the furthest from the reference first."""
    return await services.monitoring.drift(dataset)


@router.post("/outcomes", operation_id="report_outcomes", status_code=201, responses=PROBLEMS)
async def report_outcomes(body: OutcomesIn, services: ServicesDep, caller: Caller) -> OutcomesOut:
    """Report what accounts did; outcomes meet the scores given before them once these are matured."""
    return await services.outcomes.report(body, actor=caller.name)
