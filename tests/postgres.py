"""Databases for the tests: on the server of TEST_DATABASE_URL, or on a private one that all workers of a run share."""

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from app.db import psycopg_url
from app.embedded import EmbeddedPostgres
from app.registry import SCHEMA
from app.settings import Settings

MEMORY = Path("/dev/shm")
RUN_HOME = "HOLDFAST_TEST_RUN_HOME"


def make_run_home() -> None:
    """Make the folder of this run's server; the workers find it, as they inherit our environment."""
    os.environ[RUN_HOME] = str(make_scratch())


def make_scratch() -> Path:
    """Make a folder for servers of the tests, in memory where there is room: a clone then takes a fifth of the time."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-tests-", dir=MEMORY if _is_roomy(MEMORY) else "/tmp"))
    folder.chmod(0o711)  # started by root, the server runs as another user, who must be able to pass
    return folder


def _is_roomy(folder: Path) -> bool:
    if not os.access(folder, os.W_OK):
        return False
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize > 4 * 1024**3 and not state.f_flag & getattr(os, "ST_NOEXEC", 0)


def remove_run_home() -> None:
    shutil.rmtree(os.environ.pop(RUN_HOME))


@contextmanager
def open_server() -> Iterator[str]:
    """The URL of a server on which databases may be made."""
    external = os.environ.get("TEST_DATABASE_URL")
    if external:
        yield Settings(database_url=external).database_url or ""
        return
    with EmbeddedPostgres(Path(os.environ[RUN_HOME])) as url:
        yield url


@contextmanager
def new_database(server_url: str, *, template: str = "template1") -> Iterator[str]:
    """The URL of a database of its own, dropped at the end whoever is still connected."""
    name = f"test_{uuid4().hex[:16]}"
    admin = create_engine(psycopg_url(server_url), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def make_mlflow_tables(database_url: str) -> None:
    """What MLflow's first call does on a migrated database, and no connection of it stays open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its mappers still use what SQLAlchemy 2.1 deprecates
        from mlflow.store.db.utils import _initialize_tables

        engine = create_engine(psycopg_url(database_url, schema=SCHEMA), poolclass=NullPool)
        _initialize_tables(engine)
        engine.dispose()
