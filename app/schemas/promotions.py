"""What the ledger takes and answers."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StrictBool, model_validator

from app.schemas.common import BodyIn, BodyOut, Name

Stage = Literal["Production", "Staging"]
Reason = Annotated[str, Field(min_length=1, max_length=1000, description="Why, in words; kept in the ledger.")]


class PromoteIn(BodyIn):
    """Put a version in a stage."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"stage": "Production", "reason": "weekly model"}]})

    stage: Stage = "Production"
    force: StrictBool = Field(default=False, description="Pass over the gate; needs a reason, and is marked.")
    reason: Reason | None = None

    @model_validator(mode="after")
    def _force_is_explained(self) -> Self:
        if self.force and not self.reason:
            raise ValueError("force needs a reason")
        return self


class RollbackIn(BodyIn):
    """Go back to a version that was in Production before."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "the new champion scores everybody high"}]})

    dataset: Name | None = Field(default=None, description="May be left out while there is only one.")
    version: Annotated[int, Field(strict=True, ge=1, le=999_999_999)] | None = Field(
        default=None, description="Where to go back to; by default the version that the champion took over from."
    )
    reason: Reason


class PromotionOut(BodyOut):
    """An entry of the ledger."""

    id: int
    dataset: str
    stage: Stage
    action: Literal["promote", "rollback"]
    from_version: int | None
    to_version: int
    anchor_version: int | None = Field(description="The last version promoted as better: margins count from it.")
    evaluation_id: int | None
    recommendation: Literal["promote", "hold", "reject"] | None = Field(
        description="The gate's verdict it rests on; of a rollback, that of its time."
    )
    rule: str | None
    weak_evidence: bool = Field(description="Promoted by the rule `no_harm`: it was not shown to be worse, no more.")
    forced: bool
    provisional: bool
    reason: str | None
    actor: str
    created_at: datetime


class HeadOut(BodyOut):
    """The newest entry of a ledger; `head`, also the ETag, is 0 while there is none."""

    dataset: str
    stage: Stage
    head: int
    promotion: PromotionOut | None
