"""How a dataset of raw facts is described: where each fact stands in the files, who is active, and what churn is."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, StrictBool, model_validator

from app.schemas.common import BodyIn
from app.schemas.config import Whole
from app.schemas.datasets import ColumnName, Days, DescribedIn, SourceTable

Fact = Literal["accounts", "subscriptions", "events"]
FACTS: tuple[Fact, ...] = ("accounts", "subscriptions", "events")
Kind = Annotated[str, Field(min_length=1, max_length=100)]
MAX_FEATURES = 1_600  # of a row: PostgreSQL has no more columns in a table, and 1,664 in the answer of a query
FIRST_INSTANT, END_OF_INSTANTS = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _require_within(instant: datetime) -> datetime:
    """Near the ends of the calendar neither zones nor windows can be reckoned with; comparing is safe."""
    if not FIRST_INSTANT <= instant < END_OF_INSTANTS:
        raise ValueError(f"an instant lies between the years {FIRST_INSTANT.year} and {END_OF_INSTANTS.year}")
    return instant.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_require_within)]
Window = Annotated[Whole, Field(ge=1, le=3650)]
# The columns of the rows that are built, as those of an upload of snapshots would be named.
BUILT_COLUMNS: dict[str, Any] = {
    "id_column": "account_id",
    "label_column": "churned",
    "positive_value": "true",
    "as_of_column": "as_of",
    "exclude_columns": [],
    "source_table": None,
}


class FactsIn(BodyIn):
    """Where the facts of one kind stand in their files, or in a table of this database."""

    id_column: ColumnName = "account_id"
    recorded_at_column: ColumnName | None = Field(
        default=None, description="When the row became known; it is not seen before. An empty cell: as it happened."
    )
    source_table: SourceTable | None = Field(
        default=None, description="`schema.table` of this database: copied as each job starts, instead of uploads."
    )

    @property
    def named(self) -> dict[str, str]:
        """The columns of the file by what they are: `occurred_at` -> 'InvoiceDate'."""
        fields = self.model_dump(include={name for name in type(self).model_fields if name.endswith("_column")})
        return {field.removesuffix("_column"): name for field, name in fields.items() if name is not None}

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = list(self.named.values())
        if len(set(names)) < len(names):
            raise ValueError("each column can be one thing only")
        return self


class AccountsIn(FactsIn):
    """Accounts and their attributes: a row for each state of an account, valid from an instant on."""

    created_at_column: ColumnName = "created_at"
    valid_from_column: ColumnName | None = Field(
        default=None, description="Since when the attributes are so; without it since the account was made."
    )
    value_column: ColumnName | None = Field(default=None, description="What the account is worth, in money.")
    exclude_columns: list[ColumnName] = Field(
        default=[], max_length=1000, description="Columns that are no attributes."
    )
    actionable: list[ColumnName] = Field(
        default=[], max_length=1000, description="Attributes that an account manager can act on."
    )


class SubscriptionsIn(FactsIn):
    """Contracts: from when to when, on which plan, for how much a period."""

    subscription_id_column: ColumnName | None = Field(
        default=None,
        description="A later row of the same account and id replaces the earlier; without it, of the "
        "same account and start.",
    )
    started_at_column: ColumnName = "started_at"
    ended_at_column: ColumnName = Field(default="ended_at", description="An empty cell: it runs.")
    plan_column: ColumnName | None = None
    amount_column: ColumnName | None = Field(default=None, description="The recurring amount, in money.")


class EventsTableIn(FactsIn):
    """What accounts did, or what was done to them, and when."""

    occurred_at_column: ColumnName = "occurred_at"
    kind_column: ColumnName | None = Field(default=None, description="Without it all are of the kind `event`.")
    quantity_column: ColumnName | None = None
    amount_column: ColumnName | None = Field(default=None, description="Money.")
    event_id_column: ColumnName | None = Field(
        default=None,
        description="A later row of the same account and id replaces the earlier, so that uploads may "
        "overlap; without it only a whole file sent twice is seen to be the same.",
    )


class SubscriptionRule(BodyIn):
    """Active: a subscription runs. Churned: it ends, and none follows within the grace."""

    kind: Literal["subscription"] = "subscription"


class EventRule(BodyIn):
    """Active: an event in the last `days`. Churned: none in the horizon."""

    kind: Literal["event"] = "event"
    days: Window = 90
    event_kinds: list[Kind] | None = Field(default=None, min_length=1, max_length=50, description="By default all.")


class BuiltIn(DescribedIn):
    """What every dataset says whose rows are made as of an instant."""

    horizon_days: Annotated[Whole, Field(ge=1, le=3650)] = Field(
        description="Days after as_of (plus lead_days) in which a churn counts."
    )
    lead_days: Annotated[Days, Field(le=3650)] = Field(
        0, description="Days after as_of that are needed to act: who leaves in them is neither kept nor churned."
    )
    grace_days: Annotated[Days, Field(le=3650)] = Field(0, description="Days in which a return undoes a churn.")
    step_days: Annotated[Whole, Field(ge=1, le=3650)] = Field(30, description="Between two instants of the training.")
    max_instants: Annotated[Whole, Field(ge=1, le=60)] = Field(12, description="Of the training, the newest.")
    instants: list[Instant] | None = Field(
        default=None, min_length=1, max_length=60, description="The instants themselves, instead of steps."
    )

    def columns(self) -> dict[str, Any]:
        """As columns of the table of datasets."""
        kept = self.model_dump(include={"name", "kind", "split_seed", "horizon_days", "lead_days", "grace_days"})
        described = {*DescribedIn.model_fields, *kept}
        return BUILT_COLUMNS | kept | {"spec": self.model_dump(exclude=described, mode="json")}


class EventsIn(BuiltIn):
    """Raw facts, of which features and labels are built as of any instant."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "shop",
                    "kind": "events",
                    "events": {"id_column": "customer", "occurred_at_column": "ordered_at", "amount_column": "total"},
                    "active": {"kind": "event", "days": 90},
                    "horizon_days": 60,
                }
            ]
        }
    )

    kind: Literal["events"]
    accounts: AccountsIn | None = Field(default=None, description="Without it, accounts are those of the other facts.")
    subscriptions: SubscriptionsIn | None = None
    events: EventsTableIn
    active: Annotated[SubscriptionRule | EventRule, Field(discriminator="kind")]
    windows_days: list[Window] = Field(default=[7, 14, 30, 60, 90, 180], min_length=1, max_length=12)
    so_far: StrictBool = Field(
        default=False,
        description="Also count and sum everything so far. Such figures grow with the log: they drift by themselves.",
    )
    max_kinds: Annotated[Whole, Field(ge=1, le=40)] = Field(
        20, description="Kinds of event with features of their own, the commonest; the rest counts as `other`."
    )
    exclude_features: list[ColumnName] = Field(default=[], max_length=1000, description="Features to leave out.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.active.kind == "subscription" and self.subscriptions is None:
            raise ValueError("the rule `subscription` needs subscriptions")
        if self.active.kind == "event" and self.grace_days:
            raise ValueError("grace_days is for contracts: without them a return after the horizon is a new beginning")
        if len(set(self.windows_days)) < len(self.windows_days):
            raise ValueError("windows_days must differ")
        if self.n_features_at_most > MAX_FEATURES:
            raise ValueError(
                f"{self.n_kinds_at_most} kinds of event in {len(self.windows_days)} windows may be "
                f"{self.n_features_at_most:,} features, and {MAX_FEATURES:,} are the most: lower max_kinds, or leave "
                "windows out"
            )
        return self

    @property
    def n_kinds_at_most(self) -> int:
        """Kinds with features of their own; those that say who is active always are."""
        always = self.active.event_kinds or () if self.active.kind == "event" else ()
        return max(self.max_kinds, len(always))

    @property
    def n_features_at_most(self) -> int:
        """Of events: for each kind and all others counts, days and sums in each window, means, trends."""
        n_windows = len(self.windows_days)
        n_sums = sum(column is not None for column in (self.events.quantity_column, self.events.amount_column))
        of_kind = (n_windows + self.so_far) * (2 + n_sums) + n_sums + 1 + max(0, n_windows - 2)
        return (self.n_kinds_at_most + 1) * of_kind + n_windows

    @property
    def facts(self) -> dict[Fact, FactsIn]:
        """The kinds of fact that there are."""
        return {fact: found for fact in FACTS if (found := getattr(self, fact)) is not None}


def read_spec(columns: dict[str, Any], spec: dict[str, Any]) -> EventsIn:
    """The description of a dataset of events, from the columns of its row."""
    return EventsIn.model_validate({**columns, **spec})


def utc_instants(spec: BuiltIn) -> list[datetime]:
    """The instants that are named, newest first."""
    return sorted(set(spec.instants or ()), reverse=True)
