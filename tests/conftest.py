"""Fixtures that every test may use: a real PostgreSQL, and in it a migrated database per test."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI
from sqlalchemy import make_url

from app.container import Services
from app.db import migrate
from app.main import create_app
from app.process import warm_up
from app.settings import Settings
from tests.postgres import make_mlflow_tables, make_run_home, new_database, open_server, remove_run_home

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # two fits at once on two cores: threads that spin starve the other


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what it puts in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests press Ctrl-C, and their children inherit
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
    """The name of a migrated, empty database, to be cloned; what its jobs import is imported once."""
    warm_up()
    with new_database(postgres_url) as url:
        migrate(url)
        yield make_url(url).database or ""


@pytest.fixture(scope="session")
def tracked_template(postgres_url: str, template_database: str) -> Iterator[str]:
    """As `template_database`, and MLflow's tables are made too: for tests of which each trains."""
    with new_database(postgres_url, template=template_database) as url:
        make_mlflow_tables(url)
        yield make_url(url).database or ""


@pytest.fixture
def database_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """A migrated database of the test's own, in which it may commit."""
    with new_database(postgres_url, template=template_database) as url:
        yield url


@pytest.fixture
async def app(database_url: str, tmp_path: Path) -> AsyncIterator[FastAPI]:
    """The application, started, on a database of the test's own; without a worker."""
    app = create_app(Settings(database_url=database_url, home=tmp_path, run_worker=False))
    async with LifespanManager(app, startup_timeout=60, shutdown_timeout=60):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Real requests to `app`."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=120) as http:
        yield http


@pytest.fixture
def services(app: FastAPI) -> Services:
    """The services behind `client`."""
    found: Services = app.state.services
    return found
