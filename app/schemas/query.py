"""How a dataset is described whose features and labels are queries of the user's own, in a warehouse of their own."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from app.schemas.config import Whole
from app.schemas.datasets import ColumnName
from app.schemas.events import BuiltIn
from app.settings import SOURCE_VARIABLES
from app.sql.placeholders import require_query

SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
FEATURE_NAMES = ("as_of",)
LABEL_NAMES = ("as_of", "horizon_days", "lead_days", "grace_days")
MAX_SQL_LENGTH = 100_000
_SCHEMES = ("postgresql", "postgres")
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_PORT = 5432


@dataclass(frozen=True)
class SourceAddress:
    """Where a warehouse is, and as whom it is read."""

    host: str
    port: int
    user: str
    database: str
    ssl_mode: str


def read_source_url(url: str) -> SourceAddress:
    """The parts of a URL of PostgreSQL.

    Raises
    ------
    ValueError
        Says what is wrong without repeating the URL: there may be a password in it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORT
    except ValueError:
        raise ValueError("it is no URL of the form postgresql://user@host:port/database") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError("it must begin with postgresql://")
    if parts.password is not None:
        raise ValueError("a password has no place in it: name an environment variable by password_env")
    host = parts.hostname or ""
    if not _HOST.fullmatch(host):
        raise ValueError("it must name one host that is reached by TCP")
    user, database = unquote(parts.username or ""), unquote(parts.path.removeprefix("/"))
    if not user or not database or "/" in database or parts.fragment:
        raise ValueError("it must name a user and a database: postgresql://user@host:port/database")
    return SourceAddress(host, port, user, database, _read_ssl_mode(parts))


def _read_ssl_mode(parts: SplitResult) -> str:
    options = parse_qsl(parts.query, keep_blank_values=True)
    mode = dict(options).get("sslmode", "prefer")
    if any(key != "sslmode" for key, _ in options) or mode not in _SSL_MODES:
        raise ValueError(f"the one option that it may have is sslmode: {', '.join(_SSL_MODES)}")
    return mode


def _require_address(url: str) -> str:
    read_source_url(url)
    return url


def _require_features(sql: str) -> str:
    require_query(sql, FEATURE_NAMES, needed=("as_of",))
    return sql


def _require_labels(sql: str) -> str:
    require_query(sql, LABEL_NAMES, needed=("as_of",))
    return sql


class QueryIn(BuiltIn):
    """Two queries in a warehouse: what was known of each active account at an instant, and who churned after it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "warehouse",
                    "kind": "query",
                    "source_url": "postgresql://churn_reader@warehouse.example.com:5432/dwh?sslmode=require",
                    "password_env": "HOLDFAST_SOURCE_DWH",
                    "features_sql": "SELECT account_id, plan, count(*) FILTER (WHERE at >= :as_of - interval '30 days')"
                    " AS n_orders_30d FROM orders JOIN accounts USING (account_id) WHERE at < :as_of GROUP BY 1, 2",
                    "labels_sql": "SELECT account_id, ended_at <= :as_of + make_interval(days => :horizon_days) IS TRUE"
                    " AS churned FROM contracts WHERE started_at < :as_of AND coalesce(ended_at > :as_of, true)",
                    "horizon_days": 60,
                }
            ]
        }
    )

    kind: Literal["query"]
    source_url: Annotated[str, Field(max_length=1000), AfterValidator(_require_address)] = Field(
        description="`postgresql://user@host:port/database`, without a password; of options only `sslmode`."
    )
    password_env: Annotated[str, Field(max_length=200, pattern=f"^{SOURCE_VARIABLES}[A-Z0-9_]+$")] | None = Field(
        default=None,
        description="The environment variable of the service that holds the password; itself it is kept nowhere.",
    )
    features_sql: Annotated[str, Field(max_length=MAX_SQL_LENGTH), AfterValidator(_require_features)] = Field(
        description="A row per account that is active at `:as_of`, of what was known before it."
    )
    labels_sql: Annotated[str, Field(max_length=MAX_SQL_LENGTH), AfterValidator(_require_labels)] = Field(
        description="A row per account of which it is known whether it churned in the `:horizon_days` after `:as_of` "
        "(and `:lead_days`); `:grace_days` may be used too."
    )
    id_column: ColumnName = Field(default="account_id", description="Names the account, in both queries.")
    label_column: ColumnName = Field(default="churned", description="Of the labels: a boolean, 0 or 1, or two words.")
    positive_value: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        default="true", description="The word that means churned, where the label is text."
    )
    exclude_columns: list[ColumnName] = Field(default=[], max_length=1000, description="Columns that are no features.")
    statement_timeout_seconds: Annotated[Whole, Field(ge=1, le=3600)] = Field(
        default=300, description="Of each query; what takes longer is stopped."
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        special = {self.id_column, self.label_column, "as_of"}
        if len(special) < 3:
            raise ValueError("id_column and label_column must differ, and neither be as_of")
        if special & set(self.exclude_columns):
            raise ValueError("exclude_columns must not name the id, label or as_of column")
        return self

    def columns(self) -> dict[str, Any]:
        """As columns of the table of datasets."""
        own = self.model_dump(include={"id_column", "label_column", "positive_value", "exclude_columns"})
        columns = super().columns() | own
        return columns | {"spec": {key: value for key, value in columns["spec"].items() if key not in own}}


def read_query_spec(columns: dict[str, Any], spec: dict[str, Any]) -> QueryIn:
    """The description of a dataset of queries, from the columns of its row."""
    return QueryIn.model_validate({**columns, **spec})
