"""The table of a scoring run: made apart, filled, attached to `predictions` whole, and dropped again."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

RUN_DROP_LOCK = 0x64726F70  # space of the session locks that keep two sweeps off one run


def run_table(run_id: int) -> str:
    """The name of a run's table in schema `data`."""
    return f"predictions_{run_id:d}"


async def create_run_table(session: AsyncSession, run_id: int) -> None:
    """An empty table in the shape of a partition; its CHECK spares ATTACH a scan of all rows."""
    name = run_table(run_id)
    statements = (
        f"CREATE TABLE data.{name} (LIKE predictions INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)",
        f"ALTER TABLE data.{name} ALTER COLUMN run_id SET DEFAULT {run_id:d},"
        f" ADD CONSTRAINT ck_{name}_run_id CHECK (run_id = {run_id:d}),"
        f" ADD CONSTRAINT pk_{name} PRIMARY KEY (run_id, id)",
        f"CREATE INDEX ix_{name}_account_id ON data.{name} (account_id)",
    )
    for statement in statements:
        await session.execute(text(statement))


async def index_by_risk(session: AsyncSession, run_id: int) -> None:
    """The order in which a run is read; built in one go once the rows are there, and of no use to the parent."""
    name = run_table(run_id)
    await session.execute(text(f"CREATE INDEX ix_{name}_risk ON data.{name} (churn_probability DESC, id)"))
    await session.execute(text(f"ANALYZE data.{name}"))


async def attach_run_table(session: AsyncSession, run_id: int) -> None:
    """Make the rows part of `predictions`; readers are not locked out, as they would be by PARTITION OF."""
    await session.execute(
        text(f"ALTER TABLE predictions ATTACH PARTITION data.{run_table(run_id)} FOR VALUES IN ({run_id:d})")
    )


async def drop_run(engine: AsyncEngine, run_id: int) -> None:
    """Take a run and its rows away without locking readers out; harmless where another does so at this moment.

    DETACH CONCURRENTLY can't run inside a transaction, so an interrupted one is taken up again where it stopped.
    """
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        key = {"space": RUN_DROP_LOCK, "key": run_id % 2**31}
        ours = await connection.execute(text("SELECT pg_try_advisory_lock(:space, :key)"), key)
        if not ours.scalar_one():
            return
        try:
            pending = (await connection.execute(text(_DETACH_PENDING), {"table": f"data.{run_table(run_id)}"})).first()
            if pending is not None:
                how = "FINALIZE" if pending.inhdetachpending else "CONCURRENTLY"
                await connection.execute(
                    text(f"ALTER TABLE predictions DETACH PARTITION data.{run_table(run_id)} {how}")
                )
            await connection.execute(text(f"DROP TABLE IF EXISTS data.{run_table(run_id)}"))
            await connection.execute(text("DELETE FROM scoring_runs WHERE id = :run"), {"run": run_id})
        finally:
            await connection.execute(text("SELECT pg_advisory_unlock(:space, :key)"), key)


_DETACH_PENDING = """
SELECT inhdetachpending FROM pg_inherits
WHERE inhrelid = to_regclass(:table) AND inhparent = to_regclass('predictions')
"""
