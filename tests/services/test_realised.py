"""Which outcomes decide which scores: cases made by hand."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from app.services.realised import RealisedRows, read_realised
from app.services.row_source import NO_LABELS
from app.tables import Dataset, Outcome, ScoringRun
from tests.services.scoring_world import JANUARY, World, open_world

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LEAD_DAYS, HORIZON_DAYS = 5, 30
OPENS = JANUARY + timedelta(days=LEAD_DAYS)
INSIDE = OPENS + timedelta(days=1)
ENDS = OPENS + timedelta(days=HORIZON_DAYS)
SECOND = timedelta(seconds=1)
Cases = list[tuple[list[tuple[datetime, bool]], int | None]]  # reports in the order they came, and what they decide


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_world(database_url) as world:
        yield world


async def run_of(world: World, *, horizon: int | None = HORIZON_DAYS, n: int = 1) -> tuple[Dataset, ScoringRun]:
    """A run of the accounts 0, 1, ...; each has its number as its probability, in thousandths."""
    dataset = await world.add_dataset(horizon_days=horizon, lead_days=LEAD_DAYS if horizon else 0)
    revision = await world.add_revision(dataset)
    version = await world.add_version(dataset, revision)
    return dataset, await world.add_run(dataset, revision, version, [(f"{i:03}", i / 1000) for i in range(n)])


async def report(world: World, dataset: Dataset, account: str, *reports: tuple[datetime, bool]) -> None:
    async with world.sessions.begin() as session:
        for observed_at, churned in reports:
            session.add(
                Outcome(
                    dataset_id=dataset.id,
                    account_id=account,
                    churned=churned,
                    observed_at=observed_at,
                    reported_by="test",
                )
            )
            await session.flush()


async def realised(
    world: World,
    dataset: Dataset,
    run: ScoringRun,
    *,
    now: datetime = NOW,
    labels: str = NO_LABELS,
    known: str = NO_LABELS,
) -> RealisedRows:
    async with world.sessions() as session:
        return await read_realised(session, dataset, run, labels=labels, known=known, now=now)


async def decided(world: World, cases: Cases, *, horizon: int | None) -> list[int | None]:
    """What is known of one account per case."""
    dataset, run = await run_of(world, horizon=horizon, n=len(cases))
    for at, (reports, _) in enumerate(cases):
        await report(world, dataset, f"{at:03}", *reports)
    rows = await realised(world, dataset, run)
    known = {round(p * 1000): int(y) for p, y in zip(rows.p, rows.y, strict=True)}
    return [known.get(at) for at in range(len(cases))]


async def test_what_decides_within_a_horizon(world: World) -> None:
    cases: Cases = [
        ([(OPENS + SECOND, True)], 1),
        ([(ENDS, True)], 1),  # what is observed at an instant happened before it
        ([(OPENS, True)], None),  # it left in the lead: too early to count
        ([(ENDS + SECOND, True)], None),  # after the window nothing is said of the inside
        ([(ENDS, False)], 0),
        ([(ENDS - SECOND, False)], None),  # an early "stayed" is kept, not used
        ([(ENDS, False), (INSIDE, True)], 1),  # the newest report wins
        ([(INSIDE, True), (ENDS, False)], 0),
        ([(INSIDE, True), (INSIDE + SECOND, False)], 1),  # not usable, so it takes nothing back
        ([(INSIDE, True), (INSIDE, False)], None),  # the same instant: the report was taken back
        ([(INSIDE, False), (INSIDE, True)], 1),
        ([], None),
    ]
    assert await decided(world, cases, horizon=HORIZON_DAYS) == [expected for _, expected in cases]


async def test_what_decides_without_a_horizon(world: World) -> None:
    cases: Cases = [
        ([(JANUARY + SECOND, True)], 1),
        ([(JANUARY, True)], None),  # known when it was scored
        ([(JANUARY + 9 * SECOND, True), (JANUARY + SECOND, False)], 1),  # reported late, but older
        ([(JANUARY + SECOND, True), (JANUARY + 9 * SECOND, False)], 0),
        ([(JANUARY + SECOND, True), (JANUARY + SECOND, False)], 0),
    ]
    assert await decided(world, cases, horizon=None) == [expected for _, expected in cases]


@pytest.mark.parametrize(("now", "n"), [(ENDS - SECOND, 0), (ENDS, 1)])
async def test_a_score_is_matured_as_its_horizon_ends(world: World, now: datetime, n: int) -> None:
    dataset, run = await run_of(world)
    await report(world, dataset, "000", (INSIDE, True))
    rows = await realised(world, dataset, run, now=now)
    assert (rows.y.size, rows.n_immature, rows.n_unreported) == (n, 1 - n, 0)


async def test_accounts_nobody_reported_on_are_counted_apart(world: World) -> None:
    dataset, run = await run_of(world, n=4)
    await report(world, dataset, "001", (ENDS, False))
    await report(world, dataset, "stranger", (ENDS, False))
    rows = await realised(world, dataset, run)
    assert (rows.y.tolist(), rows.p.tolist(), rows.n_unreported) == ([0], [0.001], 3)


async def test_outcomes_of_another_dataset_decide_nothing(world: World) -> None:
    dataset, run = await run_of(world)
    await report(world, await world.add_dataset("others"), "000", (ENDS, False))
    assert (await realised(world, dataset, run)).y.size == 0


async def test_a_label_of_the_row_that_was_scored_counts_where_nothing_was_reported(world: World) -> None:
    dataset, run = await run_of(world, n=3)
    labels = f"""
        SELECT * FROM (VALUES
            ('000', CAST('{JANUARY}' AS timestamptz), true),
            ('001', CAST('{JANUARY}' AS timestamptz), true),
            ('002', CAST('{OPENS}' AS timestamptz), true)
        ) AS labelled (account_id, as_of, churned)
    """
    await report(world, dataset, "001", (ENDS, False))
    assert (await realised(world, dataset, run, labels=labels)).y.tolist() == [1, 0]


async def test_an_account_whose_outcome_was_known_as_it_was_scored_is_in_no_figure(world: World) -> None:
    dataset, run = await run_of(world, n=3)
    known = f"SELECT '000' AS account_id, CAST('{JANUARY}' AS timestamptz) AS as_of, false AS churned"
    for account in ("000", "001"):
        await report(world, dataset, account, (ENDS, False))
    rows = await realised(world, dataset, run, labels=known, known=known)
    assert (rows.p.tolist(), rows.n_known_before, rows.n_unreported, rows.n_immature) == ([0.001], 1, 1, 0)
