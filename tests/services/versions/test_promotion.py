"""The ledger's rules, on real tables; who may follow whom is worked out by hand from DESIGN.md section 4."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.container import Services
from app.errors import (
    Conflict,
    GateNotPassed,
    HoldfastError,
    NotEvaluated,
    NotFound,
    NothingInProduction,
    NothingInStaging,
    NothingRegistered,
    StaleEvaluation,
    StaleHead,
)
from app.schemas.promotions import PromoteIn, PromotionOut, RollbackIn
from app.tables import Dataset, Job, Revision
from tests.registry_rows import add_dataset, add_verdict, add_version

BACK = RollbackIn(reason="it scores everybody high")


@pytest.fixture
async def versions(services: Services) -> list[int]:
    """Four versions of one dataset, none of them judged."""
    async with services.sessions.begin() as session:
        dataset = await add_dataset(session)
        return [await add_version(session, dataset) for _ in range(4)]


async def judge(services: Services, number: int, champion: int | None, **changes: object) -> None:
    async with services.sessions.begin() as session:
        await add_verdict(session, number, champion, **changes)


async def add_revision(session: AsyncSession, number: int) -> int:
    """Another revision of the one dataset: its id."""
    first = (await session.scalars(select(Revision))).one()
    names = ("dataset_id", "data_hash", "n_rows", "n_accounts", "n_labelled", "n_churned", "columns", "created_by")
    revision = Revision(number=number, **{name: getattr(first, name) for name in names})
    session.add(revision)
    await session.flush()
    return revision.id


def compared_with_anchor(version: int) -> dict[str, Any]:
    """What a verdict says that was compared with the last version promoted as better too."""
    check = {"name": "improvement_over_production", "verdict": "pass", "details": {"anchor": {"version": version}}}
    return {"sentences": ["So it is."], "checks": [check]}


async def promote(services: Services, number: int, if_match: str | None = None, **body: object) -> PromotionOut:
    return await services.promotion.promote(number, PromoteIn.model_validate(body), if_match=if_match, actor="ann")


async def crown(services: Services, number: int, champion: int | None, **changes: object) -> PromotionOut:
    """Judge by the gate, then promote."""
    await judge(services, number, champion, **changes)
    return await promote(services, number)


async def test_the_first_champion_is_its_own_anchor(services: Services, versions: list[int]) -> None:
    entry = await crown(services, versions[0], None)
    assert (entry.stage, entry.action, entry.from_version, entry.to_version) == ("Production", "promote", None, 1)
    assert (entry.anchor_version, entry.rule, entry.forced, entry.actor) == (1, "first_champion", False, "ann")
    assert entry.recommendation == "promote"


async def test_production_needs_a_verdict(services: Services, versions: list[int]) -> None:
    with pytest.raises(NotEvaluated) as caught:
        await promote(services, 1)
    assert "POST /models/1/evaluate" in caught.value.advice


async def test_an_advisory_verdict_does_not_count(services: Services, versions: list[int]) -> None:
    await judge(services, 1, None, advisory=True)
    with pytest.raises(NotEvaluated):
        await promote(services, 1)


async def test_the_newest_verdict_decides(services: Services, versions: list[int]) -> None:
    await judge(services, 1, None)
    checks = [
        {"name": "calibration", "verdict": "fail", "sentence": "Too steep."},
        {"name": "stability", "verdict": "insufficient", "sentence": "Too few."},
        {"name": "thresholds", "verdict": "pass", "sentence": "Fine."},
    ]
    await judge(services, 1, None, recommendation="reject", judgement={"sentences": ["No."], "checks": checks})
    with pytest.raises(GateNotPassed) as caught:
        await promote(services, 1)
    assert [check["name"] for check in caught.value.facts["failed_checks"]] == ["calibration"]


async def test_a_held_version_is_told_what_could_not_be_decided(services: Services, versions: list[int]) -> None:
    checks = [{"name": "stability", "verdict": "insufficient", "sentence": "Too few."}]
    await judge(services, 1, None, recommendation="hold", judgement={"sentences": ["Hold."], "checks": checks})
    with pytest.raises(GateNotPassed) as caught:
        await promote(services, 1)
    assert [check["name"] for check in caught.value.facts["failed_checks"]] == ["stability"]


async def test_a_verdict_against_an_earlier_champion_is_stale(services: Services, versions: list[int]) -> None:
    await judge(services, 2, None)
    await crown(services, 1, None)
    with pytest.raises(StaleEvaluation) as caught:
        await promote(services, 2)
    assert "version 1" in caught.value.detail
    await crown(services, 2, 1)


async def test_a_verdict_by_another_policy_is_stale(services: Services, versions: list[int]) -> None:
    await judge(services, 1, None)
    async with services.sessions.begin() as session:
        await session.execute(update(Dataset).values(defaults={"evaluation": {"min_auc": 0.9}}))
    with pytest.raises(StaleEvaluation, match="policy"):
        await promote(services, 1)


async def test_a_verdict_on_other_bytes_is_stale(services: Services, versions: list[int]) -> None:
    await judge(services, 1, None, bundle_sha256="0" * 64)
    with pytest.raises(StaleEvaluation, match="bytes"):
        await promote(services, 1)


async def test_force_passes_over_the_gate_and_is_marked(services: Services, versions: list[int]) -> None:
    entry = await promote(services, 1, force=True, reason="the board wants it")
    assert (entry.forced, entry.reason, entry.rule, entry.recommendation) == (True, "the board wants it", None, None)


async def test_margins_do_not_add_up(services: Services, versions: list[int]) -> None:
    """1 better, 2 and 3 not worse: both are measured against 1; a forced 4 begins anew."""
    await crown(services, 1, None)
    second = await crown(services, 2, 1, rule="not_worse")
    third = await crown(services, 3, 2, rule="not_worse", judgement=compared_with_anchor(1))
    forced = await promote(services, 4, force=True, reason="so be it")
    assert [second.anchor_version, third.anchor_version, forced.anchor_version] == [1, 1, 4]


async def test_a_verdict_against_another_anchor_is_stale(services: Services, versions: list[int]) -> None:
    """3 was judged while 2 was champion as better than 1; now 2 is back as not worse, and margins count from 1."""
    await crown(services, 1, None)
    await crown(services, 2, 1)
    await judge(services, 3, 2, rule="not_worse")
    await services.promotion.rollback(BACK, if_match=None, actor="ann")
    again = await crown(services, 2, 1, rule="not_worse")
    assert again.anchor_version == 1
    with pytest.raises(StaleEvaluation, match="margins count from another version"):
        await promote(services, 3)
    await judge(services, 3, 2, rule="not_worse", judgement=compared_with_anchor(1))
    assert (await promote(services, 3)).anchor_version == 1


async def test_no_harm_is_marked_in_the_ledger_and_moves_no_anchor(services: Services, versions: list[int]) -> None:
    await crown(services, 1, None)
    entry = await crown(services, 2, 1, rule="no_harm")
    assert (entry.rule, entry.weak_evidence, entry.anchor_version) == ("no_harm", True, 1)
    assert not (await crown(services, 3, 2)).weak_evidence


async def test_a_verdict_on_older_rows_does_not_outdo_one_on_newer(services: Services, versions: list[int]) -> None:
    """Who does not like what new outcomes say can't go back to the rows of before."""
    async with services.sessions.begin() as session:
        newer = await add_revision(session, 2)
    await judge(services, 1, None, revision_id=newer, recommendation="hold")
    await judge(services, 1, None)
    with pytest.raises(StaleEvaluation) as caught:
        await promote(services, 1)
    assert "rests on older rows than revision 2, which has judged the version" in caught.value.detail
    assert 'POST /models/1/evaluate {"revision": 2}' in caught.value.advice
    await judge(services, 2, None, revision_id=newer, advisory=True)
    await crown(services, 2, None)  # what is advisory counts for nothing
    await judge(services, 1, 2, revision_id=newer)
    assert (await promote(services, 1)).to_version == 1


async def test_a_better_version_is_the_new_anchor(services: Services, versions: list[int]) -> None:
    await crown(services, 1, None)
    entry = await crown(services, 2, 1, rule="better")
    assert entry.anchor_version == 2


async def test_a_provisional_verdict_is_marked_in_the_ledger_and_on_the_version(
    services: Services, versions: list[int]
) -> None:
    entry = await crown(services, 1, None, provisional=True)
    assert entry.provisional
    shown = await services.models.get("champion", None)
    assert (shown.version, shown.stage, shown.provisional) == (1, "Production", True)


async def test_staging_needs_no_verdict_and_leaves_production_alone(services: Services, versions: list[int]) -> None:
    await crown(services, 1, None)
    entry = await promote(services, 2, stage="Staging")
    assert (entry.stage, entry.from_version, entry.anchor_version) == ("Staging", None, None)
    assert (await services.models.get("champion", None)).version == 1
    assert (await services.models.get("challenger", None)).version == 2


async def test_a_challenger_that_becomes_champion_is_no_challenger(services: Services, versions: list[int]) -> None:
    await promote(services, 1, stage="Staging")
    await crown(services, 1, None)
    with pytest.raises(NothingInStaging) as caught:
        await services.models.get("challenger", None)
    assert caught.value.code == "nothing_in_staging"


@pytest.mark.parametrize("rolled_back", [True, False])
async def test_a_champion_that_is_replaced_is_not_a_challenger_again(
    services: Services, versions: list[int], rolled_back: bool
) -> None:
    await crown(services, 1, None)
    await promote(services, 2, stage="Staging")
    await crown(services, 2, 1)
    if rolled_back:
        await services.promotion.rollback(BACK, if_match=None, actor="ann")
    else:
        await crown(services, 3, 2)
    with pytest.raises(NothingInStaging):
        await services.models.get("challenger", None)
    assert (await services.models.get("2", None)).stage is None
    again = await promote(services, 2, stage="Staging")
    assert (again.from_version, again.to_version) == (None, 2)
    assert (await services.models.get("challenger", None)).version == 2
    assert (await services.models.get("2", None)).stage == "Staging"


async def test_a_challenger_displaced_before_it_was_crowned_leaves_the_present_one(
    services: Services, versions: list[int]
) -> None:
    await promote(services, 1, stage="Staging")
    await promote(services, 2, stage="Staging")
    await crown(services, 1, None)
    assert (await services.models.get("challenger", None)).version == 2


async def test_the_champion_is_not_put_in_staging(services: Services, versions: list[int]) -> None:
    await crown(services, 1, None)
    await promote(services, 2, stage="Staging")
    with pytest.raises(Conflict, match="in Production"):
        await promote(services, 1, stage="Staging", force=True, reason="x")
    assert (await services.models.get("challenger", None)).version == 2


async def test_what_is_there_already_is_not_promoted_again(services: Services, versions: list[int]) -> None:
    await crown(services, 1, None)
    with pytest.raises(Conflict, match="already"):
        await promote(services, 1)


async def test_a_rollback_goes_back_step_by_step(services: Services, versions: list[int]) -> None:
    await crown(services, 1, None)
    await crown(services, 2, 1)
    await crown(services, 3, 2)
    first = await services.promotion.rollback(BACK, if_match=None, actor="ann")
    second = await services.promotion.rollback(BACK, if_match=None, actor="ann")
    assert [(each.from_version, each.to_version) for each in (first, second)] == [(3, 2), (2, 1)]
    assert (first.action, first.reason, first.rule) == ("rollback", BACK.reason, "better")
    with pytest.raises(Conflict, match="first champion"):
        await services.promotion.rollback(BACK, if_match=None, actor="ann")


async def test_a_rollback_takes_the_anchor_and_the_verdict_of_its_time(services: Services, versions: list[int]) -> None:
    await crown(services, 1, None)
    then = await crown(services, 2, 1, rule="not_worse")
    await crown(services, 3, 2)
    back = await services.promotion.rollback(BACK, if_match=None, actor="ann")
    assert (back.to_version, back.anchor_version, back.evaluation_id) == (2, 1, then.evaluation_id)
    assert back.recommendation == "promote"


async def test_a_rollback_only_goes_where_production_has_been(services: Services, versions: list[int]) -> None:
    await crown(services, 1, None)
    await promote(services, 2, stage="Staging")
    for version in (2, 3):
        with pytest.raises(Conflict, match="never been"):
            await services.promotion.rollback(RollbackIn(version=version, reason="x"), if_match=None, actor="ann")


async def test_a_verdict_holds_again_after_a_rollback_to_its_champion(services: Services, versions: list[int]) -> None:
    await crown(services, 1, None)
    await judge(services, 3, 1)
    await crown(services, 2, 1)
    await services.promotion.rollback(BACK, if_match=None, actor="ann")
    assert (await promote(services, 3)).from_version == 1


async def test_if_match_names_the_head_of_the_stage(services: Services, versions: list[int]) -> None:
    await judge(services, 1, None)
    head = await services.promotion.head(None, "Production")
    assert (head.head, head.promotion) == (0, None)
    entry = await promote(services, 1, if_match='"0"')
    await promote(services, 2, stage="Staging")
    assert (await services.promotion.head(None, "Production")).head == entry.id
    await judge(services, 3, 1)
    for wrong in ('"0"', "7", f'W/"{entry.id}"', ""):
        with pytest.raises(StaleHead):
            await promote(services, 3, if_match=wrong)
    assert (await promote(services, 3, if_match=f'"99", "{entry.id}"')).to_version == 3


@pytest.mark.parametrize("with_head", [True, False])
async def test_of_two_promotions_at_once_one_wins(services: Services, versions: list[int], with_head: bool) -> None:
    await crown(services, 1, None)
    head = await services.promotion.head(None, "Production")
    await judge(services, 2, 1)
    await judge(services, 3, 1)
    if_match = f'"{head.head}"' if with_head else None
    outcomes = await asyncio.gather(
        promote(services, 2, if_match), promote(services, 3, if_match), return_exceptions=True
    )
    won = [each for each in outcomes if isinstance(each, PromotionOut)]
    lost = [each for each in outcomes if isinstance(each, HoldfastError)]
    assert (len(won), [error.status for error in lost]) == (1, [412 if with_head else 409])
    ledger = await services.promotion.list_promotions(dataset=None, stage="Production", limit=10, cursor=None)
    assert [each.to_version for each in ledger.items] == [won[0].to_version, 1]


async def test_datasets_have_ledgers_of_their_own(services: Services, versions: list[int]) -> None:
    await crown(services, 1, None)
    async with services.sessions.begin() as session:
        other = await add_version(session, await add_dataset(session, "others"))
    entry = await crown(services, other, None)
    assert entry.from_version is None
    ledger = await services.promotion.list_promotions(dataset="others", stage=None, limit=10, cursor=None)
    assert [each.to_version for each in ledger.items] == [other]


async def test_the_ledger_pages_from_the_newest(services: Services, versions: list[int]) -> None:
    entries = [await promote(services, number, stage="Staging") for number in versions]
    first = await services.promotion.list_promotions(dataset=None, stage="Staging", limit=3, cursor=None)
    rest = await services.promotion.list_promotions(dataset=None, stage="Staging", limit=3, cursor=first.next_cursor)
    assert [each.id for each in first.items + rest.items] == [each.id for each in reversed(entries)]
    assert rest.next_cursor is None


async def test_a_promotion_queues_the_copy_for_mlflow_and_a_refused_one_nothing(
    services: Services, versions: list[int]
) -> None:
    with pytest.raises(NotEvaluated):
        await promote(services, 1)
    async with services.sessions() as session:
        assert (await session.scalars(select(Job.id).where(Job.kind == "mirror_aliases"))).all() == []
    await crown(services, 1, None)
    async with services.sessions() as session:
        found = (await session.scalars(select(Job).where(Job.kind == "mirror_aliases"))).all()
    assert [(job.status, job.created_by) for job in found] == [("queued", "ann")]


async def test_an_unknown_version_is_not_found(services: Services, versions: list[int]) -> None:
    with pytest.raises(NotFound):
        await promote(services, 99)


async def test_nothing_registered_says_what_to_do(services: Services) -> None:
    async with services.sessions.begin() as session:
        await add_dataset(session)
    with pytest.raises(NothingRegistered) as caught:
        await services.models.get("latest", None)
    assert "POST /train" in caught.value.advice


async def test_nothing_in_production_says_what_to_do(services: Services, versions: list[int]) -> None:
    with pytest.raises(NothingInProduction) as caught:
        await services.models.get("champion", None)
    assert "POST /models/4/evaluate" in caught.value.advice
