"""What the policy of the gate takes and answers."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from app.schemas.common import BodyIn, BodyOut, Name
from app.schemas.config import EvaluationConfig, WholeBar
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
    evaluation: WholeBar
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


class DryRunIn(BodyIn):
    """Ask what a policy would have decided; nothing is changed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"evaluation": {"min_auc": 0.8}, "n_versions": 10}]})

    evaluation: WholeBar = Field(description="The whole bar, as PUT /gate/policy would store it.")
    dataset: Name | None = Field(default=None, description="May be left out while there is only one.")
    n_versions: Annotated[int, Field(strict=True, ge=1, le=50)] = Field(
        default=10, description="How many of the versions that were judged last."
    )


class DecisionOut(BodyOut):
    """What the gate said, in short."""

    recommendation: Literal["promote", "hold", "reject"]
    provisional: bool
    rule: str
    failed: list[str] = Field(description="Names of the checks that failed.")
    insufficient: list[str] = Field(description="Names of the checks that could not decide.")
    sentence: str


class RejudgedOut(BodyOut):
    """A version's newest verdict that counts, and what it would have been."""

    version: int
    evaluation_id: int
    judged_at: datetime
    champion_version: int | None = Field(description="What was in Production then: it is compared with that again.")
    was: DecisionOut
    would_be: DecisionOut | None = Field(description="Null where the version can't be judged again: see `missing`.")
    changed: bool | None = Field(description="Another recommendation, or provisional where it was not; null: unknown.")
    missing: str | None = Field(description="Why it can't be judged again.")


class DryRunOut(BodyOut):
    """What a policy would have decided, beside what was decided."""

    dataset: str
    evaluation: EvaluationConfig = Field(description="The policy tried.")
    in_force: EvaluationConfig = Field(description="The policy that counts now.")
    n_judged_again: int
    n_changed: int
    versions: list[RejudgedOut] = Field(description="The versions judged last, newest verdict first.")
