"""Each look at a test side is counted and paid for, whoever looks and however many at once."""

import asyncio
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import delete, func, select

from app.container import Services
from app.ml.frame import Frame
from app.schemas.config import ModelConfig
from app.stats.looks import look_confidence
from app.tables import Evaluation, StoredEvidence
from tests.services.scoring_world import draw_frame
from tests.services.versions.court import Court, open_court


@pytest.fixture
async def court(services: Services) -> Court:
    court = await open_court(services, defaults={"evaluation": {"evidence": "test_side"}})
    await court.upload(draw_frame(900, seed=1))
    return court


def logistic(c: float) -> dict[str, Any]:
    return {"model": ModelConfig.model_validate({"model_type": "logistic", "logistic_params": {"C": c}})}


async def look(court: Court, number: int, **body: Any) -> tuple[int, int]:
    told = (await court.judge(number, **body)).test_side
    assert told is not None
    assert told.confidence == pytest.approx(look_confidence(told.look))
    return told.look, told.n_candidates


async def test_every_candidate_is_a_look_and_the_same_bytes_again_are_none(court: Court) -> None:
    a, b, c = [await court.make(**logistic(each)) for each in (1.0, 0.1, 0.01)]
    again = await court.make(**logistic(1.0))  # another version of the bytes of a
    assert [await look(court, each) for each in (a, b, a, c, again, b)] == [
        (1, 1),
        (2, 2),
        (1, 2),
        (3, 3),
        (1, 3),
        (2, 3),
    ]


async def test_an_advisory_look_is_a_look(court: Court) -> None:
    first, second = await court.make(**logistic(1.0)), await court.make(**logistic(0.1))
    verdict = await court.judge(first, evaluation={"min_auc": 0.5, "evidence": "test_side"})
    assert verdict.advisory
    assert await look(court, second) == (2, 2)


async def test_what_the_answer_says(court: Court) -> None:
    versions = [await court.make(**logistic(10.0**-each)) for each in range(5)]
    verdicts = [await court.judge(each) for each in versions]
    said = [[sentence for sentence in each.sentences if sentence.startswith("Look")] for each in verdicts]
    assert said[0] == []
    assert said[1] == [
        "Look 2 at this test side, which has judged 2 candidates: to pass takes 98.3 % confidence instead of 95 %."
    ]
    assert "fresh rows" not in said[3][0]
    assert "fresh rows" in said[4][0]
    checks = {check.name: check.confidence for check in verdicts[4].checks}
    assert checks["thresholds"] == pytest.approx(1 - 0.1 / 30)
    assert checks["distribution"] == 0.95  # rests on no test side
    narrow, wide = (
        next(c.interval for c in each.checks if c.name == "thresholds") for each in (verdicts[0], verdicts[4])
    )
    assert narrow is not None
    assert wide is not None
    assert wide[1] - wide[0] > 1.3 * (narrow[1] - narrow[0])


async def test_new_rows_of_a_newer_revision_are_looked_at_anew(court: Court) -> None:
    """Twice the accounts: a candidate of before has seen about half of the churners."""
    first = await court.make(**logistic(1.0))
    assert await look(court, first) == (1, 1)
    both = [draw_frame(900, seed=1), draw_frame(900, seed=2)]
    churned = [float(label) for each in both if each.churned is not None for label in each.churned]
    accounts = pa.concat_arrays([each.accounts for each in both])
    features = pa.concat_tables([each.features for each in both]).combine_chunks()
    await court.upload(Frame(accounts, features, np.array(churned)))
    second, third = await court.make(**logistic(0.1)), await court.make(**logistic(0.01))
    assert await look(court, second) == (2, 2)
    assert await look(court, third) == (3, 3)  # 1 + 1 + about a half, rounded up
    await court.upload(draw_frame(900, seed=3))
    assert await look(court, await court.make(**logistic(0.01))) == (1, 1)


async def test_verdicts_of_before_count_whole(services: Services, court: Court) -> None:
    a, b = await court.make(**logistic(1.0)), await court.make(**logistic(0.1))
    await court.judge(a)
    async with services.sessions.begin() as session:
        await session.execute(delete(StoredEvidence))
    assert await look(court, b) == (2, 2)


async def test_of_verdicts_at_once_no_two_are_the_same_look(services: Services, court: Court) -> None:
    versions = [await court.make(**logistic(10.0**-each)) for each in range(4)]
    asked = [await court.ask(each) for each in versions]
    verdicts = await asyncio.gather(*(court.work(each) for each in asked))
    looks = [each.test_side.look for each in verdicts if each.test_side]
    assert sorted(looks) == [1, 2, 3, 4]
    async with services.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Evaluation)) == 4
