"""What crosses HTTP about jobs."""

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from app.schemas.common import BodyOut

JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ENDED: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})


class JobOut(BodyOut):
    """Long work: what was asked for, how far it is, and what came of it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 1,
                    "kind": "train",
                    "dataset": "customers",
                    "status": "running",
                    "step": "fit model",
                    "progress": 0.4,
                    "attempt": 1,
                    "params": {"register": True},
                    "result": None,
                    "problem": None,
                    "created_by": "anonymous",
                    "created_at": "2026-01-05T06:00:00Z",
                    "started_at": "2026-01-05T06:00:01Z",
                    "finished_at": None,
                }
            ]
        }
    )

    id: int
    kind: str = Field(description="`train`, `evaluate`, `rejudge`, `score`, `monitor` or `mirror_aliases`.")
    dataset: str | None = Field(description="The name of the dataset it is about.")
    status: JobStatus
    step: str | None = Field(description="What the present attempt is doing.")
    progress: float = Field(ge=0, le=1, description="The share of the work that is done.")
    attempt: int = Field(ge=0, description="How often it has been started; above 1 after a worker was lost.")
    params: dict[str, Any]
    result: dict[str, Any] | None = Field(description="What came of it, once it has succeeded.")
    problem: dict[str, Any] | None = Field(description="Why it failed, as problem+json has it.")
    created_by: str
    created_at: datetime
    started_at: datetime | None = Field(description="When the present attempt began.")
    finished_at: datetime | None

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ENDED
