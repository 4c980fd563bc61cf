"""The services on a database of the test's own, without an application around them."""

from collections.abc import AsyncIterator

import pytest

from app.container import Services, open_services
from app.settings import Settings
from app.tables import Dataset
from tests.registry_rows import add_dataset


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[Services]:
    async with open_services(Settings(database_url=database_url), database_url) as services:
        yield services


@pytest.fixture
async def dataset(services: Services) -> Dataset:
    async with services.sessions.begin() as session:
        return await add_dataset(session)
