"""On which rows the gate compares versions that were split by time, and by which features each is scored."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from app.ml.gate import Evidence, judge
from app.schemas.config import EvaluationConfig
from app.services.candidate import read_candidate
from app.services.evidence import EvidenceRoom
from app.services.revisions import get_revision
from app.services.training_rows import SplitName
from app.tables import Promotion, Side
from tests.features.business import Business, Store, open_store
from tests.features.oracle import EventFact, Rules
from tests.postgres import new_database
from tests.services.versions.court import Made, make_version

START = datetime(2024, 1, 1, tzinfo=UTC)
RULES = Rules(active_days=30, horizon_days=20, windows=(7, 30), has_accounts=False, has_subscriptions=False)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def events(accounts: range, kinds: Sequence[str], *, first: float, last: float, seed: int) -> list[EventFact]:
    """Accounts that come every few days; some of them slow down, and stay away in the end."""
    found = []
    for account in accounts:
        rng = np.random.default_rng([seed, account])
        at, pause = first + rng.uniform(0, 30), rng.uniform(2, 6)
        ends = rng.uniform(first + 40, last + 300)
        while at < last:
            found.append(EventFact(f"a{account:04}", "", day(at), str(rng.choice(kinds)), None, None))
            at += rng.exponential(pause * (4 if at > ends - 15 else 1)) + (60 if at > ends else 0)
    return found


@dataclass(frozen=True)
class World:
    """A shop of 200 accounts up to day 200 (revision 1), then up to day 340 with 60 new ones (revision 2)."""

    store: Store
    shop: Business

    async def make(self, revision: int, split: SplitName = "temporal") -> Made:
        """Train and register, without a job."""
        source, dataset = await self.shop.open(revision), await self.shop.dataset()
        services = self.store.services
        rows = await services.frames.training_rows(dataset, source, split=split)
        return await make_version(services, dataset, rows, revision)

    async def gather(self, made: Made, revision: int, champion: Made | None = None) -> tuple[Evidence, dict[str, Any]]:
        """What the gate would judge by, on a revision."""
        services, dataset = self.store.services, await self.shop.dataset()
        async with services.sessions.begin() as session:
            if champion is not None:
                promotion = Promotion(stage="Production", action="promote", to_version=champion.number, actor="test")
                promotion.dataset_id = dataset.id
                session.add(promotion)
                await session.flush()
            revision_id = (await get_revision(session, dataset, revision)).id
            candidate = await read_candidate(session, made.number, revision_id)
        found = await EvidenceRoom(services.sessions, services.frames, services.bundles, n_threads=1).gather(candidate)
        return found.evidence, found.rows


@pytest.fixture(scope="module")
async def world(
    postgres_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """Made once; versions come and go."""
    with new_database(postgres_url, template=template_database) as url:
        async with open_store(url, tmp_path_factory.mktemp("home")) as store:
            shop = await store.describe(RULES, step_days=25, max_instants=6)
            old = events(range(200), ("login", "buy"), first=0, last=340, seed=1)
            await shop.send("events", [each for each in old if each.occurred_at < day(200)])
            new = events(range(1000, 1060), ("login", "chat"), first=215, last=340, seed=2)
            await shop.send("events", [*[each for each in old if each.occurred_at >= day(200)], *new])
            yield World(store, shop)


@pytest.fixture(scope="module")
async def early(world: World) -> Made:
    """Trained at revision 1: it learned at the days 55 to 155, whose horizons end on day 175, and judges on day 180."""
    made = await world.make(1)
    assert made.rows.information_end == day(175)
    assert made.rows.split["instants"]["test"] == [day(180).isoformat()]
    return made


@pytest.fixture(scope="module")
async def late(world: World) -> Made:
    """Trained at revision 2: what it learned ends on day 315, and it judges on day 320."""
    made = await world.make(2)
    assert made.rows.information_end == day(315)
    return made


def learned(made: Made) -> set[str]:
    on_test = made.rows.sides == "test"
    return {account for account, test in zip(made.rows.frame.accounts.to_pylist(), on_test, strict=True) if not test}


async def test_a_version_is_judged_on_its_own_test_rows(world: World, early: Made) -> None:
    evidence, told = await world.gather(early, 1)
    on_test = early.rows.sides == "test"
    accounts = early.rows.frame.accounts.filter(on_test).to_pylist()
    assert evidence.accounts.tolist() == accounts
    assert evidence.production is None
    assert evidence.known is not None
    assert evidence.known.tolist() == [account in learned(early) for account in accounts]
    assert (told["n_known"], told["n_new"], told["n"]) == (
        evidence.known.sum(),
        (~evidence.known).sum(),
        len(accounts),
    )
    assert told["as_trained"]


async def test_on_a_newer_revision_new_accounts_are_those_the_version_has_not_met(world: World, early: Made) -> None:
    """Whatever a split of that revision would learn from."""
    evidence, told = await world.gather(early, 2)
    assert told["as_of"] == day(320).isoformat()
    assert evidence.known is not None
    assert evidence.known.tolist() == [account in learned(early) for account in evidence.accounts]
    came_later = np.array([account >= "a1000" for account in evidence.accounts])
    assert came_later.sum() > 20
    assert not evidence.known[came_later].any()


async def test_a_version_tells_the_split_it_was_trained_with(world: World, early: Made) -> None:
    _, told = await world.gather(early, 1)
    assert told["split"] == early.rows.split
    assert told["information_end"] == day(175).isoformat()
    assert told["production_information_end"] is None


async def test_on_a_newer_revision_only_the_test_side_is_told_and_what_each_version_knows(
    world: World, early: Made, late: Made
) -> None:
    """Nothing of what a training on that revision would learn from."""
    evidence, told = await world.gather(early, 2, champion=late)
    assert told["information_end"] == day(175).isoformat()
    assert told["production_information_end"] == day(315).isoformat()
    known = sum(account in learned(early) for account in evidence.accounts)
    n, n_churned = evidence.y.size, int(evidence.y.sum())
    side = {"n_rows": n, "n_accounts": n, "n_churned": n_churned, "churn_rate": n_churned / n}
    assert told["split"] == {
        "kind": "temporal",
        "instants": {"test": [day(320).isoformat()]},
        "sides": {"test": side | {"n_known": known, "n_new": n - known}},
    }


async def test_versions_are_compared_on_rows_after_what_both_know(world: World, early: Made, late: Made) -> None:
    """Day 180 is fair to the early one alone; day 320 to both."""
    evidence, _ = await world.gather(early, 1, champion=late)
    assert evidence.production is not None
    assert not evidence.production.fair.any()
    judgement = judge(evidence, EvaluationConfig())
    [check] = [each for each in judgement.checks if each.name == "improvement_over_production"]
    assert check.verdict.value == "insufficient"
    assert check.sentence == (
        f"No comparison with version {late.number} in production: what version {late.number} learned ends at "
        f"{day(315).isoformat()}, after the rows of this test side, whose newest instant is {day(180).isoformat()}."
        f" Evaluate on a newer revision "
        f"(`revision`) once rows of {day(315).isoformat()} or later have matured."
    )
    for candidate, champion in ((early, late), (late, early)):
        evidence, _ = await world.gather(candidate, 2, champion=champion)
        assert evidence.production is not None
        assert evidence.production.version == champion.number
        assert evidence.production.fair.all()
        assert evidence.y.size > 100


async def test_to_a_champion_split_at_random_accounts_it_did_not_use_are_fair(world: World, early: Made) -> None:
    champion = await world.make(1, split="random")
    assert champion.rows.information_end == day(200)
    evidence, _ = await world.gather(early, 1, champion=champion)
    async with world.store.services.sessions() as session:
        dataset = await world.shop.dataset()
        sides = (await session.execute(select(Side.account_id, Side.side).where(Side.dataset_id == dataset.id))).all()
    unused = {account for account, side in sides if side == "test"}
    assert evidence.production is not None
    fair = [account in unused for account in evidence.accounts]
    assert evidence.production.fair.tolist() == fair
    assert 10 < sum(fair) < len(fair) - 10


async def test_a_champion_of_other_kinds_is_scored_by_its_own_features(world: World, early: Made, late: Made) -> None:
    """The late one has features of `chat`, which was not there before; all that the early one reads is as it was."""
    names = {made.number: {each.name for each in made.rows.features} for made in (early, late)}
    assert "n_chat_7d" in names[late.number] - names[early.number]
    assert names[early.number] < names[late.number]
    evidence, _ = await world.gather(late, 2, champion=early)
    frame = late.rows.frame.take(np.flatnonzero(late.rows.sides == "test"))
    assert evidence.accounts.tolist() == frame.accounts.to_pylist()
    scorer = await world.store.services.bundles.load(early.number)
    expected = scorer.score(frame.features.select([each.name for each in early.rows.features]))
    assert evidence.production is not None
    np.testing.assert_array_equal(evidence.production.p, expected)
    assert not evidence.production.same_recipe
    assert not np.array_equal(evidence.production.p, evidence.p_model)
    # And the other way round: the early candidate by its features, the late champion by those it knows.
    evidence, _ = await world.gather(early, 2, champion=late)
    assert evidence.production is not None
    np.testing.assert_array_equal(evidence.p_model, expected)
    scorer = await world.store.services.bundles.load(late.number)
    np.testing.assert_array_equal(evidence.production.p, scorer.score(frame.features))
    assert evidence.active_scores is not None
    assert evidence.production.active_scores is not None
    assert evidence.production.active_scores.size == evidence.active_scores.size > 100
