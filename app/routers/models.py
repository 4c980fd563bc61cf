"""Versions: history, details, registering, judging, comparing."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from app.deps import Caller, DatasetQuery, PagingDep, ServicesDep, Version, VersionName, accepted, refusals
from app.routers.tabular import CSV_CONTENT, Format, answer, answer_document
from app.schemas.common import Page
from app.schemas.evaluation import EvaluateIn, EvaluationOut, Include
from app.schemas.jobs import JobOut
from app.schemas.models import CompareOut, CompareRow, RegisteredOut, RegisterIn, VersionDetailOut, VersionOut

router = APIRouter(prefix="/models", tags=["models"])

NOT_FOUND = refusals(404, 422)
REFUSED = refusals(404, 409, 422)
BY_POLICY = EvaluateIn()
IncludeQuery = Annotated[
    Include | None, Query(description="`curves`: what each cut-off and top share catches, and what it earns.")
]
CREATED = {True: status.HTTP_201_CREATED, False: status.HTTP_200_OK}


@router.post(
    "",
    operation_id="register_model",
    status_code=status.HTTP_201_CREATED,
    responses=REFUSED | {200: {"model": RegisteredOut, "description": "It was a version already."}},
)
async def register_model(body: RegisterIn, response: Response, caller: Caller, services: ServicesDep) -> RegisteredOut:
    """Make a model of a finished training a version; asked again, the answer is the same version."""
    registered = await services.models.register(body, actor=caller.name)
    response.status_code = CREATED[registered.created]
    response.headers["Location"] = f"/models/{registered.version}"
    return registered


@router.get("", operation_id="list_models", response_model=Page[VersionOut], responses=NOT_FOUND | {200: CSV_CONTENT})
async def list_models(
    paging: PagingDep, services: ServicesDep, form: Format = "json", dataset: DatasetQuery = None
) -> Page[VersionOut] | Response:
    """List the versions, newest first: stage, verdict, figures, where they came from."""
    page = await services.models.list_models(dataset=dataset, limit=paging.limit, cursor=paging.cursor)
    return answer(page, form, VersionOut)


@router.get("/{version}", operation_id="get_model", responses=NOT_FOUND)
async def get_model(version: VersionName, services: ServicesDep, dataset: DatasetQuery = None) -> VersionDetailOut:
    """Show everything known of a version."""
    return await services.models.get(version, dataset)


@router.post(
    "/{version}/evaluate",
    operation_id="evaluate_model",
    status_code=status.HTTP_202_ACCEPTED,
    responses=REFUSED,
)
async def evaluate_model(
    version: Version, response: Response, caller: Caller, services: ServicesDep, body: EvaluateIn = BY_POLICY
) -> JobOut:
    """Have the gate judge a version against its baseline and the champion."""
    return accepted(response, await services.evaluation.submit(int(version), body, actor=caller.name))


@router.get("/{version}/evaluations", operation_id="list_evaluations", responses=NOT_FOUND)
async def list_evaluations(
    version: VersionName, paging: PagingDep, services: ServicesDep, dataset: DatasetQuery = None
) -> Page[EvaluationOut]:
    """List the verdicts on a version, newest first; advisory ones are marked."""
    return await services.evaluation.list_evaluations(version, dataset, limit=paging.limit, cursor=paging.cursor)


@router.get("/{version}/evaluations/latest", operation_id="get_latest_evaluation", responses=NOT_FOUND)
async def get_latest_evaluation(
    version: VersionName, services: ServicesDep, dataset: DatasetQuery = None, include: IncludeQuery = None
) -> EvaluationOut:
    """Show the newest verdict that counts."""
    return await services.evaluation.latest(version, dataset, include=include)


@router.get(
    "/{a}/compare/{b}",
    operation_id="compare_models",
    response_model=CompareOut,
    responses=NOT_FOUND | {200: CSV_CONTENT},
)
async def compare_models(
    a: VersionName, b: VersionName, services: ServicesDep, form: Format = "json", dataset: DatasetQuery = None
) -> CompareOut | Response:
    """Compare two versions of a dataset: figures on the same rows, parameters, features, data, scores, who moves."""
    return answer_document(await services.comparison.compare(a, b, dataset), form, CompareRow)
