"""Fixtures that every test may use: a real PostgreSQL, and in it a migrated database per test."""

from collections.abc import Iterator

import pytest
from sqlalchemy import make_url

from app.db import migrate
from tests.postgres import make_run_home, new_database, open_server, remove_run_home


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # not in pytest-xdist's workers, but in the process that starts them
        make_run_home()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        remove_run_home()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL on which databases may be made; do not write to this one."""
    with open_server() as url:
        yield url


@pytest.fixture(scope="session")
def template_database(postgres_url: str) -> Iterator[str]:
    """The name of a migrated, empty database, to be cloned."""
    with new_database(postgres_url) as url:
        migrate(url)
        yield make_url(url).database or ""


@pytest.fixture
def database_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """A migrated database of the test's own, in which it may commit."""
    with new_database(postgres_url, template=template_database) as url:
        yield url
