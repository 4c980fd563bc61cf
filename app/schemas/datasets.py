"""What datasets take and answer: their description, uploads, revisions."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from app.schemas.common import BodyIn, BodyOut, Name
from app.schemas.config import EvaluationConfig, ModelConfig, MonitoringConfig, ScoringConfig, TrainingConfig, Whole

ColumnName = Annotated[str, Field(min_length=1, max_length=200)]
Days = Annotated[Whole, Field(ge=0, le=36_500)]
SourceTable = Annotated[str, Field(min_length=3, max_length=130, pattern=r"^[^.]+\.[^.]+$")]
SAMPLE_DATASET: dict[str, str | int] = {
    "name": "customers",
    "id_column": "account_id",
    "label_column": "churned",
    "positive_value": "true",
    "as_of_column": "as_of",
    "horizon_days": 60,
}


class DefaultsIn(BodyIn):
    """Partial configs that requests on this dataset start from; what a request names wins.

    `evaluation` is the gate's bar: to set, change or remove it takes the operator's token.
    """

    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    scoring: ScoringConfig = ScoringConfig()
    monitoring: MonitoringConfig = MonitoringConfig()

    def given(self) -> dict[str, Any]:
        """The sections and fields that were given, as plain data."""
        return self.model_dump(exclude_unset=True, mode="json")


class DescribedIn(BodyIn):
    """What every dataset is described by."""

    name: Name
    defaults: DefaultsIn = DefaultsIn()
    split_seed: Annotated[Whole, Field(ge=0, le=2**31 - 1)] = Field(
        default=1, description="With the accounts' ids, it deals accounts to train, validation and test."
    )


class SnapshotsIn(DescribedIn):
    """A source of features and labels: one row per account, or per account and instant."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**SAMPLE_DATASET}]})

    kind: Literal["snapshots"] = "snapshots"
    id_column: ColumnName = Field(description="Names the account; its cells are kept as written.")
    label_column: ColumnName = Field(description="Whether the account churned; an empty cell: not known yet.")
    positive_value: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="What the label says where the account churned, as written: `Yes`, `1`, `true`."
    )
    as_of_column: ColumnName | None = Field(
        default=None, description="The instant at which the row's features were seen (ISO 8601; without a zone: UTC)."
    )
    horizon_days: Annotated[Whole, Field(ge=1, le=36_500)] | None = Field(
        default=None, description="Days after as_of (plus lead_days) in which a churn counts."
    )
    lead_days: Days = 0
    grace_days: Days = Field(
        0,
        description="Days after the horizon in which a return undoes a churn; it ends what a version knows.",
    )
    exclude_columns: list[ColumnName] = Field(default=[], max_length=1000, description="Columns that are no features.")
    source_table: SourceTable | None = Field(
        default=None, description="`schema.table` of this database: read instead of uploads, as each job starts."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        special = [name for name in (self.id_column, self.label_column, self.as_of_column) if name]
        if len(set(special)) < len(special):
            raise ValueError("id_column, label_column and as_of_column must differ")
        if set(special) & set(self.exclude_columns):
            raise ValueError("exclude_columns must not name the id, label or as_of column")
        return self

    def columns(self) -> dict[str, Any]:
        """As columns of the table of datasets."""
        return self.model_dump(exclude={"defaults"})


class DatasetPatch(BodyIn):
    """Sections of defaults to replace; the others stay as they are. An empty section clears it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"defaults": {"training": {"n_folds": 5}}}]})

    defaults: DefaultsIn


class LevelOut(BodyOut):
    """A value of a text column, and how many rows have it."""

    level: str
    n: int


class ColumnOut(BodyOut):
    """What was understood of a column, over all rows."""

    name: str
    kind: Literal["numeric", "boolean", "categorical", "timestamp", "unsupported", "label"]
    excluded: str | None = Field(description="Why it is no feature; null where it is one.")
    note: str | None = Field(default=None, description="What to look at.")
    missing_share: float | None = Field(default=None, description="Rows without a value, 0..1.")
    minimum: float | None = None
    maximum: float | None = None
    n_infinite: int | None = None
    n_true: int | None = None
    n_levels: int | None = None
    levels: list[LevelOut] | None = Field(default=None, description="The commonest, at most 50.")


class InstantOut(BodyOut):
    """The rows of one instant."""

    as_of: datetime
    n_rows: int
    n_labelled: int
    n_churned: int


class RevisionOut(BodyOut):
    """An immutable state of a dataset's rows."""

    number: int
    n_rows: int
    n_accounts: int
    n_labelled: int = Field(description="Rows whose label is known.")
    n_churned: int
    churn_rate: float | None = Field(description="Churned among the labelled rows, 0..1; null without labels.")
    data_hash: str = Field(description="SHA-256 of names, kinds and cells; the order of rows has no effect.")
    created_at: datetime
    created_by: str


class RevisionDetail(RevisionOut):
    """A revision with what is in it."""

    columns: list[ColumnOut]
    instants: list[InstantOut] = Field(description="The newest 200; empty in undated data, and where rows are built.")
    facts: dict[str, Any] | None = Field(
        description="Where rows are built: what there is of each kind of fact, and up to when they are complete."
    )


class RowsOut(RevisionDetail):
    """What was understood of an upload: the revision it made."""

    dataset: str
    n_rows_uploaded: int
    warnings: list[str]


class QueryColumnOut(BodyOut):
    """A column that the features query returns."""

    name: str
    type: str = Field(description="As the warehouse calls it.")
    kind: Literal["numeric", "boolean", "categorical", "timestamp", "unsupported"]
    excluded: str | None = Field(description="Why it is no feature; null where it is one.")


class UnderstoodOut(BodyOut):
    """What the queries of a dataset returned when they were tried out."""

    as_of: datetime
    columns: list[QueryColumnOut]
    label_type: str
    n_rows: int
    n_labelled: int
    n_churned: int
    is_sample: bool = Field(description="There were more rows than were looked at.")
    warnings: list[str]


class DatasetOut(BodyOut):
    """A dataset as it was described."""

    name: str
    kind: str
    id_column: str
    label_column: str
    positive_value: str
    as_of_column: str | None
    horizon_days: int | None
    lead_days: int
    grace_days: int
    exclude_columns: list[str]
    source_table: str | None
    spec: dict[str, Any] | None = Field(description="Of events and queries: the rest of their description.")
    understood: UnderstoodOut | None = Field(
        default=None, description="Of queries, in the answer to their description: what they returned."
    )
    defaults: dict[str, Any]
    split_seed: int
    created_at: datetime
    created_by: str


class DatasetDetail(DatasetOut):
    """A dataset with its newest revision, and the numbers of those before it."""

    revision: RevisionDetail | None = Field(description="The newest one; null before the first upload.")
    revisions: list[RevisionOut] = Field(description="The newest 20.")
