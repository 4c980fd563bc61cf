"""What the gate takes and answers."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from app.schemas.common import BodyIn, BodyOut
from app.schemas.config import EvaluationConfig

Include = Literal["curves"]
Revision = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]


class EvaluateIn(BodyIn):
    """Have the gate judge a version; a bar other than the policy in force makes the verdict advisory."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"evaluation": {"min_auc": 0.75}}]})

    evaluation: EvaluationConfig = EvaluationConfig()
    revision: Revision | None = Field(
        default=None,
        description="The dataset's revision to judge on; by default its own, never an older one.",
    )


class CheckOut(BodyOut):
    """One of the gate's checks with the numbers its verdict rests on."""

    name: str
    estimate: float | None
    interval: tuple[float, float] | None
    confidence: float
    threshold: float | tuple[float, float] | None
    verdict: Literal["pass", "fail", "insufficient", "not_applicable"]
    sentence: str
    details: dict[str, Any]


class TestSideOut(BodyOut):
    """How often the rows that judge have been looked at, and what that costs."""

    look: int = Field(description="Which look at these rows this is: 1 + the other bundles judged on them before.")
    confidence: float = Field(description="Of the intervals that had to pass; each look takes more. Failing does not.")
    n_candidates: int = Field(description="Bundles judged on any of these rows, this one and advisory ones included.")


class EvaluationOut(BodyOut):
    """A verdict of the gate."""

    id: int
    version: int
    dataset: str
    revision: int
    job_id: int
    champion_version: int | None = Field(description="What was in Production, and so the version it was compared with.")
    bundle_sha256: str
    recommendation: Literal["promote", "hold", "reject"]
    provisional: bool
    advisory: bool = Field(description="Judged by another bar than the policy in force; promotes nothing.")
    rule: str
    weak_evidence: bool = Field(description="By the rule `no_harm`, which only the policy can set.")
    sentences: list[str]
    checks: list[CheckOut]
    deciding_check: str
    insufficient: list[str]
    power: dict[str, Any]
    baseline_as_good: bool
    evidence: Literal["test_side", "cross_fitted"] = Field(
        description="What the figures rest on: this version on its test side, or its recipe refitted in folds."
    )
    test_side: TestSideOut | None = Field(description="Null for verdicts of before looks were counted.")
    rows: dict[str, Any] = Field(description="Which rows it rests on.")
    evaluation: EvaluationConfig = Field(description="The effective bar.")
    curves: dict[str, Any] | None = Field(
        default=None,
        description="What each cut-off and top share catches and earns; null where `include=curves` is not asked for.",
    )
    next: list[str] = Field(description="Calls to make next.")
    created_at: datetime
