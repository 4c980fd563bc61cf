"""One application and database for all tests of a module: each makes datasets of its own."""

from collections.abc import AsyncIterator

import pytest

from tests.features.business import Store, open_store
from tests.postgres import new_database


@pytest.fixture(scope="module")
async def store(
    postgres_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Store]:
    """Where datasets are described and filled."""
    with new_database(postgres_url, template=template_database) as url:
        async with open_store(url, tmp_path_factory.mktemp("home")) as opened:
            yield opened
