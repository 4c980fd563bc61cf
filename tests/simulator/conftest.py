"""A small business, and one of each switch, made once."""

from datetime import UTC, datetime

import pytest

from app.simulator import Block, SimulatorConfig, make_block

SMALL = SimulatorConfig(n_accounts=4_000, seed=3, block_accounts=4_000)
CHANGE = datetime(2025, 1, 1, tzinfo=UTC)
LATER = datetime(2025, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="package")
def small() -> Block:
    return make_block(SMALL, 0)
