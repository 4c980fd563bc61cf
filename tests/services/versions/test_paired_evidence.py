"""Two versions on the rows that both were judged on; the figures are tested in `ml`, here which rows are taken."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from app.container import Services
from app.schemas.config import ModelConfig
from app.services import evidence_store
from tests.services.scoring_world import draw_frame
from tests.services.versions.court import Court, open_court

BOOSTER = ModelConfig.model_validate({"model_type": "lightgbm", "lightgbm_params": {"n_estimators": 20}})


@pytest.fixture
async def court(services: Services) -> Court:
    court = await open_court(services, defaults={"evaluation": {"evidence": "test_side"}})
    await court.upload(draw_frame(1200, seed=1))
    return court


async def test_both_are_measured_on_the_rows_of_both(services: Services, court: Court) -> None:
    a, b = await court.make(), await court.make(model=BOOSTER)
    verdicts = [await court.judge(number) for number in (a, b)]
    found = await services.comparison.compare(str(a), str(b), None)
    paired = found.paired
    assert paired is not None
    assert found.paired_missing is None
    assert (paired.evaluation_a, paired.evaluation_b) == tuple(each.id for each in verdicts)
    assert (paired.n, paired.n_churners) == (verdicts[0].rows["n"], verdicts[0].rows["n_churners"])
    assert paired.n_accounts == paired.n
    async with services.sessions() as session:
        stored = [await evidence_store.read(session, each.id) for each in verdicts]
    aucs = []
    for each in stored:
        assert each is not None
        order = np.argsort(each[1])
        aucs.append(roc_auc_score(each[0].y[order], each[0].p_model[order]))
    auc = paired.metrics[0]
    assert (auc.name, auc.a, auc.b) == ("roc_auc", *map(pytest.approx, aucs))
    assert auc.interval is not None
    assert auc.difference is not None
    assert auc.difference == pytest.approx(aucs[1] - aucs[0])
    assert auc.interval[0] < auc.difference < auc.interval[1]
    assert len(paired.metrics) == len(found.metrics) == 8


async def test_the_other_way_round_the_signs_turn(services: Services, court: Court) -> None:
    a, b = await court.make(), await court.make(model=BOOSTER)
    for number in (a, b):
        await court.judge(number)
    there = (await services.comparison.compare(str(a), str(b), None)).paired
    back = (await services.comparison.compare(str(b), str(a), None)).paired
    assert there is not None
    assert back is not None
    for one, other in zip(there.metrics, back.metrics, strict=True):
        assert (one.a, one.b) == (other.b, other.a)
        assert one.interval is not None
        assert other.interval == pytest.approx((-one.interval[1], -one.interval[0]))


async def test_of_several_verdicts_two_on_one_revision_are_taken(services: Services, court: Court) -> None:
    a, b = await court.make(), await court.make(model=BOOSTER)
    on_first = [await court.judge(number) for number in (a, b)]
    await court.upload(draw_frame(300, seed=2), append=True)
    await court.judge(a, revision=2)
    paired = (await services.comparison.compare(str(a), str(b), None)).paired
    assert paired is not None
    assert (paired.evaluation_a, paired.evaluation_b) == tuple(each.id for each in on_first)
    newest = await court.judge(b, revision=2)
    paired = (await services.comparison.compare(str(a), str(b), None)).paired
    assert paired is not None
    assert (paired.evaluation_b, paired.revision_a, paired.revision_b) == (newest.id, 2, 2)
    assert paired.n > on_first[0].rows["n"]


async def test_amended_labels_are_those_of_the_newer_revision(services: Services, court: Court) -> None:
    a, b = await court.make(), await court.make(model=BOOSTER)
    first = await court.judge(a)
    frame = draw_frame(1200, seed=1)
    assert frame.churned is not None
    turned = draw_frame(1200, seed=1)
    turned.churned[:] = 1 - frame.churned  # type: ignore[index]  # it is there
    await court.upload(turned)
    await court.judge(b, revision=2)
    paired = (await services.comparison.compare(str(a), str(b), None)).paired
    assert paired is not None
    assert paired.n_churners == first.rows["n"] - first.rows["n_churners"]


async def test_one_that_was_not_judged_is_named_with_the_call(services: Services, court: Court) -> None:
    a, b = await court.make(), await court.make(model=BOOSTER)
    await court.judge(a)
    found = await services.comparison.compare(str(a), str(b), None)
    assert found.paired is None
    assert found.paired_missing == f"No evidence is kept of a verdict on version {b}."
    assert found.next[0] == f"POST /models/{b}/evaluate"


async def test_too_few_rows_in_common_are_no_comparison(services: Services, court: Court) -> None:
    a = await court.make()
    await court.judge(a)
    await court.upload(draw_frame(1200, seed=2))  # other accounts altogether
    b = await court.make()
    await court.judge(b)
    found = await services.comparison.compare(str(a), str(b), None)
    assert found.paired is None
    assert "on 0 rows" in (found.paired_missing or "")
    assert found.next[:2] == [f'POST /models/{number}/evaluate {{"revision": 2}}' for number in (a, b)]
