"""Settings: read once from the environment, frozen, passed to constructors."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.ml.kinds.params import validate_params
from app.ml.search_space import resolve_space
from app.schemas.config import CONFIGS, EvaluationConfig, ModelConfig, TrainingConfig, require_passable

DRIVER = "postgresql+asyncpg"
SOURCE_VARIABLES = "HOLDFAST_SOURCE_"  # of the variables that a dataset may name


class Settings(BaseSettings):
    """What the operator decides; every field is documented in the README's configuration table."""

    model_config = SettingsConfigDict(
        env_prefix="HOLDFAST_",
        env_nested_delimiter="__",
        frozen=True,
        hide_input_in_errors=True,
        extra="ignore",
        populate_by_name=True,
    )

    database_url: str | None = Field(default=None, validation_alias=AliasChoices("DATABASE_URL", "database_url"))
    home: Path = Path(".holdfast")
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    artifact_root: str | None = None
    commit: str | None = Field(default=None, pattern=r"^([0-9a-f]{7,64})?$")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    run_worker: bool = True
    worker_jobs: int = Field(default=2, ge=1)
    max_upload_bytes: int = Field(default=2 * 1024**3, gt=0)
    max_body_bytes: int = Field(default=4 * 1024**2, gt=0)
    heartbeat_timeout_seconds: float = Field(default=10.0, gt=0)
    max_attempts: int = Field(default=3, ge=1)
    statement_timeout_seconds: float = Field(default=600.0, gt=0)
    pool_size: int = Field(default=10, ge=1)
    n_threads: int | None = Field(default=None, ge=1)
    champion_poll_seconds: float = Field(default=1.0, gt=0)
    rejudge_seconds: float = Field(default=60.0, gt=0)
    admin_token: SecretStr | None = Field(default=None, min_length=16)
    query_hosts: Annotated[tuple[str, ...] | None, NoDecode] = None

    # Partial layers of the config models; each is merged below the dataset's default and the request.
    model: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    evaluation: dict[str, Any] = Field(default_factory=dict)
    scoring: dict[str, Any] = Field(default_factory=dict)
    monitoring: dict[str, Any] = Field(default_factory=dict)

    @field_validator("database_url")
    @classmethod
    def _name_the_driver(cls, url: str | None) -> str | None:
        """`postgresql://` would mean another driver since SQLAlchemy 2.1, so ours is always named."""
        if url is None:
            return None
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in {"postgres", "postgresql", DRIVER}:
            raise ValueError(f"a PostgreSQL URL is needed, such as {DRIVER}://user:password@host/database")
        return f"{DRIVER}://{rest}"

    @field_validator("query_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, hosts: Any) -> Any:
        """Host names, or host:port, with commas between them."""
        return tuple(host.strip().lower() for host in hosts.split(",") if host.strip()) if hosts else None

    @field_validator("model", "training", "evaluation", "scoring", "monitoring")
    @classmethod
    def _check_layer(cls, layer: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        """A section that can't be used over the code must stop the start, not each request on a plain dataset."""
        kinds = {kind.section: kind for kind in CONFIGS}
        config = kinds[info.field_name or ""].layered(layer)
        if isinstance(config, ModelConfig):
            validate_params(config)
        if isinstance(config, EvaluationConfig):
            require_passable(config)
        return layer

    @field_validator("model", mode="before")
    @classmethod
    def _restore_case(cls, layer: Any) -> Any:
        """Names in the environment come in lower case; one parameter has an upper one."""
        logistic = layer.get("logistic_params") if isinstance(layer, dict) else None
        if isinstance(logistic, dict) and "c" in logistic:
            return layer | {"logistic_params": {("C" if key == "c" else key): value for key, value in logistic.items()}}
        return layer

    @model_validator(mode="after")
    def _searchable(self) -> Self:
        """What is searched by default is what the default model takes."""
        search = TrainingConfig.layered(self.training).search
        if search is not None:
            resolve_space(ModelConfig.layered(self.model), search)
        return self


def read_source_password(variable: str) -> str | None:
    """The password of a warehouse, read as it is needed and kept nowhere; None where the variable is not set."""
    if not variable.startswith(SOURCE_VARIABLES):
        raise ValueError(f"passwords of sources are in variables that begin with {SOURCE_VARIABLES}")
    return os.environ.get(variable)
