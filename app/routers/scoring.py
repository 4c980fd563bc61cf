"""Scoring: batches of all active accounts, single accounts at once, and reading both."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from app.deps import Caller, DatasetQuery, PagingDep, RunId, ServicesDep, accepted, refusals
from app.routers.tabular import CSV_CONTENT, Format, answer
from app.schemas.common import VERSION_PATTERN, Page, Text
from app.schemas.jobs import JobOut
from app.schemas.scoring import (
    AccountScoresOut,
    BatchIn,
    RunOut,
    ScoreIn,
    ScoreOut,
    ScoreSchemaOut,
    ScoresOut,
    TierName,
)
from app.services.scores import ScoreFilter

router = APIRouter(prefix="/score", tags=["scoring"])
PROBLEMS = refusals(404, 409, 422)
VersionQuery = Annotated[
    str | None, Query(pattern=VERSION_PATTERN, description="A version, or `champion`, `challenger`, `latest`.")
]
Account = Annotated[Text, Path(min_length=1, max_length=200, description="An account's id.", examples=["A000042"])]


def _filter(
    dataset: DatasetQuery = None,
    tier: Annotated[TierName | None, Query(description="One risk tier.")] = None,
    min_probability: Annotated[float | None, Query(ge=0, le=1, description="Smallest churn probability.")] = None,
    run: Annotated[
        str | None, Query(pattern=r"^[1-9][0-9]{0,17}$", description="A published run; by default the current one.")
    ] = None,
    version: VersionQuery = None,
) -> ScoreFilter:
    return ScoreFilter(dataset, tier, min_probability, int(run) if run else None, version)


Wanted = Annotated[ScoreFilter, Depends(_filter)]


@router.post("", operation_id="score_accounts", responses=PROBLEMS)
async def score_accounts(body: ScoreIn, services: ServicesDep) -> ScoresOut:
    """Score up to 1000 accounts now, by their features or by what the dataset knows of them, and keep the answers."""
    return await services.online.score(body)


@router.get("/schema", operation_id="get_score_schema", responses=PROBLEMS)
async def get_score_schema(
    services: ServicesDep, dataset: DatasetQuery = None, version: VersionQuery = "champion"
) -> ScoreSchemaOut:
    """Say which features a version reads."""
    return await services.online.describe(dataset, version or "champion")


@router.post("/batches", operation_id="score_batch", status_code=202, responses=PROBLEMS)
async def score_batch(body: BatchIn, response: Response, services: ServicesDep, caller: Caller) -> JobOut:
    """Score every active account of a dataset; readers see all of the new scores at once, or none."""
    return accepted(response, await services.scoring.submit(body, actor=caller.name))


@router.get(
    "/batches", operation_id="list_batches", response_model=Page[RunOut], responses=PROBLEMS | {200: CSV_CONTENT}
)
async def list_batches(
    services: ServicesDep, paging: PagingDep, dataset: DatasetQuery = None, form: Format = "json"
) -> Page[RunOut] | Response:
    """List the scoring runs, the newest first."""
    found = await services.scores.list_runs(dataset, limit=paging.limit, cursor=paging.cursor)
    return answer(found, form, RunOut)


@router.get("/batches/{run_id}", operation_id="get_batch", responses=PROBLEMS)
async def get_batch(run_id: RunId, services: ServicesDep) -> RunOut:
    """Tell what a scoring run found: counts, tiers, warnings."""
    return await services.scores.get_run(int(run_id))


@router.get(
    "/accounts", operation_id="list_scores", response_model=Page[ScoreOut], responses=PROBLEMS | {200: CSV_CONTENT}
)
async def list_scores(
    wanted: Wanted, services: ServicesDep, paging: PagingDep, form: Format = "json"
) -> Page[ScoreOut] | Response:
    """List accounts by risk, the riskiest first, with reasons; as CSV all of them, whatever `limit` says."""
    found = await services.scores.list_accounts(wanted, limit=paging.limit, cursor=paging.cursor, as_csv=form == "csv")
    return answer(found, form, ScoreOut)


@router.get("/accounts/{account_id:path}", operation_id="get_account_scores", responses=PROBLEMS)
async def get_account_scores(
    account_id: Account,
    services: ServicesDep,
    dataset: DatasetQuery = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Scores of its history.")] = 20,
) -> AccountScoresOut:
    """Tell what was said about one account: the newest score, the current one, and those before."""
    return await services.scores.get_account(dataset, account_id, limit=limit)
