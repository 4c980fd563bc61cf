"""What another policy would have decided, on versions that were trained and judged here."""

import pytest
from sqlalchemy import delete

from app.container import Services
from app.errors import NotFound
from app.schemas.config import EvaluationConfig
from app.schemas.gate import DryRunIn, DryRunOut, PolicyIn
from app.services import dry_run
from app.tables import StoredEvidence
from tests.services.scoring_world import draw_frame
from tests.services.versions.court import Court, open_court


@pytest.fixture
async def court(services: Services) -> Court:
    court = await open_court(services)
    await court.upload(draw_frame(1200, seed=1))
    return court


async def ask(services: Services, n_versions: int = 10, **bar: object) -> DryRunOut:
    return await services.dry_runs.dry_run(DryRunIn.model_validate({"evaluation": bar, "n_versions": n_versions}))


async def test_the_policy_in_force_would_decide_as_it_did(services: Services, court: Court) -> None:
    verdict = await court.judge(await court.make())
    told = await ask(services)
    assert (told.n_judged_again, told.n_changed, told.in_force) == (1, 0, EvaluationConfig())
    [found] = told.versions
    assert (found.version, found.evaluation_id, found.changed) == (verdict.version, verdict.id, False)
    assert found.would_be == found.was
    assert found.was.recommendation == verdict.recommendation
    assert found.was.sentence == verdict.sentences[0]


async def test_a_bar_that_nothing_reaches_would_have_rejected(services: Services, court: Court) -> None:
    await court.judge(await court.make())
    told = await ask(services, min_auc=0.999)
    [found] = told.versions
    assert found.would_be is not None
    assert (found.would_be.recommendation, found.would_be.failed, found.changed) == ("reject", ["thresholds"], True)
    assert told.n_changed == 1
    assert (await services.evaluation.latest(str(found.version), None)).recommendation == found.was.recommendation


async def test_each_version_once_by_its_newest_verdict_that_counts(services: Services, court: Court) -> None:
    first, second = await court.make(), await court.make(role="baseline")
    await court.judge(first)
    await court.judge(second)
    newest = await court.judge(first)
    await court.judge(second, evaluation={"min_auc": 0.6})  # advisory
    told = await ask(services)
    assert [each.version for each in told.versions] == [first, second]
    assert told.versions[0].evaluation_id == newest.id
    assert [each.version for each in (await ask(services, n_versions=1)).versions] == [first]


async def test_versions_whose_evidence_is_gone_are_told(
    services: Services, court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    await court.judge(await court.make())
    monkeypatch.setattr(dry_run, "MAX_ROWS", 10)
    [found] = (await ask(services)).versions
    assert (found.would_be, found.changed, found.missing) == (None, None, dry_run.TOO_MANY)
    monkeypatch.undo()
    async with services.sessions.begin() as session:
        await session.execute(delete(StoredEvidence))
    told = await ask(services)
    assert (told.versions[0].missing, told.n_judged_again) == (dry_run.NOT_KEPT, 0)


async def test_what_another_policy_would_have_gathered_is_not_made_up(services: Services, court: Court) -> None:
    """200 test churners would be enough to go without folds; here are fewer."""
    bar = EvaluationConfig(evidence="test_side")
    await services.gate.put(PolicyIn(evaluation=bar, reason="quick"), if_match=None, actor="ann")
    await court.judge(await court.make())
    told = await ask(services, evidence="auto")
    assert (told.versions[0].missing, told.versions[0].would_be, told.n_changed) == (dry_run.NOT_REFITTED, None, 0)
    parted = await ask(services, evidence="test_side", segments={"features": ["plan"]})
    assert parted.versions[0].missing == dry_run.NOT_PARTED
    assert (await ask(services, evidence="test_side")).n_judged_again == 1


async def test_nothing_judged_yet_is_an_empty_list(services: Services, court: Court) -> None:
    assert (await ask(services)).versions == []
    with pytest.raises(NotFound):
        await services.dry_runs.dry_run(DryRunIn(evaluation=EvaluationConfig(), dataset="nobody"))
