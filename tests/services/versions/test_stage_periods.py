"""When versions were in which stage; the expected periods are worked out by hand from DESIGN.md section 4."""

import pytest

from app.container import Services
from app.schemas.models import VersionOut
from app.schemas.promotions import PromoteIn, PromotionOut, RollbackIn
from tests.registry_rows import add_dataset, add_verdict, add_version


@pytest.fixture
async def versions(services: Services) -> list[int]:
    async with services.sessions.begin() as session:
        dataset = await add_dataset(session)
        return [await add_version(session, dataset) for _ in range(3)]


async def force(services: Services, number: int, stage: str = "Production") -> PromotionOut:
    body = PromoteIn.model_validate({"stage": stage, "force": True, "reason": "so be it"})
    return await services.promotion.promote(number, body, if_match=None, actor="ann")


async def history(services: Services) -> dict[int, VersionOut]:
    page = await services.models.list_models(dataset=None, limit=10, cursor=None)
    return {each.version: each for each in page.items}


def told(version: VersionOut) -> list[tuple[str, int, bool]]:
    """Stage, entry of the ledger, and whether it is there still."""
    return [(each.stage, each.promotion_id, each.until is None) for each in version.stages]


async def test_a_reign_ends_when_the_next_one_begins(services: Services, versions: list[int]) -> None:
    first, second = await force(services, 1), await force(services, 2)
    back = await services.promotion.rollback(RollbackIn(reason="bad"), if_match=None, actor="bob")
    found = await history(services)
    assert told(found[1]) == [("Production", back.id, True), ("Production", first.id, False)]
    assert told(found[2]) == [("Production", second.id, False)]
    assert told(found[3]) == []
    [reign] = found[2].stages
    assert (reign.since, reign.until) == (second.created_at, back.created_at)
    assert (reign.forced, reign.actor, reign.reason, reign.action) == (True, "ann", "so be it", "promote")
    assert (found[1].stages[0].action, found[1].stages[0].actor) == ("rollback", "bob")


async def test_a_challenger_leaves_staging_by_another_or_by_its_crown(services: Services, versions: list[int]) -> None:
    first, second = await force(services, 1, "Staging"), await force(services, 2, "Staging")
    crowned = await force(services, 2)
    third = await force(services, 3, "Staging")
    found = await history(services)
    assert told(found[1]) == [("Staging", first.id, False)]
    assert told(found[2]) == [("Production", crowned.id, True), ("Staging", second.id, False)]
    assert [each.until for each in found[2].stages] == [None, crowned.created_at]
    assert told(found[3]) == [("Staging", third.id, True)]
    for version in found.values():  # what is open is the stage it has now
        assert [each.stage for each in version.stages if each.until is None] == (
            [version.stage] if version.stage else []
        )


async def test_ledgers_of_other_datasets_end_nothing(services: Services, versions: list[int]) -> None:
    await force(services, 1)
    async with services.sessions.begin() as session:
        other = await add_version(session, await add_dataset(session, "others"))
    await force(services, other)
    assert told((await history(services))[1])[0][2]


async def test_the_history_tells_the_figure_of_the_gate(services: Services, versions: list[int]) -> None:
    check = {"name": "thresholds", "verdict": "pass", "sentence": "", "estimate": 0.81, "interval": [0.78, 0.84]}
    async with services.sessions.begin() as session:
        await add_verdict(session, 1, None, judgement={"sentences": [""], "checks": [check]})
    verdict = (await history(services))[1].verdict
    assert verdict is not None
    assert (verdict.roc_auc, verdict.roc_auc_interval, verdict.rule) == (0.81, (0.78, 0.84), "first_champion")
