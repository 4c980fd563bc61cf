"""Provisional champions are judged again as outcomes mature: once a revision, by one worker of many."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from app.container import Services
from app.schemas.config import EvaluationConfig
from app.schemas.evaluation import EvaluationOut
from app.schemas.gate import PolicyIn
from app.schemas.promotions import PromoteIn
from app.services.rejudging import REJUDGE, Rejudging
from app.tables import Job, Promotion
from tests.services.scoring_world import draw_frame
from tests.services.versions.court import Court, open_court

TEST_SIDE = {"evaluation": {"evidence": "test_side"}}


@pytest.fixture
async def court(services: Services) -> Court:
    court = await open_court(services, defaults=TEST_SIDE)
    await court.upload(draw_frame(600, seed=1))
    return court


@pytest.fixture
async def rejudging(services: Services) -> Rejudging:
    return Rejudging(services.sessions, services.settings, services.jobs)


async def crown(services: Services, court: Court, **changes: Any) -> int:
    """A champion by a verdict of the gate that is given as provisional."""
    number = await court.make()
    verdict = await court.judge(number)
    entry = {"provisional": True, "evaluation_id": verdict.id, "action": "promote", "actor": "t"} | changes
    async with services.sessions.begin() as session:
        promotion = Promotion(stage="Production", to_version=number, **entry)
        promotion.dataset_id = (await court.dataset()).id
        session.add(promotion)
    return number


async def jobs(services: Services) -> list[Job]:
    async with services.sessions() as session:
        return list((await session.scalars(select(Job).where(Job.kind == REJUDGE).order_by(Job.id))).all())


async def test_a_newer_revision_is_judged_once(services: Services, court: Court, rejudging: Rejudging) -> None:
    number = await crown(services, court)
    assert await rejudging.sweep() == 0
    assert (await services.models.get("champion", None)).confirmed is None
    await court.upload(draw_frame(3000, seed=2), append=True)
    made = await asyncio.gather(*(rejudging.sweep() for _ in range(4)))
    assert sorted(made) == [0, 0, 0, 1]
    [job] = await jobs(services)
    assert (job.status, job.created_by) == ("queued", "holdfast")
    verdict = EvaluationOut.model_validate(await services.evaluation.run(await court.take(job.id)))
    assert (verdict.version, verdict.revision, verdict.rule, verdict.advisory) == (number, 2, "first_champion", False)
    assert verdict.rows["n_churners"] > 100
    assert verdict.recommendation == "promote"
    assert not verdict.provisional
    shown = await services.models.get("champion", None)
    assert (shown.provisional, shown.confirmed) == (True, True)
    await court.upload(draw_frame(100, seed=3), append=True)
    assert await rejudging.sweep() == 0  # what is settled is left alone


async def test_a_verdict_that_rejects_is_no_confirmation(
    services: Services, court: Court, rejudging: Rejudging
) -> None:
    await crown(services, court)
    await court.upload(draw_frame(3000, seed=2, shift=6.0), append=True)  # the world has moved: everybody stays longer
    assert await rejudging.sweep() == 1
    [job] = await jobs(services)
    verdict = EvaluationOut.model_validate(await services.evaluation.run(await court.take(job.id)))
    assert verdict.recommendation == "reject"
    assert (await services.models.get("champion", None)).confirmed is False


async def test_too_few_new_churners_give_no_verdict_and_a_later_revision_is_looked_at(
    services: Services, court: Court, rejudging: Rejudging
) -> None:
    number = await crown(services, court)
    await court.upload(draw_frame(50, seed=2), append=True)
    assert await rejudging.sweep() == 1
    [job] = await jobs(services)
    told = await services.evaluation.run(await court.take(job.id))
    assert told["judged"] is False
    assert 0 < told["n_new_churners"] < 20
    assert len((await services.evaluation.list_evaluations(str(number), None, limit=9, cursor=None)).items) == 1
    assert await rejudging.sweep() == 0
    await court.upload(draw_frame(50, seed=3), append=True)
    assert await rejudging.sweep() == 1


async def test_what_came_to_nothing_is_tried_again_a_few_times(
    services: Services, court: Court, rejudging: Rejudging
) -> None:
    await crown(services, court)
    await court.upload(draw_frame(3000, seed=2), append=True)
    for status in ("failed", "cancelled", "failed"):
        assert await rejudging.sweep() == 1
        assert await rejudging.sweep() == 0  # while it is under way
        async with services.sessions.begin() as session:
            (await session.scalars(select(Job).where(Job.status == "queued"))).one().status = status
    assert await rejudging.sweep() == 0


async def test_a_verdict_by_a_policy_that_has_changed_meanwhile_is_no_judgement(
    services: Services, court: Court, rejudging: Rejudging
) -> None:
    await crown(services, court)
    await court.upload(draw_frame(3000, seed=2), append=True)
    assert await rejudging.sweep() == 1
    bar = EvaluationConfig.model_validate({"min_auc": 0.61, **TEST_SIDE["evaluation"]})
    await services.gate.put(PolicyIn(evaluation=bar, reason="agreed"), if_match=None, actor="ann")
    [job] = await jobs(services)
    told = EvaluationOut.model_validate(await services.evaluation.run(await court.take(job.id)))
    assert told.advisory
    async with services.sessions.begin() as session:
        (await session.get_one(Job, job.id)).status = "succeeded"
    assert await rejudging.sweep() == 1
    second = (await jobs(services))[1]
    told = EvaluationOut.model_validate(await services.evaluation.run(await court.take(second.id)))
    assert not told.advisory
    assert await rejudging.sweep() == 0


@pytest.mark.parametrize("provisional", [False, True])
async def test_only_provisional_champions_are(
    services: Services, court: Court, rejudging: Rejudging, *, provisional: bool
) -> None:
    number = await crown(services, court, provisional=provisional)
    if provisional:  # it is champion no longer
        body = PromoteIn(force=True, reason="another")
        await services.promotion.promote(await court.make(role="baseline"), body, if_match=None, actor="t")
    await court.upload(draw_frame(600, seed=2), append=True)
    assert await rejudging.sweep() == 0
    assert (await services.models.get(str(number), None)).confirmed is None
