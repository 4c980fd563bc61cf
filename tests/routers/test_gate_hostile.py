"""What a hostile caller may send to the gate's routes: each is refused with a typed problem, none is a fault."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.container import Services
from app.ml.gate import judge
from app.schemas.config import EvaluationConfig
from app.services import evidence_store
from benchmarks.gate import draw_evidence
from tests.living import Client, open_app
from tests.registry_rows import add_dataset, add_verdict, add_version

TOKEN = "correct-horse-battery"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[Client]:
    async with open_app(database_url, tmp_path, run_worker=False, admin_token=TOKEN) as client:
        await fill(client.services)
        yield client


async def fill(services: Services) -> None:
    """One version with a verdict and its evidence: a perfect ranking, whose intervals are the hardest to find."""
    evidence = draw_evidence(np.random.default_rng(1), 400, 0.2, auc=0.8)
    perfect = 0.05 + 0.9 * evidence.y
    evidence = replace(evidence, p_model=perfect)
    keys = np.arange(400, dtype=np.int64)
    content = await evidence_store.pack(evidence, keys)
    async with services.sessions.begin() as session:
        dataset = await add_dataset(session)
        number = await add_version(session, dataset)
        judgement = judge(evidence, EvaluationConfig(), n_draws=0).to_json() | {"rows": {"n": 400}}
        verdict = await add_verdict(session, number, None, judgement=judgement)
        evidence_store.store(session, verdict.id, content, keys)


BARS = [
    '{"confidence": 0.9999999999999999}',
    '{"confidence": 0.99999999999}',
    '{"confidence": NaN}',
    '{"confidence": true}',
    '{"confidence": 1e999}',
    '{"max_score_psi": 1e308, "min_calibration_slope": 1e308, "max_calibration_slope": 1e-308}',
    '{"n_top_features": 100, "min_rank_agreement": 1}',
    '{"n_top_features": 1e30}',
    '{"cutoff": {"kind": "top_share", "value": 5e-324}}',
    '{"cutoff": {"kind": "probability", "value": 1}, "min_precision": 1}',
    '{"cutoff": {"kind": "\\ud800"}}',
    '{"segments": {"features": ["\\u0000"]}}',
    '{"segments": {"features": ["\\ud800"]}}',
    '{"segments": {"features": []}}',
    '{"profit": {"value_per_account": 1e308, "contact_cost": 1e308, "save_rate": 1, "capacity": 1,'
    ' "require": "positive"}}',
    '{"profit": {"value_per_account": 5e-324, "contact_cost": 0, "save_rate": 5e-324, "capacity": 1e-300,'
    ' "require": "not_below_production", "max_loss": 1e308}}',
    '{"list_stability": {"cutoff": {"kind": "tier", "value": "high"}, "min_stay": 1}}',
    '{"leak_suspicion": {"max_importance_share": 0}}',
    '{"leak_suspicion": {"\\u0000": 0}}',
    "[]",
    "null",
    '"' + "x" * 100 + '"',
    "[" * 5000 + "]" * 5000,
]


def require_typed(answer: httpx.Response, asked: str) -> None:
    """An answer in JSON without NaN, or a problem with a code of its own that does not tell the token."""
    assert answer.status_code < 500, (asked, answer.text)
    assert TOKEN not in answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", asked
    if "json" in answer.headers["content-type"]:
        json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{name} in the answer to {asked}"))


@pytest.mark.parametrize(
    ("verb", "path", "more"),
    [
        ("POST", "/gate/policy/dry-run", ""),
        ("PUT", "/gate/policy", ', "reason": "x"'),
        ("POST", "/models/1/evaluate", ""),
    ],
)
async def test_no_bar_is_a_fault(client: Client, verb: str, path: str, more: str) -> None:
    for bar in BARS:
        body = f'{{"evaluation": {bar}{more}}}'.encode()
        require_typed(await client.http.request(verb, path, content=body, headers=HEADERS), bar)
        require_typed(await client.http.get("/gate/policy"), bar)


PATHS = [
    "/gate/policy?dataset=%00",
    "/gate/policy?dataset=nobody",
    "/gate/policy?dataset=" + "a" * 5000,
    "/gate/policy?include=curves",
    "/gate/policy/versions?cursor=%00",
    "/gate/policy/versions?cursor=WzFd",
    "/gate/policy/versions?cursor=WyJ4Il0",
    "/gate/policy/versions?cursor=WzFlOTk5XQ",
    "/gate/policy/versions?cursor=WzEwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMF0",
    "/gate/policy/versions?limit=0",
    "/models/1/evaluations/latest?include=curves",
    "/models/1/evaluations/latest?include=all",
    "/models/1/evaluations/latest?include=curves&include=curves",
    "/models/latest/evaluations/latest?include=curves",
    "/models/champion/evaluations/latest?include=curves",
    "/models/99999999999999999999/evaluations/latest?include=curves",
    "/models/1/evaluations?cursor=WzEwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMF0",
    "/models/1/compare/1?format=csv",
    "/models/1/compare/2?format=csv",
    "/models/1/compare/champion?format=xml",
    "/models/1/compare/%00?format=csv",
    "/models/2147483648/compare/9223372036854775808",
]


async def test_no_question_is_a_fault(client: Client) -> None:
    for path in PATHS:
        require_typed(await client.http.get(path), path)


@pytest.mark.parametrize("tag", ["", '"', "*", '"-1"', 'W/"0"', '"0", "1"', "\u00e9", '"99999999999999999999"'])
async def test_tags_are_those_of_promotions(client: Client, tag: str) -> None:
    sent = [(b"If-Match", tag.encode("latin-1"))]
    bar = {"evaluation": {}, "reason": "x"}
    allowed = [(b"Authorization", f"Bearer {TOKEN}".encode()), *sent]
    policy = await client.http.put("/gate/policy", json=bar, headers=allowed)
    promoted = await client.http.post("/models/1/promote", json={"force": True, "reason": "x"}, headers=sent)
    assert policy.status_code == promoted.status_code
