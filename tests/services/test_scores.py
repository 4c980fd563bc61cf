"""Reading scores: filters, pages that stay with their run, CSV, one account's history."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from app.errors import NotFound, NothingScored
from app.schemas.common import Page
from app.schemas.scoring import ScoreOut
from app.services.datasets import Datasets
from app.services.jobs import Jobs
from app.services.models import Models
from app.services.scores import ScoreFilter, Scores
from app.settings import Settings
from app.tables import Dataset, Revision, ScoringRun
from tests.services.scoring_world import JANUARY, World, open_world

SCORES = [("c/d", 0.9), ("b", 0.75), ("a", 0.75), ("e", 0.5), ("f", 0.1), ("g", 0.1)]
BY_RISK = ["c/d", "b", "a", "e", "f", "g"]  # equals in the order in which they were stored


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_world(database_url) as world:
        yield world


@pytest.fixture
def scores(world: World) -> Scores:
    datasets = Datasets(world.sessions, Settings())
    jobs = Jobs(world.sessions, heartbeat_timeout_seconds=10)
    return Scores(world.sessions, datasets, Models(world.sessions, datasets=datasets, jobs=jobs))


async def seed(world: World) -> tuple[Dataset, Revision, int, ScoringRun]:
    dataset = await world.add_dataset()
    revision = await world.add_revision(dataset)
    version = await world.add_version(dataset, revision)
    return dataset, revision, version, await world.add_run(dataset, revision, version, SCORES)


async def page_of(scores: Scores, wanted: ScoreFilter, limit: int, cursor: str | None = None) -> Page[ScoreOut]:
    page = await scores.list_accounts(wanted, limit=limit, cursor=cursor)
    assert isinstance(page, Page)
    return page


async def names_of(scores: Scores, wanted: ScoreFilter) -> list[str]:
    return [score.account_id for score in (await page_of(scores, wanted, 50)).items]


async def test_the_riskiest_come_first_and_filters_hold(world: World, scores: Scores) -> None:
    _, _, version, run = await seed(world)
    assert await names_of(scores, ScoreFilter()) == BY_RISK
    assert await names_of(scores, ScoreFilter(tier="medium")) == ["e"]
    assert await names_of(scores, ScoreFilter(min_probability=0.75)) == ["c/d", "b", "a"]
    assert await names_of(scores, ScoreFilter(run=run.id)) == BY_RISK
    assert await names_of(scores, ScoreFilter(version=str(version))) == BY_RISK
    with pytest.raises(NotFound):
        await names_of(scores, ScoreFilter(run=run.id + 1))


async def test_pages_stay_with_the_run_of_the_first(world: World, scores: Scores) -> None:
    dataset, revision, version, run = await seed(world)
    names, cursor = [], None
    for _ in range(3):
        page = await page_of(scores, ScoreFilter(), 2, cursor)
        names += [(score.account_id, score.run_id) for score in page.items]
        cursor = page.next_cursor
        await world.add_run(dataset, revision, version, [("new", 0.99)])
    assert names == [(name, run.id) for name in BY_RISK]
    assert cursor is None
    assert await names_of(scores, ScoreFilter()) == ["new"]


async def test_scores_of_another_version_are_never_current(world: World, scores: Scores) -> None:
    dataset, revision, _, _ = await seed(world)
    other = await world.add_version(dataset, revision)
    await world.add_run(dataset, revision, other, [("only", 0.2)], current=False)
    assert await names_of(scores, ScoreFilter()) == BY_RISK
    assert await names_of(scores, ScoreFilter(version="latest")) == ["only"]


async def test_nothing_scored_yet_says_what_to_call(world: World, scores: Scores) -> None:
    await world.add_dataset()
    with pytest.raises(NothingScored) as caught:
        await names_of(scores, ScoreFilter())
    assert "POST /score/batches" in caught.value.advice


async def test_csv_holds_all_accounts_by_risk_with_reasons_in_words(world: World, scores: Scores) -> None:
    _, _, version, run = await seed(world)
    stream = await scores.list_accounts(ScoreFilter(min_probability=0.2), limit=1, cursor=None, as_csv=True)
    assert not isinstance(stream, Page)
    rows = list(csv.DictReader(io.StringIO(b"".join([piece async for piece in stream]).decode())))
    assert [row["account_id"] for row in rows] == ["c/d", "b", "a", "e"]
    assert [float(row["churn_probability"]) for row in rows] == [0.9, 0.75, 0.75, 0.5]
    assert {(row["run_id"], row["model_version"], row["reasons"]) for row in rows} == {
        (str(run.id), str(version), "plan is a (raises the risk)")
    }


async def test_a_reader_who_leaves_ends_the_copy(world: World, scores: Scores) -> None:
    dataset, revision, version, _ = await seed(world)
    await world.add_run(dataset, revision, version, [(f"account {i}", i / 60_000) for i in range(60_000)])
    stream = await scores.list_accounts(ScoreFilter(), limit=1, cursor=None, as_csv=True)
    assert not isinstance(stream, Page)
    async for _ in stream:
        break
    await stream.aclose()  # type: ignore[attr-defined]  # an async generator has it
    await asyncio.sleep(0.1)
    assert world.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # of the pool that is used here


async def test_an_account_has_a_newest_a_current_and_earlier_scores(world: World, scores: Scores) -> None:
    dataset, revision, version, first = await seed(world)
    second = await world.add_run(dataset, revision, version, [("c/d", 0.3)], as_of=JANUARY + timedelta(days=31))
    found = await scores.get_account(None, "c/d", limit=10)
    assert [(score.run_id, score.churn_probability) for score in found.history] == [(second.id, 0.3), (first.id, 0.9)]
    assert found.current is not None
    assert (found.newest.run_id, found.current.run_id) == (second.id, second.id)
    gone = await scores.get_account(None, "e", limit=10)
    assert (gone.newest.run_id, gone.current) == (first.id, None)
    with pytest.raises(NotFound):
        await scores.get_account(None, "nobody", limit=10)


async def test_the_current_score_is_told_however_short_the_history(world: World, scores: Scores) -> None:
    dataset, revision, _, first = await seed(world)
    other = await world.add_version(dataset, await world.add_revision(dataset, number=9))
    await world.add_run(dataset, revision, other, [("c/d", 0.3)], current=False)
    found = await scores.get_account(None, "c/d", limit=1)
    assert found.current is not None
    assert (found.newest.version, found.current.run_id) == (other, first.id)


async def test_a_run_of_another_version_or_dataset_is_not_found(world: World, scores: Scores) -> None:
    dataset, _, version, run = await seed(world)
    other = await world.add_version(dataset, await world.add_revision(dataset, number=9))
    await world.add_dataset(name="strangers")
    assert await names_of(scores, ScoreFilter(dataset.name, run=run.id, version=str(version))) == BY_RISK
    for wanted in (ScoreFilter("strangers", run=run.id), ScoreFilter(run=run.id, version=str(other))):
        with pytest.raises(NotFound, match=f"run {run.id} of"):
            await names_of(scores, wanted)


async def test_runs_are_listed_newest_first_with_their_tiers(world: World, scores: Scores) -> None:
    dataset, revision, version, first = await seed(world)
    second = await world.add_run(dataset, revision, version, [("a", 0.5)])
    page = await scores.list_runs(None, limit=1, cursor=None)
    assert [run.id for run in page.items] == [second.id]
    rest = await scores.list_runs(dataset.name, limit=5, cursor=page.next_cursor)
    assert [run.id for run in rest.items] == [first.id]
    tiers = (await scores.get_run(first.id)).tiers
    assert tiers is not None
    assert [(tier.tier, tier.n, tier.from_probability) for tier in tiers] == [
        ("high", 3, 0.7),
        ("medium", 1, 0.4),
        ("low", 2, 0.0),
    ]
    assert tiers[0].expected_churners == pytest.approx(2.4)
    assert tiers[0].share_of_churners == pytest.approx(2.4 / 3.1)
    with pytest.raises(NotFound):
        await scores.get_run(999)
