"""Batch scoring: everybody once, published whole, whatever dies meanwhile."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from app.db import copy_in
from app.errors import NoActiveAccounts, RowsDoNotFit
from app.ml.frame import Frame
from app.ml.scorer import Scorer
from app.schemas.scoring import BatchIn
from app.services.jobs import JobLost
from app.services.revisions import get_revision
from app.services.run_tables import run_table
from app.tables import Dataset, Prediction, ScoringRun
from tests.services.scoring_world import JANUARY, Desk, draw_frame, fit_model, open_desk, open_world

ONE_RUN = "SELECT count(*) FROM scoring_runs"
TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'data' AND tablename LIKE 'predictions%'"


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with open_world(database_url) as world:
        yield open_desk(world)


async def seed(desk: Desk, frame: Frame, **fields: Any) -> tuple[Dataset, int]:
    """A dataset with these rows and a champion."""
    dataset = await desk.world.add_dataset(**fields)
    as_of = JANUARY if "as_of_column" in fields else None
    revision = await desk.upload(frame, as_of=as_of)
    version = await desk.world.add_version(dataset, revision)
    await desk.world.promote(dataset, version)
    return dataset, version


async def scores_of(desk: Desk, run_id: int) -> dict[str, Prediction]:
    async with desk.world.sessions() as session:
        rows = (await session.scalars(select(Prediction).where(Prediction.run_id == run_id))).all()
    found = {row.account_id: row for row in rows}
    assert len(found) == len(rows)
    return found


async def test_every_active_account_is_scored_once_as_it_is_alone(desk: Desk) -> None:
    frame = draw_frame(1000, seed=3)
    _, version = await seed(desk, frame)
    result = await desk.score({"scoring": {"chunk_size": 150, "n_reasons": 2}})
    rows = await scores_of(desk, result["run_id"])
    assert frame.churned is not None
    active = [name for name, label in zip(frame.accounts.to_pylist(), frame.churned, strict=True) if label != 1]
    assert sorted(rows) == sorted(active)
    assert result["n_accounts_scored"] == len(active)
    scorer = Scorer(fit_model().bundle)
    for at in range(0, 1000, 97):
        name, values = frame.accounts[at].as_py(), frame.features.slice(at, 1).to_pylist()[0]
        if name in rows:
            alone = scorer.score_one(values, 2)
            assert rows[name].churn_probability == pytest.approx(alone.probability, abs=1e-9)
            assert [r["feature"] for r in rows[name].reasons] == [r.feature for r in alone.reasons]
            assert rows[name].model_version == version


async def test_the_run_tells_counts_tiers_and_what_drift_needs(desk: Desk) -> None:
    frame = draw_frame(1000, seed=3)
    await seed(desk, frame)
    result = await desk.score({"scoring": {"tiers": {"kind": "probability", "high": 0.5, "medium": 0.2}}})
    p = np.array([row.churn_probability for row in (await scores_of(desk, result["run_id"])).values()])
    by_hand = [int((p >= 0.5).sum()), int(((p < 0.5) & (p >= 0.2)).sum()), int((p < 0.2).sum())]
    assert [tier["n"] for tier in result["tiers"]] == by_hand
    assert result["tiers"][0]["mean_probability"] == pytest.approx(p[p >= 0.5].mean())
    async with desk.world.sessions() as session:
        run = await session.get_one(ScoringRun, result["run_id"])
    assert run.current
    assert run.feature_counts is not None
    assert run.feature_counts["n_rows"] == run.n_scored == len(p)
    assert {sum(counts) for counts in run.feature_counts["features"].values()} == {len(p)}


async def test_a_capacity_policy_deals_its_tiers_over_the_whole_run(desk: Desk) -> None:
    await seed(desk, draw_frame(1000, seed=3))
    tiers = {"kind": "capacity", "high": 30, "medium": 50}
    result = await desk.score({"scoring": {"tiers": tiers, "chunk_size": 100}})
    rows = sorted((await scores_of(desk, result["run_id"])).values(), key=lambda row: -row.churn_probability)
    assert [row.risk_tier for row in rows[:80]] == ["high"] * 30 + ["medium"] * 50
    assert {row.risk_tier for row in rows[80:]} == {"low"}
    assert result["tiers"][0]["from_probability"] == rows[29].churn_probability


async def test_only_the_champions_run_is_current(desk: Desk) -> None:
    dataset, champion = await seed(desk, draw_frame(300, seed=3))
    async with desk.world.sessions() as session:
        revision = await get_revision(session, dataset)
    challenger = await desk.world.add_version(dataset, revision)
    await desk.world.promote(dataset, challenger, "Staging")
    assert (await desk.score({"version": "challenger"}))["current"] is False
    result = await desk.score()
    assert (result["version"], result["current"], result["provisional"]) == (champion, True, False)
    await desk.world.promote(dataset, challenger, provisional=True)
    job = await desk.scoring.submit(BatchIn(), actor="test")
    await desk.world.promote(dataset, champion)  # between request and publishing
    late = await desk.scoring.run(await desk.world.begin(job.id))
    assert (late["version"], late["current"]) == (challenger, False)


async def test_dated_scores_carry_the_instant_of_their_row(desk: Desk) -> None:
    await seed(desk, draw_frame(200, seed=3), as_of_column="as_of", horizon_days=30)
    result = await desk.score()
    assert {row.as_of for row in (await scores_of(desk, result["run_id"])).values()} == {JANUARY}
    assert (await desk.scores.get_run(result["run_id"])).as_of == JANUARY


async def test_an_attempt_that_died_half_way_leaves_nothing_behind(desk: Desk) -> None:
    await seed(desk, draw_frame(500, seed=3))
    job = await desk.scoring.submit(BatchIn.model_validate({"scoring": {"chunk_size": 100}}), actor="test")
    first = await desk.world.begin(job.id)
    batch = await desk.scoring._begin(first)
    rows = await scores_as_table(desk, batch.run.id)
    async with desk.world.sessions.begin() as session:
        await copy_in(await session.connection(), rows, run_table(batch.run.id), schema="data")
    result = await desk.scoring.run(await desk.world.begin(job.id, attempt=2))
    assert result["run_id"] != batch.run.id
    assert (await desk.world.count(ONE_RUN), await desk.world.count(TABLES)) == (1, 1)
    assert len(await scores_of(desk, result["run_id"])) == result["n_accounts_scored"]
    with pytest.raises(JobLost):
        await desk.scoring._finish(batch, None)  # type: ignore[arg-type]  # it is refused before it is read


async def scores_as_table(desk: Desk, run_id: int) -> Any:
    from tests.services.scoring_world import DEFAULT_TIERS, prediction_rows

    return prediction_rows(run_id, 1, [("half", 0.5)], [JANUARY], DEFAULT_TIERS)


async def test_a_run_that_was_attached_is_published_by_the_next_attempt(desk: Desk) -> None:
    await seed(desk, draw_frame(300, seed=3))
    job = await desk.scoring.submit(BatchIn(), actor="test")
    batch = await desk.scoring._begin(await desk.world.begin(job.id))
    await desk.scoring._finish(batch, await desk.scoring._fill(batch))
    await desk.scoring._attach(batch)
    assert (await desk.scores.get_run(batch.run.id)).status == "running"
    result = await desk.scoring.run(await desk.world.begin(job.id, attempt=2))
    again = await desk.scoring.run(await desk.world.begin(job.id, attempt=3))
    assert result == again
    assert (result["run_id"], await desk.world.count(ONE_RUN)) == (batch.run.id, 1)


async def test_what_a_cancelled_job_left_is_swept(desk: Desk) -> None:
    await seed(desk, draw_frame(300, seed=3))
    for attached in (False, True):
        job = await desk.scoring.submit(BatchIn(), actor="test")
        batch = await desk.scoring._begin(await desk.world.begin(job.id))
        if attached:
            await desk.scoring._finish(batch, await desk.scoring._fill(batch))
            await desk.scoring._attach(batch)
        await desk.world.end(job.id, {}, "cancelled")
    assert await desk.world.count(TABLES) == 2
    await desk.score()
    assert (await desk.world.count(ONE_RUN), await desk.world.count(TABLES)) == (1, 1)


async def test_nobody_active_publishes_nothing(desk: Desk) -> None:
    frame = draw_frame(50, seed=3)
    await seed(desk, Frame(frame.accounts, frame.features, np.ones(50)))
    with pytest.raises(NoActiveAccounts):
        await desk.score()
    assert await desk.world.count("SELECT count(*) FROM predictions") == 0


async def test_a_revision_that_lost_a_feature_is_refused_by_name(desk: Desk) -> None:
    frame = draw_frame(100, seed=3)
    await seed(desk, frame)
    await desk.upload(Frame(frame.accounts, frame.features.drop_columns(["tenure"]), frame.churned))
    with pytest.raises(RowsDoNotFit, match="tenure"):
        await desk.score()


KILLED = """
import asyncio, sys
from tests.services.scoring_world import open_desk, open_world

async def main(url, job_id):
    async with open_world(url) as world:
        await open_desk(world).scoring.run(await world.begin(job_id))

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@pytest.mark.slow
async def test_a_process_killed_in_mid_run_loses_and_doubles_nothing(desk: Desk, database_url: str) -> None:
    frame = draw_frame(6000, seed=3)
    await seed(desk, frame)
    job = await desk.scoring.submit(BatchIn.model_validate({"scoring": {"chunk_size": 100}}), actor="test")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, database_url, str(job.id))
    n_rows = 0
    async with asyncio.timeout(60):
        while n_rows < 300:
            await asyncio.sleep(0.02)
            if await desk.world.count(TABLES):
                n_rows = await desk.world.count("SELECT count(*) FROM data.predictions_1")
    os.kill(process.pid, signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    assert await desk.world.count("SELECT count(*) FROM predictions") == 0
    result = await desk.scoring.run(await desk.world.begin(job.id, attempt=2))
    assert frame.churned is not None
    n_active = int((frame.churned != 1).sum())
    assert len(await scores_of(desk, result["run_id"])) == n_active
    assert await desk.world.count("SELECT count(*) FROM predictions") == n_active
    assert await desk.world.count("SELECT count(*) FROM scoring_runs WHERE published_at IS NOT NULL") == 1
    assert (await desk.world.count(ONE_RUN), await desk.world.count(TABLES)) == (1, 1)
    assert json.dumps(result)
