"""Alembic's environment: one connection, our schema only."""

from typing import Any

from alembic import context
from sqlalchemy import create_engine

from app.db import psycopg_url
from app.tables import Table

FOREIGN_SCHEMAS = {"mlflow", "data"}  # MLflow migrates its own tables; revisions and run tables come and go


def include_name(name: str | None, kind: str, parents: Any) -> bool:
    if kind == "schema":
        return name not in FOREIGN_SCHEMAS
    return not (kind == "table" and name is not None and name.startswith("pgqueuer"))


def run(connection: Any) -> None:
    context.configure(
        connection=connection, target_metadata=Table.metadata, include_name=include_name, compare_server_default=True
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    attributes = context.config.attributes
    if "connection" in attributes:
        run(attributes["connection"])
        return
    url = attributes.get("database_url") or psycopg_url(str(context.config.get_main_option("sqlalchemy.url")))
    engine = create_engine(url)
    with engine.connect() as connection:
        run(connection)
    engine.dispose()


main()
