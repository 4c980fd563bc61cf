"""Checks: planted drift, what came true, what is kept of a check."""

import math
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sqlalchemy import select

from app.errors import InvalidRequest, NotFound, NothingChecked, NothingInProduction, NothingScored
from app.ml.frame import Frame
from app.schemas.monitoring import MonitorIn, OutcomesIn
from app.services.revisions import get_revision
from app.services.scores import ScoreFilter
from app.tables import Dataset, Evaluation, MonitoringLog
from tests.services.scoring_world import JANUARY, Desk, draw_frame, fit_model, open_desk, open_world

HORIZON_DAYS = 30
ENDS = JANUARY + timedelta(days=HORIZON_DAYS)


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with open_world(database_url) as world:
        yield open_desk(world)


def unlabelled(frame: Frame) -> Frame:
    return Frame(frame.accounts, frame.features, np.full(len(frame), np.nan))


async def seed(desk: Desk, frame: Frame) -> tuple[Dataset, int]:
    """A dated dataset whose rows have no labels yet, and a champion that has scored it.

    An upload needs one known churner, who is not scored.
    """
    dataset = await desk.world.add_dataset(as_of_column="as_of", horizon_days=HORIZON_DAYS)
    first = draw_frame(20, seed=99)
    await desk.upload(Frame(first.accounts, first.features, np.ones(20)), as_of=JANUARY)
    revision = await desk.upload(unlabelled(frame), append=True, as_of=JANUARY)
    version = await desk.world.add_version(dataset, revision)
    await desk.world.promote(dataset, version)
    await desk.score()
    return dataset, version


async def judge(desk: Desk, dataset: Dataset, version: int, auc: float) -> None:
    """A verdict of the gate that found this AUC."""
    job = await desk.world.add_job(dataset, "evaluate")
    async with desk.world.sessions.begin() as session:
        revision = await get_revision(session, dataset)
        session.add(
            Evaluation(
                job_id=job.id,
                version=version,
                revision_id=revision.id,
                bundle_sha256="0" * 64,
                config={},
                advisory=False,
                rule="first_champion",
                recommendation="promote",
                provisional=False,
                judgement={"checks": [{"name": "thresholds", "estimate": auc}]},
            )
        )


async def report(desk: Desk, frame: Frame, churned: Any, **more: Any) -> Any:
    """Churners are seen in the middle of the horizon, the others at its end."""
    outcomes = [
        {
            "account_id": name,
            "churned": bool(left),
            "observed_at": ((JANUARY + timedelta(days=10)) if left else ENDS).isoformat(),
        }
        for name, left in zip(frame.accounts.to_pylist(), churned, strict=True)
    ]
    return await desk.outcomes.report(OutcomesIn.model_validate({"outcomes": outcomes, **more}), actor="test")


async def test_the_same_population_is_healthy(desk: Desk) -> None:
    await seed(desk, draw_frame(1500, seed=5))
    check = await desk.check()
    assert (check.health_status, check.drift_status, check.performance_status) == ("healthy", "healthy", "insufficient")
    assert (check.n_drifted_features, check.saved, check.n_scored) == (0, False, 1500)
    assert check.prediction_drift_score == pytest.approx(0, abs=0.02)
    assert sum(tier.expected_share or 0 for tier in check.tiers) == pytest.approx(1)
    assert sum(tier.share for tier in check.tiers) == pytest.approx(1)


async def test_a_planted_shift_is_found_where_it_is_with_the_index_worked_by_hand(desk: Desk) -> None:
    frame = draw_frame(1500, seed=5, shift=-2.0)
    await seed(desk, frame)
    check = await desk.check()
    assert check.health_status == "critical"
    tenure = next(f for f in check.features if f.name == "tenure")
    assert (tenure.state, check.n_drifted_features, check.n_critical_features) == ("critical", 1, 1)
    assert any(action.startswith("tenure drifted") for action in check.recommended_actions)
    profile = next(f for f in fit_model().bundle.profile.features if f.name == "tenure")
    edges, reference = [-math.inf, *profile.edges, math.inf], profile.counts[:-1]
    current = [0] * len(reference)
    for value in frame.features["tenure"].to_pylist():
        current[next(i for i in range(len(reference)) if edges[i] < value <= edges[i + 1])] += 1
    n, m, bins = sum(reference), sum(current), len(reference)
    p = [(count + 0.5) / (n + bins / 2) for count in reference]
    q = [(count + 0.5) / (m + bins / 2) for count in current]
    raw = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert tenure.psi == pytest.approx(raw - (bins - 1) * (1 / n + 1 / m), abs=0.02)


async def test_what_came_true_is_measured_on_the_run_and_compared_with_the_gate(desk: Desk) -> None:
    frame = draw_frame(1500, seed=5)
    dataset, version = await seed(desk, frame)
    await judge(desk, dataset, version, auc=0.99)
    assert frame.churned is not None
    told = await report(desk, frame, frame.churned)
    assert (told.n_stored, told.n_churned, told.n_unmatched) == (1500, int(frame.churned.sum()), 0)
    check = await desk.check()
    rows = await desk.scores.list_accounts(ScoreFilter(), limit=1500, cursor=None)
    p = {score.account_id: score.churn_probability for score in rows.items}  # type: ignore[union-attr]  # a page
    expected = roc_auc_score(frame.churned, [p[name] for name in frame.accounts.to_pylist()])
    [realised] = check.realised
    assert realised.auc == pytest.approx(expected)
    assert check.performance_degradation == pytest.approx(0.99 - expected)
    assert (check.performance_status, check.health_status) == ("critical", "critical")
    assert (realised.n, realised.n_immature, realised.n_unreported) == (1500, 0, 0)
    assert realised.churn_rate == pytest.approx(frame.churned.mean())
    assert realised.mean_predicted == pytest.approx(np.mean(list(p.values())))
    assert realised.calibration_slope == pytest.approx(1, abs=0.25)
    assert check.judged_run_id == check.run_id


async def test_labels_that_arrive_as_rows_are_outcomes_too(desk: Desk) -> None:
    frame = draw_frame(600, seed=5)
    await seed(desk, frame)
    await desk.upload(frame, append=True, as_of=JANUARY)
    [realised] = (await desk.check()).realised
    assert frame.churned is not None
    assert (realised.n, realised.n_churners, realised.n_known_before) == (600, int(frame.churned.sum()), 0)
    again = await desk.score()  # the churned are not scored any more, and of the others it was known
    newest = (await desk.check({"run": again["run_id"]})).realised[0]
    assert (newest.n, newest.n_known_before) == (0, int((frame.churned == 0).sum()))


async def test_a_saved_check_is_a_row_and_every_check_is_the_newest_verdict(desk: Desk) -> None:
    dataset, version = await seed(desk, draw_frame(600, seed=5))
    with pytest.raises(NothingChecked):
        await desk.monitoring.newest(None)
    saved = await desk.check({"save": True, "monitoring": {"psi_warning": 0.05}})
    assert (await desk.monitoring.newest(None)) == saved
    unsaved = await desk.check()
    assert (await desk.monitoring.newest("customers")).job_id == unsaved.job_id
    page = await desk.monitoring.list_checks(None, limit=10, cursor=None)
    assert [(row.job_id, row.version, row.dataset) for row in page.items] == [(saved.job_id, version, dataset.name)]
    async with desk.world.sessions() as session:
        [row] = (await session.scalars(select(MonitoringLog))).all()
    assert row.report["monitoring"]["psi_warning"] == 0.05
    assert row.recommended_actions == "\n".join(saved.recommended_actions)
    drift = await desk.monitoring.drift(None)
    assert [f.psi for f in drift.features] == sorted((f.psi for f in unsaved.features), reverse=True)


async def test_a_check_that_runs_twice_is_saved_once(desk: Desk) -> None:
    await seed(desk, draw_frame(300, seed=5))
    job = await desk.monitoring.submit(MonitorIn(save=True), actor="test")
    for attempt in (1, 2):
        await desk.monitoring.run(await desk.world.begin(job.id, attempt))
    assert await desk.world.count("SELECT count(*) FROM monitoring_log") == 1


async def test_nothing_to_check_says_what_to_call(desk: Desk) -> None:
    dataset = await desk.world.add_dataset()
    revision = await desk.upload(draw_frame(50, seed=5))
    version = await desk.world.add_version(dataset, revision)
    with pytest.raises(NothingInProduction):
        await desk.check()
    await desk.world.promote(dataset, version)
    with pytest.raises(NothingScored) as caught:
        await desk.check()
    assert "POST /score/batches" in caught.value.advice
    with pytest.raises(NotFound):
        await desk.check({"run": 77})


async def test_an_outcome_of_the_future_is_refused_and_nothing_is_kept(desk: Desk) -> None:
    await seed(desk, draw_frame(50, seed=5))
    outcomes = [
        {"account_id": "a", "churned": False, "observed_at": "2026-01-02T00:00:00Z"},
        {"account_id": "b", "churned": False, "observed_at": "2999-01-02T00:00:00Z"},
    ]
    with pytest.raises(InvalidRequest) as caught:
        await desk.outcomes.report(OutcomesIn.model_validate({"outcomes": outcomes}), actor="test")
    assert [error.pointer for error in caught.value.errors] == ["/outcomes/1/observed_at"]
    assert await desk.world.count("SELECT count(*) FROM outcomes") == 0
    told = await desk.outcomes.report(OutcomesIn.model_validate({"outcomes": outcomes[:1]}), actor="test")
    assert (told.n_stored, told.n_unmatched) == (1, 1)
