"""Champions on the ledger and in the process: swapped when ready, never for a bundle that can't be trusted."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select, update

from app.errors import BundleRefused, NotFound, NothingInProduction
from app.services.bundles import Bundles
from app.services.champions import REFUSED, Champions
from app.tables import Bundle, Dataset
from tests.registry_rows import add_version
from tests.services.scoring_world import World, draw_frame, fit_model, open_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_world(database_url) as world:
        yield world


@pytest.fixture
async def dataset(world: World) -> Dataset:
    dataset = await world.add_dataset()
    await world.add_revision(dataset)
    return dataset


async def add_good(world: World, dataset: Dataset) -> int:
    return await world.add_version(dataset, await world.add_revision(dataset, number=dataset.id + 100))


async def add_bad(world: World, dataset: Dataset) -> int:
    """A version whose bytes are not those of its hash."""
    async with world.sessions.begin() as session:
        return await add_version(session, dataset)


def make_champions(world: World, poll_seconds: float = 0.02) -> Champions:
    return Champions(world.sessions, Bundles(world.sessions, n_threads=1), poll_seconds=poll_seconds)


async def test_nothing_in_production_is_said(world: World, dataset: Dataset) -> None:
    with pytest.raises(NothingInProduction):
        await make_champions(world).serving(dataset.id)


async def test_a_promotion_is_swapped_in(world: World, dataset: Dataset) -> None:
    first = await add_good(world, dataset)
    await world.promote(dataset, first)
    champions = make_champions(world)
    async with champions.polling():
        assert (await champions.serving(dataset.id)).version == first
        second = await world.add_version(dataset, await world.add_revision(dataset, number=9))
        await world.promote(dataset, second, provisional=True)
        async with asyncio.timeout(5):
            while (await champions.serving(dataset.id)).version != second:
                await asyncio.sleep(0.01)
    assert (await champions.serving(dataset.id)).provisional


async def test_the_ledger_is_followed_again_after_a_failure(
    world: World, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    champions = make_champions(world)
    failures: list[Exception] = [ConnectionRefusedError("down"), ZeroDivisionError("a bug")]
    looked = champions.refresh

    async def refresh() -> None:
        if failures:
            raise failures.pop()
        await looked()

    monkeypatch.setattr(champions, "refresh", refresh)
    version = await add_good(world, dataset)
    async with champions.polling():
        await world.promote(dataset, version)
        async with asyncio.timeout(5):
            while not champions._serving:
                await asyncio.sleep(0.01)


async def test_staging_changes_nothing(world: World, dataset: Dataset) -> None:
    first = await add_good(world, dataset)
    await world.promote(dataset, first)
    await world.promote(dataset, await add_bad(world, dataset), stage="Staging")
    champions = make_champions(world)
    await champions.refresh()
    assert (await champions.serving(dataset.id)).version == first


async def test_a_bad_bundle_is_refused_once_and_the_old_one_goes_on(
    world: World, dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = await add_good(world, dataset), await add_bad(world, dataset)
    await world.promote(dataset, good)
    champions = make_champions(world)
    await champions.refresh()
    await world.promote(dataset, bad)
    with caplog.at_level(logging.ERROR, logger="holdfast.champions"):
        await champions.refresh()
        await champions.refresh()
    assert (await champions.serving(dataset.id)).version == good
    errors = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == ["champion refused"]
    assert REFUSED.labels(str(bad))._value.get() == 1


async def test_a_bad_bundle_of_one_dataset_does_not_keep_another_from_its_champion(
    world: World, dataset: Dataset
) -> None:
    await world.promote(dataset, await add_bad(world, dataset))
    other = await world.add_dataset("others")
    good = await world.add_version(other, await world.add_revision(other))
    await world.promote(other, good)
    champions = make_champions(world)
    await champions.refresh()
    assert (await champions.serving(other.id)).version == good
    with pytest.raises(BundleRefused):
        await champions.serving(dataset.id)


async def test_bytes_are_stored_once_and_score_as_at_training(world: World, dataset: Dataset) -> None:
    data, bundles = fit_model().bundle.to_bytes(), Bundles(world.sessions, n_threads=1)
    async with world.sessions.begin() as session:
        assert await bundles.store(session, data) == await bundles.store(session, data) == fit_model().bundle.sha256
        assert (await session.execute(select(func.count()).select_from(Bundle))).scalar_one() == 1
    scorer = await bundles.load_bytes(fit_model().bundle.sha256)
    assert scorer.score(draw_frame(50, seed=3).features).size == 50
    assert await bundles.load_bytes(fit_model().bundle.sha256) is scorer


async def test_one_changed_byte_is_found(world: World, dataset: Dataset) -> None:
    version = await add_good(world, dataset)
    data = bytearray(fit_model().bundle.to_bytes())
    data[len(data) // 2] ^= 1
    async with world.sessions.begin() as session:
        await session.execute(update(Bundle).values(bytes=bytes(data)))
    with pytest.raises(BundleRefused, match="not those that were written"):
        await Bundles(world.sessions, n_threads=1).load(version)


async def test_an_unknown_version_has_no_bundle(world: World) -> None:
    with pytest.raises(NotFound):
        await Bundles(world.sessions, n_threads=1).load(12)


async def test_champions_are_loaded_before_the_service_is_ready(world: World, dataset: Dataset) -> None:
    version = await add_good(world, dataset)
    await world.promote(dataset, version)
    champions = make_champions(world, poll_seconds=60)
    async with champions.polling():
        assert champions._serving[dataset.id].version == version
