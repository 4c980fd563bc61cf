"""Stages: promote, roll back, and the ledger of both."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from app.deps import Caller, DatasetQuery, PagingDep, ServicesDep, Version, refusals
from app.schemas.common import Page, Text
from app.schemas.promotions import HeadOut, PromoteIn, PromotionOut, RollbackIn, Stage

router = APIRouter(tags=["promotions"])

REFUSED = refusals(404, 409, 412, 422)
NOT_FOUND = refusals(404, 422)
TO_PRODUCTION = PromoteIn()
IfMatch = Annotated[
    Text | None,
    Header(max_length=200, description='The ETag of GET /promotions/head, such as `"7"`: a lost race is then a 412.'),
]
StageQuery = Annotated[Stage | None, Query(description="Only this stage.")]


@router.post("/models/{version}/promote", operation_id="promote_model", responses=REFUSED)
async def promote_model(
    version: Version,
    response: Response,
    services: ServicesDep,
    caller: Caller,
    *,
    body: PromoteIn = TO_PRODUCTION,
    if_match: IfMatch = None,
) -> PromotionOut:
    """Put a version in a stage; Production needs the gate's recommendation, made against the present champion."""
    entry = await services.promotion.promote(int(version), body, if_match=if_match, actor=caller.name)
    response.headers["ETag"] = f'"{entry.id}"'
    return entry


@router.post("/promotions/rollback", operation_id="roll_back_promotion", responses=REFUSED)
async def roll_back_promotion(
    body: RollbackIn, response: Response, caller: Caller, services: ServicesDep, if_match: IfMatch = None
) -> PromotionOut:
    """Go back to a version that was in Production before, by default the one the champion took over from."""
    entry = await services.promotion.rollback(body, if_match=if_match, actor=caller.name)
    response.headers["ETag"] = f'"{entry.id}"'
    return entry


@router.get("/promotions", operation_id="list_promotions", responses=NOT_FOUND)
async def list_promotions(
    paging: PagingDep, services: ServicesDep, dataset: DatasetQuery = None, stage: StageQuery = None
) -> Page[PromotionOut]:
    """List the ledger, newest first."""
    return await services.promotion.list_promotions(
        dataset=dataset, stage=stage, limit=paging.limit, cursor=paging.cursor
    )


@router.get("/promotions/head", operation_id="get_promotion_head", responses=NOT_FOUND)
async def get_promotion_head(
    response: Response, services: ServicesDep, dataset: DatasetQuery = None, stage: Stage = "Production"
) -> HeadOut:
    """Show the newest entry of a stage; its ETag can be sent as If-Match when promoting or rolling back."""
    head = await services.promotion.head(dataset, stage)
    response.headers["ETag"] = f'"{head.head}"'
    return head
