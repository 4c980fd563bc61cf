"""What uploads of facts answer, and the features that are built of them."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.schemas.common import BodyOut
from app.schemas.events import Fact


class KindOut(BodyOut):
    """A kind of event, and how many there are."""

    kind: str
    n: int
    n_quantity: int = Field(description="Events with a quantity.")
    n_amount: int = Field(description="Events with an amount.")


class FactTableOut(BodyOut):
    """The facts of one kind, as a revision has them."""

    n_rows: int
    first_at: datetime | None
    last_at: datetime | None = Field(
        description="When the newest of them happened (subscriptions: began or ended), as far as that is not in the "
        "future; when it was recorded does not count."
    )
    kinds: list[KindOut] = Field(description="Of events: the commonest, at most 200.")


class FactsOut(FactTableOut):
    """What was understood of an upload of facts: the revision it made."""

    dataset: str
    fact: Fact
    revision: int
    n_rows_added: int
    already_there: bool = Field(description="This very file was taken in before: nothing was added.")
    known_until: datetime | None = Field(
        description="Up to when the facts are complete: the end of the day of the newest event that is not in the "
        "future; null before events have come. Labels mature, and accounts are scored, by this instant."
    )
    missing: list[Fact] = Field(description="Facts that are described and have not come yet; a training needs them.")
    warnings: list[str]


class FeatureDefinitionOut(BodyOut):
    """A feature that is built of facts."""

    name: str
    kind: Literal["numeric", "boolean", "categorical"]
    words: str = Field(description="What it means; reasons use these words.")
    unit: str = Field(description="Empty where it has none.")
    actionable: bool = Field(description="An account manager can do something about it.")


class FindingOut(BodyOut):
    """A feature (or the order of ids or rows) that seems to know the outcome."""

    name: str = Field(description="By which `training.accept_leaks` accepts it.")
    feature: str
    probe: str
    level: Literal["certain", "suspected"] = Field(description="A certain one stops training, a suspected one warns.")
    evidence: dict[str, float | None]
    sentence: str
    remedy: str


class LeaksOut(BodyOut):
    """What the probes found in the rows that a training would learn from."""

    dataset: str
    revision: int
    job_id: int | None = Field(description="The training that found it; null where the rows were looked at just now.")
    findings: list[FindingOut]


class FeaturesOut(BodyOut):
    """The features of a dataset, under the kinds of event that its newest revision knows."""

    dataset: str
    revision: int
    features: list[FeatureDefinitionOut]
    other_kinds: list[str] = Field(description="Kinds of event without features of their own: counted as `other`.")
