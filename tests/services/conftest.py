"""A warehouse with the business of `query_world` in it."""

from collections.abc import Iterator

import pytest

from tests.services.query_world import Account, draw_accounts, fill
from tests.warehouse import PASSWORD, VARIABLE, Warehouse, new_warehouse, open_warehouse_server


@pytest.fixture(scope="session")
def warehouse_server() -> Iterator[Warehouse]:
    with open_warehouse_server() as server:
        yield server


@pytest.fixture
def accounts() -> list[Account]:
    return draw_accounts()


@pytest.fixture
def warehouse(
    warehouse_server: Warehouse, accounts: list[Account], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Warehouse]:
    monkeypatch.setenv(VARIABLE, PASSWORD)
    with new_warehouse(warehouse_server) as warehouse:
        fill(warehouse, accounts)
        yield warehouse
