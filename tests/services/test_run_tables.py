"""Runs appear and go whole: what readers of `predictions` see meanwhile, on real connections."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.db import alembic_config, copy_in
from app.services.run_tables import attach_run_table, create_run_table, drop_run, run_table
from app.tables import Dataset, Revision, ScoringRun
from tests.services.scoring_world import DEFAULT_TIERS, JANUARY, World, open_world, prediction_rows

COUNT = text("SELECT count(*) FROM predictions WHERE run_id = :run")


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_world(database_url) as world:
        yield world


async def seed(world: World) -> tuple[Dataset, Revision, int]:
    dataset = await world.add_dataset()
    revision = await world.add_revision(dataset)
    return dataset, revision, await world.add_version(dataset, revision)


async def unfilled_run(world: World, dataset: Dataset, revision: Revision, version: int) -> int:
    job = await world.add_job(dataset, "score", "failed")
    async with world.sessions.begin() as session:
        run = ScoringRun(
            kind="batch", job_id=job.id, dataset_id=dataset.id, version=version, revision_id=revision.id, config={}
        )
        session.add(run)
        await session.flush()
        await create_run_table(session, run.id)
    return run.id


async def test_rows_are_seen_once_they_are_attached_by_a_query_planned_before(world: World) -> None:
    run_id = await unfilled_run(world, *await seed(world))
    async with world.engine.connect() as reader, world.sessions() as writer:
        await reader.execution_options(isolation_level="AUTOCOMMIT")
        await reader.execute(text(f"PREPARE seen AS SELECT count(*) FROM predictions WHERE run_id = {run_id}"))
        seen = [(await reader.execute(text("EXECUTE seen"))).scalar_one()]
        rows = prediction_rows(run_id, 1, [("a", 0.9), ("b", 0.1)], [JANUARY] * 2, DEFAULT_TIERS)
        await copy_in(await writer.connection(), rows, run_table(run_id), schema="data")
        await writer.commit()
        seen.append((await reader.execute(text("EXECUTE seen"))).scalar_one())
        await attach_run_table(writer, run_id)
        seen.append((await reader.execute(text("EXECUTE seen"))).scalar_one())  # not locked out, and not yet shown
        await writer.commit()
        seen.append((await reader.execute(text("EXECUTE seen"))).scalar_one())
        await reader.execute(text("DEALLOCATE seen"))
    assert seen == [0, 0, 0, 2]


async def test_a_row_of_another_run_is_refused(world: World) -> None:
    run_id = await unfilled_run(world, *await seed(world))
    rows = prediction_rows(run_id + 1, 1, [("a", 0.9)], [JANUARY], DEFAULT_TIERS)
    async with world.sessions() as session:
        with pytest.raises(Exception, match="run_id"):
            await copy_in(await session.connection(), rows, run_table(run_id), schema="data")


async def test_attaching_takes_the_indexes_that_are_there(world: World) -> None:
    dataset, revision, version = await seed(world)
    run = await world.add_run(dataset, revision, version, [("a", 0.5)])
    query = "SELECT count(*) FROM pg_index WHERE indrelid = CAST(:table AS regclass)"
    async with world.sessions() as session:
        n = (await session.execute(text(query), {"table": f"data.{run_table(run.id)}"})).scalar_one()
    assert n == 3  # primary key, account, risk: none was built a second time


async def test_a_run_is_dropped_while_readers_read(world: World) -> None:
    dataset, revision, version = await seed(world)
    run = await world.add_run(dataset, revision, version, [("a", 0.5)])
    async with world.sessions() as reader:
        before = (await reader.execute(COUNT, {"run": run.id})).scalar_one()
        await reader.commit()
        await drop_run(world.engine, run.id)
        after = (await reader.execute(COUNT, {"run": run.id})).scalar_one()
        left = await reader.get(ScoringRun, run.id)
    assert (before, after, left) == (1, 0, None)


async def test_dropping_twice_at_once_is_harmless(world: World) -> None:
    dataset, revision, version = await seed(world)
    run = await world.add_run(dataset, revision, version, [("a", 0.5)])
    await asyncio.gather(*(drop_run(world.engine, run.id) for _ in range(4)))
    async with world.sessions() as session:
        assert await session.get(ScoringRun, run.id) is None


async def test_a_detach_that_was_interrupted_is_finished(world: World) -> None:
    dataset, revision, version = await seed(world)
    run = await world.add_run(dataset, revision, version, [("a", 0.5)])
    async with world.sessions() as reader, world.engine.connect() as other:
        await reader.execute(COUNT, {"run": run.id})  # its lock makes the second half of the detach wait
        await other.execution_options(isolation_level="AUTOCOMMIT")
        await other.execute(text("SET lock_timeout = '300ms'"))
        await other.execute(text("SET statement_timeout = '300ms'"))
        with pytest.raises(DBAPIError):
            await other.execute(text(f"ALTER TABLE predictions DETACH PARTITION data.{run_table(run.id)} CONCURRENTLY"))
        await reader.rollback()
        await other.execute(text("RESET ALL"))
    await drop_run(world.engine, run.id)
    async with world.sessions() as session:
        assert await session.get(ScoringRun, run.id) is None


async def test_alembic_sees_no_difference_on_a_store_with_published_runs(world: World, database_url: str) -> None:
    dataset, revision, version = await seed(world)
    await world.add_run(dataset, revision, version, [("a", 0.5)])
    await asyncio.to_thread(command.check, alembic_config(database_url))
