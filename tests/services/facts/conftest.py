"""One application for the tests of a module, and a dataset without facts for each of them."""

from typing import Any

import pytest

from tests.features.business import Store, open_store
from tests.postgres import new_database
from tests.services.facts.world import SHOP, describe


@pytest.fixture(scope="module")
async def store(postgres_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One application for all of these tests."""
    with new_database(postgres_url, template=template_database) as url:
        async with open_store(url, tmp_path_factory.mktemp("home")) as opened:
            yield opened


@pytest.fixture
async def name(store: Store) -> str:
    """A dataset without facts."""
    store.n_made += 1
    name = f"shop{store.n_made}"
    await describe(store, SHOP | {"name": name})
    return name
