"""The stored policy of the gate: who it holds for, that it only grows, and what it does to verdicts."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import update

from app.container import Services, open_services
from app.errors import DatasetInUse, NotFound, StaleEvaluation, StalePolicy
from app.schemas.config import EvaluationConfig
from app.schemas.datasets import SnapshotsIn
from app.schemas.evaluation import EvaluateIn
from app.schemas.gate import PolicyIn, PolicyOut
from app.schemas.promotions import PromoteIn
from app.settings import Settings
from app.tables import Dataset, Job
from tests.registry_rows import add_dataset, add_verdict, add_version


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[Services]:
    settings = Settings(database_url=database_url, evaluation={"min_auc": 0.61})
    async with open_services(settings, database_url) as services:
        yield services


@pytest.fixture
async def version(services: Services) -> int:
    """A version of dataset `customers`, whose defaults name a bar; beside it dataset `others`."""
    async with services.sessions.begin() as session:
        dataset = await add_dataset(session, defaults={"evaluation": {"min_recall": 0.1}})
        await add_dataset(session, "others")
        return await add_version(session, dataset)


async def put(services: Services, dataset: str | None = None, if_match: str | None = None, **bar: object) -> PolicyOut:
    body = PolicyIn.model_validate({"dataset": dataset, "evaluation": bar, "reason": "agreed"})
    return await services.gate.put(body, if_match=if_match, actor="ann")


async def asked(services: Services, version: int, **bar: object) -> EvaluationConfig:
    """The bar that a request for an evaluation would be judged by."""
    job = await services.evaluation.submit(version, EvaluateIn.model_validate({"evaluation": bar}), actor="bob")
    async with services.sessions() as session:
        stored = await session.get_one(Job, job.id)
    return EvaluationConfig.model_validate(stored.params["evaluation"])


async def test_without_a_document_the_layers_of_old_hold(services: Services, version: int) -> None:
    told = await services.gate.show("customers")
    assert (told.source, told.document, told.head) == ("defaults", None, 0)
    assert (told.evaluation.min_auc, told.evaluation.min_recall) == (0.61, 0.1)
    assert (await services.gate.show(None)).evaluation == EvaluationConfig(min_auc=0.61)


async def test_a_document_stands_in_place_of_defaults_and_settings(services: Services, version: int) -> None:
    await put(services, min_precision=0.3)
    told = await services.gate.show("customers")
    assert told.source == "all_datasets"
    assert told.evaluation == EvaluationConfig(min_precision=0.3)  # neither .61 nor the dataset's recall
    assert await asked(services, version) == EvaluationConfig(min_precision=0.3)


async def test_a_dataset_goes_by_its_own_document(services: Services, version: int) -> None:
    own = await put(services, "customers", min_auc=0.8)
    for_all = await put(services, min_auc=0.5)
    told = await services.gate.show("customers")
    assert (told.source, told.evaluation.min_auc, told.head) == ("dataset", 0.8, own.number)
    others = await services.gate.show("others")
    assert (others.source, others.evaluation.min_auc, others.head) == ("all_datasets", 0.5, 0)
    assert others.datasets_with_their_own == ["customers"]
    assert (await services.gate.show(None)).head == for_all.number
    newer = await put(services, "customers", min_auc=0.75)
    assert (await services.gate.show("customers")).document == newer


async def test_a_request_lies_over_the_document_field_by_field(services: Services, version: int) -> None:
    await put(services, min_auc=0.8, min_recall=0.2)
    assert await asked(services, version, min_auc=0.5) == EvaluationConfig(min_auc=0.5, min_recall=0.2)


async def test_a_changed_policy_makes_verdicts_stale(services: Services, version: int) -> None:
    async with services.sessions.begin() as session:
        await session.execute(update(Dataset).values(defaults={}))
        await add_verdict(session, version, None, config=EvaluationConfig(min_auc=0.61).model_dump(mode="json"))
    await put(services, "others", min_auc=0.9)  # of another dataset: changes nothing
    await put(services, min_auc=0.7)
    with pytest.raises(StaleEvaluation, match="policy"):
        await services.promotion.promote(version, PromoteIn(), if_match=None, actor="ann")
    await put(services, min_auc=0.61)
    assert (await services.promotion.promote(version, PromoteIn(), if_match=None, actor="ann")).to_version == version


async def test_the_versions_are_listed_with_who_and_why(services: Services, version: int) -> None:
    made = [await put(services, min_auc=0.7), await put(services, "customers", min_auc=0.8), await put(services)]
    first = await services.gate.list_versions(None, limit=2, cursor=None)
    rest = await services.gate.list_versions(None, limit=2, cursor=first.next_cursor)
    assert [*first.items, *rest.items] == list(reversed(made))
    assert {(each.actor, each.reason) for each in first.items} == {("ann", "agreed")}
    own = await services.gate.list_versions("customers", limit=10, cursor=None)
    assert own.items == [made[1]]


async def test_if_match_names_the_newest_document_of_the_scope(services: Services, version: int) -> None:
    first = await put(services, if_match='"0"', min_auc=0.7)
    with pytest.raises(StalePolicy, match=f'"{first.number}"'):
        await put(services, if_match='"0"', min_auc=0.5)
    own = await put(services, "customers", if_match='"0"', min_auc=0.8)  # a scope of its own
    assert (await put(services, if_match=f'"{first.number}"')).number > own.number


async def test_of_two_changes_at_once_one_wins(services: Services, version: int) -> None:
    outcomes = await asyncio.gather(
        *(put(services, if_match='"0"', min_auc=bar) for bar in (0.6, 0.8)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["PolicyOut", "StalePolicy"]
    assert len((await services.gate.list_versions(None, limit=10, cursor=None)).items) == 1


async def test_a_dataset_that_is_not_there_is_not_found(services: Services, version: int) -> None:
    for call in (services.gate.show("nobody"), put(services, "nobody")):
        with pytest.raises(NotFound):
            await call


async def test_a_dataset_with_a_policy_is_not_forgotten(services: Services) -> None:
    body = SnapshotsIn.model_validate({"name": "new", "id_column": "id", "label_column": "y", "positive_value": "yes"})
    await services.datasets.create(body, actor="ann")
    await put(services, "new", min_auc=0.8)
    with pytest.raises(DatasetInUse, match="policy"):
        await services.datasets.delete("new")
