"""The gate's policy: the bar in force, changing it, and its versions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response

from app.deps import Caller, PagingDep, ServicesDep, only_operator, refusals
from app.schemas.common import Name, Page, Text
from app.schemas.gate import DryRunIn, DryRunOut, PolicyIn, PolicyInForceOut, PolicyOut

router = APIRouter(prefix="/gate", tags=["gate"])

NOT_FOUND = refusals(404, 422)
REFUSED = refusals(401, 403, 404, 412, 422)
IfMatch = Annotated[
    Text | None,
    Header(max_length=200, description='The ETag of GET /gate/policy, such as `"7"`: a lost race is then a 412.'),
]
ScopeQuery = Annotated[Name | None, Query(description="A dataset; without one, that for datasets without their own.")]


@router.get("/policy", operation_id="get_gate_policy", responses=NOT_FOUND)
async def get_gate_policy(response: Response, services: ServicesDep, dataset: ScopeQuery = None) -> PolicyInForceOut:
    """Show the bar in force; its ETag can be sent as If-Match when changing it."""
    policy = await services.gate.show(dataset)
    response.headers["ETag"] = f'"{policy.head}"'
    return policy


@router.put("/policy", operation_id="put_gate_policy", responses=REFUSED, dependencies=[Depends(only_operator)])
async def put_gate_policy(
    body: PolicyIn, response: Response, caller: Caller, services: ServicesDep, if_match: IfMatch = None
) -> PolicyOut:
    """Write a new version of the policy, with a reason; verdicts by the one before no longer hold. Operator only."""
    policy = await services.gate.put(body, if_match=if_match, actor=caller.name)
    response.headers["ETag"] = f'"{policy.number}"'
    return policy


@router.get("/policy/versions", operation_id="list_gate_policies", responses=NOT_FOUND)
async def list_gate_policies(
    paging: PagingDep,
    services: ServicesDep,
    dataset: Annotated[Name | None, Query(description="Only a dataset's own.")] = None,
) -> Page[PolicyOut]:
    """List the versions of the policy, newest first: who, when, why."""
    return await services.gate.list_versions(dataset, limit=paging.limit, cursor=paging.cursor)


@router.post("/policy/dry-run", operation_id="try_gate_policy", responses=NOT_FOUND)
async def try_gate_policy(body: DryRunIn, services: ServicesDep) -> DryRunOut:
    """Tell what a policy would have decided for the versions judged last, by judging again; nothing is changed."""
    return await services.dry_runs.dry_run(body)
