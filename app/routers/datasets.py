"""Datasets: describe a source, upload rows, see what was understood."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Request

from app.deps import (
    OPERATOR_WHERE_NEEDED,
    Caller,
    DatasetName,
    OperatorWhereNeeded,
    PagingDep,
    ServicesDep,
    refusals,
)
from app.schemas.common import Page
from app.schemas.datasets import DatasetDetail, DatasetOut, DatasetPatch, RevisionOut, RowsOut
from app.schemas.described import EXAMPLES, DatasetIn
from app.schemas.events import Fact
from app.schemas.facts import FactsOut, FeaturesOut, LeaksOut

router = APIRouter(prefix="/datasets", tags=["datasets"])
MediaType = Annotated[str, Header(alias="Content-Type", include_in_schema=False)]

EXAMPLE_ROWS = """account_id,as_of,seats,plan,churned
A000001,2025-03-01,12,team,false
A000002,2025-03-01,3,starter,true
A000003,2025-03-01,40,business,false
"""
FILE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file itself; whether it is CSV (UTF-8, with a header) or Parquet is told by its content.",
        "content": {
            "text/csv": {"schema": {"type": "string", "example": EXAMPLE_ROWS}},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
EXAMPLE_FACTS = """account_id,occurred_at,kind,amount
A000001,2025-02-11T09:30:00Z,login,
A000001,2025-02-28T00:00:00Z,invoice,49.00
A000002,2025-02-27T16:05:00Z,ticket,
"""
FACTS_BODY: dict[str, Any] = {
    "requestBody": {
        **FILE_BODY["requestBody"],
        "content": {
            "text/csv": {"schema": {"type": "string", "example": EXAMPLE_FACTS}},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
UNKNOWN = refusals(404, 422)
REFUSALS = UNKNOWN | refusals(409, 413, 415)
NOT_THE_OPERATOR = refusals(401, 403)


@router.post(
    "",
    operation_id="create_dataset",
    status_code=201,
    responses=NOT_THE_OPERATOR | refusals(409, 422),
    openapi_extra=OPERATOR_WHERE_NEEDED,
)
async def create_dataset(
    body: Annotated[DatasetIn, Body(openapi_examples=EXAMPLES)],
    caller: Caller,
    operator: OperatorWhereNeeded,
    services: ServicesDep,
) -> DatasetOut:
    """Describe a source: snapshots of accounts, or facts of which their features and labels are built.

    With `defaults.evaluation`, the gate's bar, it takes the operator's token.
    """
    return await services.datasets.create(body, actor=caller.name, require_operator=operator)


@router.get("", operation_id="list_datasets", responses=refusals(422))
async def list_datasets(paging: PagingDep, services: ServicesDep) -> Page[DatasetOut]:
    """List datasets by name."""
    return await services.datasets.list_datasets(limit=paging.limit, cursor=paging.cursor)


@router.get("/{name}", operation_id="get_dataset", responses=UNKNOWN)
async def get_dataset(name: DatasetName, services: ServicesDep) -> DatasetDetail:
    """Show a dataset: its newest rows' columns, types, ranges, missing shares and label balance, and its revisions."""
    return await services.datasets.get(name)


@router.patch(
    "/{name}",
    operation_id="update_dataset",
    responses=NOT_THE_OPERATOR | UNKNOWN,
    openapi_extra=OPERATOR_WHERE_NEEDED,
)
async def update_dataset(
    name: DatasetName, body: DatasetPatch, operator: OperatorWhereNeeded, services: ServicesDep
) -> DatasetOut:
    """Replace sections of the dataset's default configuration; to change `evaluation` takes the operator's token."""
    return await services.datasets.update(name, body, require_operator=operator)


@router.delete(
    "/{name}",
    operation_id="delete_dataset",
    status_code=204,
    responses=NOT_THE_OPERATOR | UNKNOWN | refusals(409),
    openapi_extra=OPERATOR_WHERE_NEEDED,
)
async def delete_dataset(name: DatasetName, operator: OperatorWhereNeeded, services: ServicesDep) -> None:
    """Delete a dataset that has no rows yet, so that it can be described anew.

    Where its defaults have an `evaluation`, it takes the operator's token.
    """
    await services.datasets.delete(name, require_operator=operator)


@router.put("/{name}/rows", operation_id="replace_rows", status_code=201, responses=REFUSALS, openapi_extra=FILE_BODY)
async def replace_rows(
    name: DatasetName, request: Request, caller: Caller, services: ServicesDep, content_type: MediaType = ""
) -> RowsOut:
    """Upload a file that replaces the rows: a new revision; types are inferred over all rows of the file."""
    return await services.uploads.replace(name, request.stream(), media_type=content_type, actor=caller.name)


@router.post("/{name}/rows", operation_id="append_rows", status_code=201, responses=REFUSALS, openapi_extra=FILE_BODY)
async def append_rows(
    name: DatasetName, request: Request, caller: Caller, services: ServicesDep, content_type: MediaType = ""
) -> RowsOut:
    """Upload rows to add: a new revision, in which a row of the same account (and instant) replaces the earlier one."""
    return await services.uploads.append(name, request.stream(), media_type=content_type, actor=caller.name)


@router.put(
    "/{name}/facts/{fact}", operation_id="replace_facts", status_code=201, responses=REFUSALS, openapi_extra=FACTS_BODY
)
async def replace_facts(
    name: DatasetName,
    fact: Fact,
    *,
    request: Request,
    caller: Caller,
    services: ServicesDep,
    content_type: MediaType = "",
) -> FactsOut:
    """Upload a file that replaces the accounts, subscriptions or events of a dataset: a new revision."""
    return await services.facts.replace(name, fact, request.stream(), media_type=content_type, actor=caller.name)


@router.post(
    "/{name}/facts/{fact}", operation_id="append_facts", status_code=201, responses=REFUSALS, openapi_extra=FACTS_BODY
)
async def append_facts(
    name: DatasetName,
    fact: Fact,
    *,
    request: Request,
    caller: Caller,
    services: ServicesDep,
    content_type: MediaType = "",
) -> FactsOut:
    """Upload facts to add, older ones too: a new revision; a file that was taken in before adds nothing."""
    return await services.facts.append(name, fact, request.stream(), media_type=content_type, actor=caller.name)


@router.get("/{name}/features", operation_id="list_features", responses=UNKNOWN | refusals(409))
async def list_features(name: DatasetName, services: ServicesDep) -> FeaturesOut:
    """Say what each feature that is built of facts means, its unit, and whether an account manager can act on it."""
    return await services.features.describe(name)


@router.get("/{name}/leaks", operation_id="find_leaks", responses=UNKNOWN | refusals(409))
async def find_leaks(name: DatasetName, services: ServicesDep) -> LeaksOut:
    """Look for features that know the outcome, in the rows that a training would learn from now."""
    return await services.leaks.find(name)


@router.get("/{name}/revisions", operation_id="list_revisions", responses=UNKNOWN)
async def list_revisions(name: DatasetName, paging: PagingDep, services: ServicesDep) -> Page[RevisionOut]:
    """List the revisions of a dataset, the newest first."""
    return await services.datasets.list_revisions(name, limit=paging.limit, cursor=paging.cursor)
