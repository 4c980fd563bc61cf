"""What the policy of the gate takes and answers."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field

from app.schemas.common import BodyIn, BodyOut, Name
from app.schemas.config import EvaluationConfig
from app.schemas.promotions import Reason

ForDataset = Field(default=None, description="Null: for all datasets that have no document of their own.")


class PolicyIn(BodyIn):
    """A new version of the policy: the whole bar; what is left out is as in the code, not as before."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"evaluation": {"min_auc": 0.75, "promotion_rule": "better"}, "reason": "as agreed with sales"}
            ]
        }
    )

    dataset: Name | None = ForDataset
    evaluation: EvaluationConfig
    reason: Reason


class PolicyOut(BodyOut):
    """A document of the policy."""

    number: int
    dataset: str | None = ForDataset
    evaluation: EvaluationConfig
    reason: str
    actor: str
    created_at: datetime


class PolicyInForceOut(BodyOut):
    """The bar that counts, and where it comes from."""

    dataset: str | None = Field(description="The dataset asked for; null: any that has no document of its own.")
    source: Literal["dataset", "all_datasets", "defaults"] = Field(
        description="Its own document, the one for all, or none: the dataset's defaults, the settings, the code."
    )
    evaluation: EvaluationConfig
    document: PolicyOut | None
    head: int = Field(description="Number of the newest document of just this scope, also the ETag; 0: none.")
    datasets_with_their_own: list[str] = Field(description="Those for which the document for all does not count.")
