"""Verdicts stored before evidence, looks and curves were: every route that reads one still does."""

from typing import Any

import httpx
import numpy as np
import pytest

from app.container import Services
from app.ml.gate import judge
from app.schemas.config import EvaluationConfig
from benchmarks.gate import draw_evidence
from tests.registry_rows import add_dataset, add_verdict, add_version

SINCE = ("weak_evidence", "evidence", "test_side")
CONFIG_SINCE = ("evidence", "profit", "segments", "list_stability", "leak_suspicion")


def old_verdict(production_auc: float | None = None) -> dict[str, Any]:
    """A judgement and its config with the members that they had then."""
    config = EvaluationConfig()
    evidence = draw_evidence(np.random.default_rng(1), 4000, 0.15, auc=0.8, production_auc=production_auc)
    judgement = judge(evidence, config, n_draws=0).to_json()
    rows = {"revision": 1, "side": "test", "as_of": None, "n": 4000, "n_churners": 600, "n_active": 100}
    told = {name: value for name, value in judgement.items() if name not in SINCE} | {"rows": rows}
    kept = {name: value for name, value in config.model_dump(mode="json").items() if name not in CONFIG_SINCE}
    return {"judgement": told, "config": kept, "recommendation": judgement["recommendation"], "rule": judgement["rule"]}


@pytest.fixture
async def http(client: httpx.AsyncClient, services: Services) -> httpx.AsyncClient:
    """Two versions, the first in Production, each with a verdict of then."""
    async with services.sessions.begin() as session:
        dataset = await add_dataset(session)
        for champion in (None, 1):
            number = await add_version(session, dataset)
            await add_verdict(session, number, champion, **old_verdict(0.7 if champion else None))
    promoted = await client.post("/models/1/promote", json={})
    assert promoted.status_code == 200, promoted.text
    return client


async def read(http: httpx.AsyncClient, path: str) -> Any:
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text if "csv" in path else answer.json()


async def test_the_verdict_is_shown_with_what_was_not_known_then(http: httpx.AsyncClient) -> None:
    told = await read(http, "/models/1/evaluations/latest?include=curves")
    assert (told["evidence"], told["test_side"], told["curves"]) == ("test_side", None, None)
    assert not told["weak_evidence"]
    assert "POST /models/1/evaluate, for a verdict with curves" in told["next"]
    assert [each["id"] for each in (await read(http, "/models/2/evaluations"))["items"]] == [2]


@pytest.mark.parametrize(
    "path",
    [
        "/models",
        "/models?format=csv",
        "/models/2",
        "/models/1/compare/2",
        "/models/1/compare/2?format=csv",
        "/promotions",
        "/promotions/head",
    ],
)
async def test_all_that_reads_verdicts_reads_old_ones(http: httpx.AsyncClient, path: str) -> None:
    assert await read(http, path)


async def test_an_old_verdict_still_promotes_by_the_same_bar(http: httpx.AsyncClient) -> None:
    promoted = await http.post("/models/2/promote", json={})
    assert (promoted.status_code, promoted.json()["recommendation"]) == (200, "promote")


async def test_a_dry_run_says_that_its_evidence_was_not_kept(http: httpx.AsyncClient) -> None:
    answer = await http.post("/gate/policy/dry-run", json={"evaluation": {"min_auc": 0.9}})
    assert answer.status_code == 200, answer.text
    told = answer.json()["versions"]
    assert [each["version"] for each in told] == [2, 1]
    assert all(each["would_be"] is None and "not kept" in each["missing"] for each in told)
    assert told[0]["was"]["recommendation"] == "promote"
