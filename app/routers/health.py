"""Liveness, readiness and metrics."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.deps import ServicesDep, refusals
from app.schemas.health import HealthOut, ReadyOut

router = APIRouter(tags=["health"])


@router.get("/healthz", operation_id="get_health")
async def get_health() -> HealthOut:
    """Say that the process is alive; touches nothing else."""
    return HealthOut()


@router.get("/readyz", operation_id="get_readiness", responses=refusals(503))
async def get_readiness(services: ServicesDep) -> ReadyOut:
    """Say whether the database answers and is migrated."""
    return await services.health.readiness()


@router.get(
    "/metrics",
    operation_id="get_metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def get_metrics() -> Response:
    """Metrics in Prometheus's text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
