"""The migrations say what the tables say, up and down."""

import asyncio

from alembic import command

from app.db import alembic_config, migrate


def test_up_check_down_up(database_url: str) -> None:
    config = alembic_config(database_url)
    command.check(config)
    command.downgrade(config, "base")
    migrate(database_url)
    command.check(config)


async def test_two_services_may_migrate_at_once(database_url: str) -> None:
    command.downgrade(alembic_config(database_url), "base")
    await asyncio.gather(*(asyncio.to_thread(migrate, database_url) for _ in range(2)))
    command.check(alembic_config(database_url))
