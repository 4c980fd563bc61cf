"""What the checks beside the six read of the store: segments, the list of production, what the probes suspect."""

import numpy as np
import pytest
from sqlalchemy import select

from app.container import Services
from app.ml.fingerprint import row_keys
from app.schemas.config import EvaluationConfig
from app.schemas.gate import PolicyIn
from app.services import evidence_store
from app.tables import Promotion, TrainedModel, Training, Version
from tests.services.scoring_world import draw_frame
from tests.services.versions.court import Court, open_court

ALL_ON = {
    "segments": {"features": ["plan", "tenure"]},
    "profit": {"value_per_account": 100, "contact_cost": 5, "save_rate": 0.4, "capacity": 0.1, "require": "positive"},
    "list_stability": {"min_stay": 0.4},
    "leak_suspicion": {},
    "evidence": "test_side",
}


@pytest.fixture
async def court(services: Services) -> Court:
    court = await open_court(services)
    await court.upload(draw_frame(1500, seed=1))
    policy = PolicyIn(evaluation=EvaluationConfig.model_validate(ALL_ON), reason="all of it")
    await services.gate.put(policy, if_match=None, actor="ann")
    return court


async def crown(services: Services, court: Court, number: int) -> None:
    async with services.sessions.begin() as session:
        entry = Promotion(stage="Production", action="promote", to_version=number, actor="test")
        entry.dataset_id = (await court.dataset()).id
        session.add(entry)


async def test_all_of_them_are_judged_from_the_store(services: Services, court: Court) -> None:
    await crown(services, court, await court.make())
    verdict = await court.judge(await court.make())
    checks = {check.name: check for check in verdict.checks}
    assert not verdict.advisory
    assert len(checks) == 10
    assert (checks["list_stability"].verdict, checks["list_stability"].estimate) == ("pass", 1)  # the same once more
    assert checks["leak_suspicion"].details["suspected"] == []
    assert checks["profit_at_capacity"].estimate is not None
    async with services.sessions() as session:
        found = await evidence_store.read(session, verdict.id)
    assert found is not None
    evidence, keys = found
    production = evidence.production
    assert production is not None
    assert production.active_paired is not None
    np.testing.assert_array_equal(production.active_paired, production.active_scores)
    frame = draw_frame(1500, seed=1)
    plans = dict(zip(row_keys(frame).tolist(), frame.features["plan"].to_pylist(), strict=True))
    assert evidence.segment_features == ("plan", "tenure")
    assert evidence.segment_codes is not None
    parted = [evidence.segment_names[code] for code in evidence.segment_codes[0]]
    assert parted == [f"plan: {plans[key]}" for key in keys.tolist()]
    assert len({*evidence.segment_codes[1].tolist()}) == 4


async def test_what_the_probes_suspected_is_known_but_for_what_was_accepted(services: Services, court: Court) -> None:
    number = await court.make()
    found = [
        {"name": "a:twin", "level": "suspected"},
        {"name": "b:twin", "level": "suspected"},
        {"name": "c:twin", "level": "certain"},
    ]
    async with services.sessions.begin() as session:
        query = select(Training).join(TrainedModel).join(Version).where(Version.version == number)
        training = (await session.scalars(query)).one()
        training.leaks = found
        training.config = training.config | {"training": training.config["training"] | {"accept_leaks": ["b:twin"]}}
    verdict = await court.judge(number)
    check = next(each for each in verdict.checks if each.name == "leak_suspicion")
    assert (check.verdict, check.details["suspected"]) == ("fail", ["a:twin"])
    assert verdict.recommendation == "reject"


async def test_a_segment_by_a_column_that_is_not_there_holds(services: Services, court: Court) -> None:
    verdict = await court.judge(await court.make(), evaluation={"segments": {"features": ["city"]}})
    check = next(each for each in verdict.checks if each.name == "weak_segments")
    assert (check.verdict, check.details["absent"]) == ("insufficient", ["city"])
    assert verdict.recommendation in ("hold", "reject")
