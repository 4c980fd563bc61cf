"""Registering, history and comparing, on rows written straight into the tables."""

import asyncio

import pytest
from sqlalchemy import func, select

from app.container import Services
from app.errors import Conflict, InvalidRequest, NotFound
from app.schemas.models import RegisteredOut, RegisterIn
from app.services.training_report import training_summary
from app.tables import Dataset, Job, TrainedModel, Version
from tests.registry_rows import add_dataset, add_job, add_training, add_verdict, add_version, report


async def train(services: Services, dataset: Dataset) -> int:
    """The job of a finished training."""
    async with services.sessions.begin() as session:
        return (await add_training(session, dataset)).job_id


async def register(services: Services, job_id: int, model: str = "primary", **more: object) -> RegisteredOut:
    body = RegisterIn.model_validate({"job_id": job_id, "model": model, **more})
    return await services.models.register(body, actor="ann")


async def test_a_trained_model_becomes_a_version_once(services: Services, dataset: Dataset) -> None:
    job_id = await train(services, dataset)
    first = await register(services, job_id, description="weekly")
    again = await register(services, job_id, description="other words")
    assert (first.created, again.created) == (True, False)
    assert (first.version, again.version) == (1, 1)
    assert again.description == "weekly"
    assert first.next == ["POST /models/1/evaluate"]


async def test_registering_twice_at_once_makes_one_version_and_uses_one_number(
    services: Services, dataset: Dataset
) -> None:
    job_id = await train(services, dataset)
    both = await asyncio.gather(register(services, job_id), register(services, job_id))
    assert sorted(each.created for each in both) == [False, True]
    assert (await register(services, job_id, "baseline")).version == 2
    async with services.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Version)) == 2
        copies = select(func.count()).select_from(Job).where(Job.kind == "mirror_aliases")
        assert await session.scalar(copies) == 2


async def test_the_baseline_is_a_version_like_any_other(services: Services, dataset: Dataset) -> None:
    shown = await register(services, await train(services, dataset), "baseline")
    assert (shown.role, shown.model_type, shown.stage) == ("baseline", "logistic", None)


async def test_a_job_that_is_still_running_has_made_no_models(services: Services, dataset: Dataset) -> None:
    async with services.sessions.begin() as session:
        job = await add_job(session, dataset, "train", status="running")
    with pytest.raises(Conflict) as caught:
        await register(services, job.id)
    assert f"GET /jobs/{job.id}?wait=30" in caught.value.advice


async def test_only_a_training_makes_models(services: Services, dataset: Dataset) -> None:
    async with services.sessions.begin() as session:
        job = await add_job(session, dataset, "score")
    with pytest.raises(InvalidRequest, match="score"):
        await register(services, job.id)
    with pytest.raises(NotFound):
        await register(services, job.id + 1)


async def test_history_pages_from_the_newest_and_shows_the_verdict_that_counts(
    services: Services, dataset: Dataset
) -> None:
    async with services.sessions.begin() as session:
        numbers = [await add_version(session, dataset) for _ in range(3)]
        counted = await add_verdict(session, numbers[0], None, recommendation="hold")
        await add_verdict(session, numbers[0], None, advisory=True)
    first = await services.models.list_models(dataset=None, limit=2, cursor=None)
    rest = await services.models.list_models(dataset=None, limit=2, cursor=first.next_cursor)
    assert [each.version for each in first.items + rest.items] == [3, 2, 1]
    verdict = rest.items[0].verdict
    assert verdict is not None
    assert (verdict.evaluation_id, verdict.recommendation) == (counted.id, "hold")
    assert rest.next_cursor is None


async def test_history_is_filtered_by_dataset(services: Services, dataset: Dataset) -> None:
    async with services.sessions.begin() as session:
        await add_version(session, dataset)
        other = await add_version(session, await add_dataset(session, "others"))
    page = await services.models.list_models(dataset="others", limit=10, cursor=None)
    assert [each.version for each in page.items] == [other]
    with pytest.raises(NotFound):
        await services.models.list_models(dataset="nobody", limit=10, cursor=None)


async def test_a_version_is_looked_for_in_the_dataset_named(services: Services, dataset: Dataset) -> None:
    async with services.sessions.begin() as session:
        number = await add_version(session, dataset)
        other = await add_version(session, await add_dataset(session, "others"))
    assert (await services.models.get("latest", "customers")).version == number
    assert (await services.models.get("latest", "others")).version == other
    with pytest.raises(NotFound):
        await services.models.get(str(number), "others")
    with pytest.raises(InvalidRequest, match="several"):
        await services.models.get("latest", None)


async def test_reports_of_earlier_releases_are_read_without_what_came_since(
    services: Services, dataset: Dataset
) -> None:
    since = {"cross_validation", "rolling_origins", "intervals", "calibration", "baselines"}
    assert not since & set(report())  # as it was stored then
    async with services.sessions.begin() as session:
        training = await add_training(session, dataset)
    shown = await register(services, training.job_id)
    detail = (await services.models.get(str(shown.version), None)).model_dump()
    async with services.sessions() as session:
        told = await training_summary(session, training.id)
    for found in (detail, told["primary"], told["baseline"]):
        assert {name: found[name] for name in since} == dict.fromkeys(since)
    assert "AUC 0.800" in told["summary"]


async def test_a_rule_as_good_as_the_model_is_told_in_the_summary(services: Services, dataset: Dataset) -> None:
    rule = {"name": "single_rule", "as_good": True, "sentence": "The rule is as good."}
    rate = {"name": "base_rate", "as_good": False, "sentence": "The model beats the base rate."}
    async with services.sessions.begin() as session:
        training = await add_training(session, dataset)
        trained = await session.scalars(select(TrainedModel).where(TrainedModel.training_id == training.id))
        for each in trained:
            each.report = report(baselines=[rate, rule])
    async with services.sessions() as session:
        told = await training_summary(session, training.id)
    assert told["summary"].endswith("The rule is as good.")
    assert "beats the base rate" not in told["summary"]
    assert told["primary"]["baselines"] == [rate, rule]


async def test_the_summary_goes_by_the_paired_comparison_where_there_is_one(
    services: Services, dataset: Dataset
) -> None:
    """A gain under .01 that is shown is a gain: the baseline is not called as good, nor is it named as a next step."""
    shown = {"name": "logistic", "as_good": False, "sentence": "The model beats logistic regression."}
    async with services.sessions.begin() as session:
        training = await add_training(session, dataset)
        trained = await session.scalars(select(TrainedModel).where(TrainedModel.training_id == training.id))
        for each in trained:
            each.report = report(baselines=[shown])
    async with services.sessions() as session:
        told = await training_summary(session, training.id)
    assert not told["baseline_as_good"]
    assert "as good" not in told["summary"]
    assert told["next"] == [f'POST /models {{"job_id": {training.job_id}, "model": "primary"}}']


async def change_report(services: Services, version: int, **changes: object) -> None:
    async with services.sessions.begin() as session:
        query = select(TrainedModel).join(Version, Version.trained_model_id == TrainedModel.id)
        trained = (await session.scalars(query.where(Version.version == version))).one()
        trained.report = report(**changes)


async def test_comparing_shows_what_differs(services: Services, dataset: Dataset) -> None:
    async with services.sessions.begin() as session:
        a, b = [await add_version(session, dataset) for _ in range(2)]
    feature = {"name": "plan", "kind": "categorical", "used": True}
    figures = {"train": {}, "validation": {"roc_auc": 0.7}, "test": {**_figures(0.75)}, "folds": []}
    await change_report(services, b, parameters={"max_depth": 3, "gamma": 1}, features=[feature], metrics=figures)
    found = await services.comparison.compare(str(a), str(b), None)
    assert {each.name: (each.a, each.b) for each in found.parameters} == {"max_depth": (6, 3), "gamma": (None, 1)}
    assert (found.features_only_in_a, found.features_only_in_b) == (["tenure"], ["plan"])
    auc = next(row for row in found.metrics if row.name == "roc_auc")
    assert auc.difference == pytest.approx(-0.05)
    assert found.same_rows
    assert found.score_shift is None
    assert (found.paired, found.paired_missing) == (
        None,
        "No evidence is kept of a verdict on version 1 and version 2.",
    )
    assert found.next[:2] == [f"POST /models/{number}/evaluate" for number in (a, b)]
    assert found.next[2:] == [f'POST /score/batches {{"version": "{number}"}}' for number in (a, b)]


def _figures(roc_auc: float) -> dict[str, float]:
    names = ("pr_auc", "precision", "recall", "f1", "log_loss", "brier", "calibration_slope")
    return {"roc_auc": roc_auc, **dict.fromkeys(names, 0.5)}


async def test_versions_of_two_datasets_are_not_compared(services: Services, dataset: Dataset) -> None:
    async with services.sessions.begin() as session:
        a = await add_version(session, dataset)
        b = await add_version(session, await add_dataset(session, "others"))
    with pytest.raises(InvalidRequest, match="other accounts"):
        await services.comparison.compare(str(a), str(b), None)


@pytest.mark.parametrize("names", [("1", "latest"), ("latest", "1")])
async def test_the_other_side_is_of_the_dataset_of_a_number(
    services: Services, dataset: Dataset, names: tuple[str, str]
) -> None:
    async with services.sessions.begin() as session:
        await add_version(session, dataset)
        newest = await add_version(session, dataset)
        await add_version(session, await add_dataset(session, "others"))
    found = await services.comparison.compare(*names, None)
    assert {found.a.version, found.b.version} == {1, newest}
    with pytest.raises(InvalidRequest, match="several datasets"):
        await services.comparison.compare("latest", "champion", None)
