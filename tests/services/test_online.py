"""Single scores: answered row by row, kept in the month's run."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from app.errors import NotFound, NothingInProduction, RowsDoNotFit
from app.ml.frame import Frame
from app.ml.scorer import Scorer
from app.schemas.scoring import ScoreIn, ScoresOut
from app.settings import Settings
from app.tables import Dataset, Prediction, ScoringRun
from tests.services.scoring_world import JANUARY, Desk, draw_frame, fit_model, open_desk, open_world

FRAME = draw_frame(40, seed=3)
NAMES = FRAME.accounts.to_pylist()
assert FRAME.churned is not None
STAYED = [name for name, label in zip(NAMES, FRAME.churned, strict=True) if label == 0]
LEFT = [name for name, label in zip(NAMES, FRAME.churned, strict=True) if label == 1]


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with open_world(database_url) as world:
        yield open_desk(world)


async def seed(desk: Desk, *, provisional: bool = False, frame: Frame = FRAME, **fields: Any) -> tuple[Dataset, int]:
    dataset = await desk.world.add_dataset(**fields)
    revision = await desk.upload(frame, as_of=JANUARY if "as_of_column" in fields else None)
    version = await desk.world.add_version(dataset, revision)
    await desk.world.promote(dataset, version, provisional=provisional)
    return dataset, version


async def score(desk: Desk, *accounts: dict[str, Any] | str, **more: Any) -> ScoresOut:
    listed = [{"account_id": each} if isinstance(each, str) else each for each in accounts]
    return await desk.online.score(ScoreIn.model_validate({"accounts": listed, **more}))


def given(account_id: str, **features: Any) -> dict[str, Any]:
    return {"account_id": account_id, "features": features}


async def stored(desk: Desk) -> list[Prediction]:
    async with desk.world.sessions() as session:
        return list((await session.scalars(select(Prediction).order_by(Prediction.id))).all())


async def test_each_row_is_answered_or_told_why_not_and_what_is_answered_is_kept(desk: Desk) -> None:
    _, version = await seed(desk)
    answer = await score(
        desk,
        STAYED[0],
        LEFT[0],
        "stranger",
        given("new", tenure=3, plan="a"),
        given("odd", tenure="3"),
        given("wild", x=1),
    )
    codes = [row.problem.code if row.problem else None for row in answer.scores]
    assert codes == [None, "churned_account", "unknown_account", None, "wrong_type", "unknown_feature"]
    scorer = Scorer(fit_model().bundle)
    at = NAMES.index(STAYED[0])
    expected = scorer.score_one(FRAME.features.slice(at, 1).to_pylist()[0], 3)
    first, new = answer.scores[0], answer.scores[3]
    assert first.churn_probability == expected.probability
    assert [(r.feature, r.unit) for r in first.reasons] == [(r.feature, "log-odds") for r in expected.reasons]
    assert (first.revision, new.revision, new.as_of) == (1, None, answer.scored_at)
    assert new.churn_probability == scorer.score_one({"tenure": 3.0, "plan": "a"}).probability
    kept = await stored(desk)
    assert [(row.account_id, row.churn_probability, row.model_version) for row in kept] == [
        (STAYED[0], first.churn_probability, version),
        ("new", new.churn_probability, version),
    ]
    assert {row.run_id for row in kept} == {answer.run_id}


async def test_many_rows_score_as_each_alone(desk: Desk) -> None:
    await seed(desk)
    together = await score(desk, *STAYED)
    assert len(together.scores) == len(STAYED)
    alone = [(await score(desk, name)).scores[0] for name in STAYED[:3]]
    for one, row in zip(alone, together.scores[:3], strict=True):
        assert row.churn_probability == pytest.approx(one.churn_probability, abs=1e-6)
        assert [r.feature for r in row.reasons] == [r.feature for r in one.reasons]


async def test_the_first_scores_of_a_month_make_one_run_however_many_come_at_once(desk: Desk) -> None:
    await seed(desk)
    answers = await asyncio.gather(*(score(desk, name) for name in STAYED[:8]))
    assert len({answer.run_id for answer in answers}) == 1
    assert len(await stored(desk)) == 8
    async with desk.world.sessions() as session:
        [run] = (await session.scalars(select(ScoringRun))).all()
    assert (run.kind, run.current, run.month) == ("online", False, answers[0].scored_at.strftime("%Y-%m"))


async def test_only_unknown_accounts_is_not_found_and_nothing_is_kept(desk: Desk) -> None:
    await seed(desk)
    with pytest.raises(NotFound):
        await score(desk, "stranger", "another")
    assert (await score(desk, LEFT[0])).run_id is None
    assert await desk.world.count("SELECT count(*) FROM scoring_runs") == 0


async def test_a_provisional_champion_says_so(desk: Desk) -> None:
    await seed(desk, provisional=True)
    answer = await score(desk, STAYED[0])
    assert answer.provisional
    assert (await desk.scores.get_account(None, STAYED[0], limit=1)).newest.provisional


async def test_a_provisional_champion_says_so_by_its_number_too(desk: Desk) -> None:
    dataset, version = await seed(desk)
    plain = await score(desk, STAYED[0], version=str(version))
    await desk.world.promote(dataset, version, provisional=True)
    provisional = await score(desk, STAYED[0], version=str(version))
    assert (plain.provisional, provisional.provisional) == (False, True)
    history = (await desk.scores.get_account(None, STAYED[0], limit=2)).history
    assert [each.provisional for each in history] == [True, False]


async def test_rows_that_do_not_fit_keep_nobody_else_from_a_score(desk: Desk) -> None:
    await seed(desk)
    await desk.upload(Frame(FRAME.accounts, FRAME.features.drop_columns(["tenure"]), FRAME.churned))
    answer = await score(desk, STAYED[0], given("new", tenure=3, plan="a"))
    codes = [each.problem.code if each.problem else None for each in answer.scores]
    assert codes == ["rows_do_not_fit", None]
    with pytest.raises(RowsDoNotFit, match="tenure"):
        await score(desk, STAYED[0])


async def test_without_a_champion_the_answer_says_what_to_call(desk: Desk) -> None:
    dataset = await desk.world.add_dataset()
    version = await desk.world.add_version(dataset, await desk.upload(FRAME))
    with pytest.raises(NothingInProduction) as caught:
        await score(desk, STAYED[0])
    assert "promote" in caught.value.advice
    assert (await score(desk, STAYED[0], version=str(version))).version == version


async def test_dated_rows_are_scored_at_their_newest_instant(desk: Desk) -> None:
    await seed(desk, as_of_column="as_of", horizon_days=30)
    assert (await score(desk, STAYED[0])).scores[0].as_of == JANUARY


async def test_a_capacity_policy_takes_the_cut_offs_of_the_newest_current_run(desk: Desk) -> None:
    await seed(desk, defaults={"scoring": {"tiers": {"kind": "capacity", "high": 3, "medium": 5}}})
    before = await score(desk, STAYED[0])
    assert (before.tiers.high, before.tiers.medium, before.tiers.source) == (0.7, 0.4, "default")
    run_id = (await desk.score())["run_id"]
    after = await score(desk, *STAYED)
    assert after.tiers.source == f"run {run_id}"
    tiers = [row.risk_tier for row in after.scores]
    assert (tiers.count("high"), tiers.count("medium")) == (3, 5)


async def test_settings_are_the_policy_where_nothing_else_is_said(desk: Desk) -> None:
    await seed(desk)
    strict = Settings(scoring={"tiers": {"kind": "probability", "high": 0.02, "medium": 0.01}})
    answer = await score(open_desk(desk.world, strict), *STAYED)
    assert {row.risk_tier for row in answer.scores if (row.churn_probability or 0) >= 0.02} == {"high"}


async def test_the_schema_says_what_can_be_given(desk: Desk) -> None:
    _, version = await seed(desk)
    schema = await desk.online.describe(None, "champion")
    assert schema.version == version
    tenure, autopay, plan = schema.features
    values = FRAME.features["tenure"].to_pylist()
    assert (tenure.kind, tenure.minimum, tenure.maximum) == ("numeric", min(values), max(values))
    assert (autopay.kind, autopay.levels) == ("boolean", None)
    assert (plan.kind, plan.levels, plan.missing_share) == ("categorical", ["a", "b", "c"], 0)
