"""The shift between two versions, on scores whose shift is known."""

from collections.abc import AsyncIterator

import pytest
from scipy.stats import spearmanr

from app.services.score_shift import score_shift
from tests.services.scoring_world import World, open_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_world(database_url) as world:
        yield world


async def test_two_runs_on_the_same_rows(world: World) -> None:
    dataset = await world.add_dataset()
    revision = await world.add_revision(dataset)
    a, b = [await world.add_version(dataset, revision) for _ in range(2)]
    p_a, p_b = [0.1, 0.5, 0.75, 0.9, 0.3], [0.2, 0.45, 0.35, 0.95, 0.3]
    names = "vwxyz"
    await world.add_run(dataset, revision, a, list(zip(names, p_a, strict=True)))
    await world.add_run(dataset, revision, b, [*zip(names, p_b, strict=True), ("only here", 0.5)])
    async with world.sessions() as session:
        shift = await score_shift(session, a, b)
    assert shift is not None
    assert shift["n_accounts"] == 5
    assert shift["mean_difference"] == pytest.approx((sum(p_b) - sum(p_a)) / 5)
    assert shift["rank_correlation"] == pytest.approx(spearmanr(p_a, p_b).statistic)
    assert shift["tier_moves"] == [
        {"from": "high", "to": "high", "n": 1},
        {"from": "high", "to": "low", "n": 1},
        {"from": "medium", "to": "medium", "n": 1},
        {"from": "low", "to": "low", "n": 2},
    ]
    assert shift["movers"] == [{"account_id": "x", "p_a": 0.75, "p_b": 0.35, "tier_a": "high", "tier_b": "low"}]


async def test_equal_scores_have_not_shifted(world: World) -> None:
    dataset = await world.add_dataset()
    revision = await world.add_revision(dataset)
    a, b = [await world.add_version(dataset, revision) for _ in range(2)]
    scores = [(f"{i}", i / 100) for i in range(100)]
    for version in (a, b):
        await world.add_run(dataset, revision, version, scores)
    async with world.sessions() as session:
        shift = await score_shift(session, a, b)
    assert shift is not None
    assert (shift["psi"], shift["mean_difference"], shift["rank_correlation"]) == (0, 0, pytest.approx(1))


async def test_runs_on_other_rows_are_not_compared(world: World) -> None:
    dataset = await world.add_dataset()
    first, second = [await world.add_revision(dataset, number) for number in (1, 2)]
    a, b = [await world.add_version(dataset, first) for _ in range(2)]
    await world.add_run(dataset, first, a, [("x", 0.1)])
    await world.add_run(dataset, second, b, [("x", 0.1)])
    async with world.sessions() as session:
        assert await score_shift(session, a, b) is None
