"""Training: the start of a version's life."""

from fastapi import APIRouter, Response, status

from app.deps import Caller, ServicesDep, accepted, refusals
from app.schemas.jobs import JobOut
from app.schemas.training import TrainIn

router = APIRouter(tags=["training"])

REFUSED = refusals(404, 409, 422)
BY_DEFAULTS = TrainIn()


@router.post(
    "/train",
    operation_id="train_model",
    status_code=status.HTTP_202_ACCEPTED,
    responses=REFUSED,
)
async def train_model(response: Response, caller: Caller, services: ServicesDep, body: TrainIn = BY_DEFAULTS) -> JobOut:
    """Train a model and its baseline on the dataset's newest revision."""
    return accepted(response, await services.training.submit(body, actor=caller.name))
