"""Where the test side holds too few churners the service refits recipes in folds, and says so."""

from collections.abc import AsyncIterator

import numpy as np
import pytest

from app.container import Services, open_services
from app.ml import contenders
from app.ml.gate import judge
from app.schemas.config import EvaluationConfig, ModelConfig, TrainingConfig
from app.services import evidence_store
from app.services.jobs import JobContext
from app.settings import Settings
from app.tables import Promotion
from tests.services.scoring_world import draw_frame
from tests.services.versions.court import Court, open_court

TINY = ModelConfig.model_validate({"model_type": "xgboost", "xgboost_params": {"n_estimators": 5, "max_depth": 2}})


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[Services]:
    async with open_services(Settings(database_url=database_url, n_threads=1), database_url) as services:
        yield services


@pytest.fixture
async def court(services: Services) -> Court:
    court = await open_court(services)
    await court.upload(draw_frame(500, seed=1))
    return court


async def crown(services: Services, court: Court, version: int) -> None:
    async with services.sessions.begin() as session:
        entry = Promotion(stage="Production", action="promote", to_version=version, actor="test")
        entry.dataset_id = (await court.dataset()).id
        session.add(entry)


async def test_few_churners_are_judged_in_folds_over_all_rows(services: Services, court: Court) -> None:
    told: list[tuple[str, float]] = []
    asked = await court.ask(await court.make())
    fields = (asked.id, asked.attempt, asked.kind, asked.params, asked.dataset_id, asked.actor)
    verdict = await court.work(JobContext(*fields, report=lambda step, share: told.append((step, share))))
    assert verdict.evidence == "cross_fitted"
    [thresholds] = [check for check in verdict.checks if check.name == "thresholds"]
    assert thresholds.details["n"] == 500
    assert thresholds.details["n_churners"] == int(np.asarray(draw_frame(500, seed=1).churned).sum())
    assert any("These figures judge the recipe" in sentence for sentence in verdict.sentences)
    shares = [share for step, share in told if step == "refit in folds"]
    assert len(shares) >= 20
    assert shares == sorted(shares)
    async with services.sessions() as session:
        found = await evidence_store.read(session, verdict.id)
    assert found is not None
    again = judge(found[0], EvaluationConfig()).to_json()
    assert again["checks"] == verdict.model_dump(mode="json")["checks"]


async def test_production_is_compared_by_its_recipe_in_the_same_folds(services: Services, court: Court) -> None:
    """The champion is the logistic baseline beside a booster; the candidate is that booster, then its own twin."""
    champion = await court.make(model=TINY, role="baseline")
    await crown(services, court, champion)
    verdict = await court.judge(await court.make(model=TINY))
    [check] = [each for each in verdict.checks if each.name == "improvement_over_production"]
    [baseline] = [each for each in verdict.checks if each.name == "improvement_over_baseline"]
    assert check.estimate == baseline.estimate  # the champion's recipe is that of the baseline
    assert check.interval == baseline.interval
    assert f"the recipe of version {champion} in production" in check.sentence
    twin = await court.judge(await court.make(model=TINY, role="baseline"))
    [check] = [each for each in twin.checks if each.name == "improvement_over_production"]
    assert (check.estimate, check.verdict, twin.rule) == (0.0, "pass", "not_worse")


async def test_what_a_search_found_is_refitted_and_not_searched_for_again(services: Services, court: Court) -> None:
    """Production asked for just those parameters: in the same folds the two are one recipe."""
    space = {"learning_rate": {"choices": [0.3]}}
    search = TrainingConfig.model_validate({"shap": False, "search": {"n_trials": 2, "space": space}})
    slow = {"n_estimators": 5, "max_depth": 2, "learning_rate": 0.0001}
    asked = ModelConfig.model_validate({"model_type": "xgboost", "xgboost_params": slow})
    as_found = ModelConfig.model_validate(
        {"model_type": "xgboost", "xgboost_params": {**slow, "learning_rate": 0.3}},
    )
    await crown(services, court, await court.make(model=as_found))
    verdict = await court.judge(await court.make(model=asked, training=search))
    [check] = [each for each in verdict.checks if each.name == "improvement_over_production"]
    assert (check.estimate, check.interval) == (0.0, (0.0, 0.0))
    [told] = [sentence for sentence in verdict.sentences if "found by a search" in sentence]
    assert told.startswith("The parameters of this version were found")
    assert "flatters" in told


async def test_the_comparison_of_kinds_is_refitted_whole(court: Court) -> None:
    few = {"xgboost_params": {"n_estimators": 3}, "lightgbm_params": {"n_estimators": 3}}
    few |= {"random_forest_params": {"n_estimators": 5}, "mlp_params": {"n_epochs": 1}}
    few |= {"blend_params": {"shallow_n_estimators": 3}}
    auto = ModelConfig.model_validate({"model_type": "auto", **few})
    verdict = await court.judge(await court.make(model=auto))
    assert verdict.evidence == "cross_fitted"
    assert not any("found by a search" in sentence for sentence in verdict.sentences)


async def test_the_test_side_alone_is_judged_where_that_is_asked_for(court: Court) -> None:
    verdict = await court.judge(await court.make(), evaluation={"evidence": "test_side"})
    assert (verdict.evidence, verdict.advisory) == ("test_side", True)
    assert any("read the intervals, not the estimates" in sentence for sentence in verdict.sentences)


async def test_more_rows_than_can_be_refitted_are_judged_on_the_test_side_and_told(
    court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contenders, "MAX_ROWS", 499)
    verdict = await court.judge(await court.make())
    assert verdict.evidence == "test_side"
    assert "takes 499 labelled rows at most, there are 500" in verdict.sentences[-1]
