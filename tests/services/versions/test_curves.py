"""The curves of an evaluation are stored with it and shown to those who ask."""

import pytest

from app.container import Services
from app.schemas.config import EvaluationConfig, ProfitConfig
from app.schemas.gate import PolicyIn
from tests.registry_rows import add_dataset, add_verdict, add_version
from tests.services.scoring_world import draw_frame
from tests.services.versions.court import open_court

ASSUMED = EvaluationConfig(profit=ProfitConfig(value_per_account=100, contact_cost=8, save_rate=0.4))


async def test_curves_are_there_for_those_who_ask(services: Services) -> None:
    court = await open_court(services)
    await court.upload(draw_frame(600, seed=1))
    await services.gate.put(PolicyIn(evaluation=ASSUMED, reason="agreed"), if_match=None, actor="ann")
    verdict = await court.judge(await court.make())
    assert not verdict.advisory
    plain = await services.evaluation.latest("latest", None)
    assert plain.curves is None
    found = await services.evaluation.latest("latest", None, include="curves")
    assert found.model_copy(update={"curves": None}) == plain
    assert found.curves is not None
    assert found.curves["n"] == verdict.rows["n"]
    assert found.curves["gain"][-1]["n_flagged"] == verdict.rows["n"]
    assert found.curves["profit"]["break_even"]["probability"] == pytest.approx(0.2)


async def test_a_verdict_of_before_says_how_to_have_them(services: Services) -> None:
    async with services.sessions.begin() as session:
        number = await add_version(session, await add_dataset(session))
        told = dict.fromkeys(("deciding_check", "baseline_as_good"), "")
        empty = {"insufficient": [], "power": {}, "rows": {}, "checks": [], "sentences": ["So it is."]}
        await add_verdict(session, number, None, judgement=told | empty | {"baseline_as_good": False})
    found = await services.evaluation.latest("latest", None, include="curves")
    assert found.curves is None
    assert any(f"POST /models/{number}/evaluate" in step for step in found.next)
