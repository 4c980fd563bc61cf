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
    estimate: float | None = Field(description="Null where the rows can't tell.")
    interval: tuple[float, float] | None = Field(description="Of the estimate, at `confidence`.")
    confidence: float
    threshold: float | tuple[float, float] | None = Field(description="What was asked for; two where it is a range.")
    verdict: Literal["pass", "fail", "insufficient", "not_applicable"] = Field(
        description="`pass`: the interval reaches the threshold; `fail`: a wider one lies wholly beyond it; "
        "`insufficient`: the rows can't tell."
    )
    sentence: str = Field(description="The same in words.")
    details: dict[str, Any] = Field(description="The numbers behind it, and the churners that would decide.")


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
    provisional: bool = Field(description="A first champion on too few churners to be sure; judged again by itself.")
    advisory: bool = Field(description="Judged by another bar than the policy in force; promotes nothing.")
    rule: str = Field(description="`first_champion`, `better`, `not_worse` or `no_harm`.")
    weak_evidence: bool = Field(description="By the rule `no_harm`, which only the policy can set.")
    sentences: list[str] = Field(description="Why, the first one foremost.")
    checks: list[CheckOut]
    deciding_check: str = Field(description="The one that must pass: AUC for a first champion, else the improvement.")
    insufficient: list[str] = Field(description="Checks that these rows can't decide.")
    power: dict[str, Any] = Field(
        description="How often the deciding check passes a model truly equal to `reference`, .02 AUC better or worse."
    )
    baseline_as_good: bool = Field(
        description="The baseline is at most .01 AUC below the model, and not shown to be below it at all."
    )
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
