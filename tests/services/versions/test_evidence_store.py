"""Evidence is stored with its evaluation, and judged again from there alone."""

import hashlib

import numpy as np
import pytest
from sqlalchemy import select

from app.container import Services
from app.ml.gate import judge
from app.schemas.config import EvaluationConfig
from app.services import evidence_store
from app.tables import Promotion, StoredEvidence
from tests.registry_rows import add_verdict
from tests.services.scoring_world import draw_frame
from tests.services.versions.court import Court, open_court


@pytest.fixture
async def court(services: Services) -> Court:
    court = await open_court(services, defaults={"evaluation": {"evidence": "test_side"}})
    await court.upload(draw_frame(1200, seed=1))
    return court


async def test_stored_evidence_gives_the_stored_verdict(services: Services, court: Court) -> None:
    champion = await court.make()
    async with services.sessions.begin() as session:
        promotion = Promotion(stage="Production", action="promote", to_version=champion, actor="test")
        promotion.dataset_id = (await court.dataset()).id
        session.add(promotion)
    verdict = await court.judge(await court.make(role="baseline"))
    async with services.sessions() as session:
        found = await evidence_store.read(session, verdict.id)
    assert found is not None
    again = judge(found[0], EvaluationConfig(evidence="test_side")).to_json()
    told = verdict.model_dump(mode="json")
    assert again["checks"] == told["checks"]
    assert again["power"] == told["power"]
    assert (again["recommendation"], again["rule"]) == (told["recommendation"], told["rule"])


async def test_keys_are_of_account_and_instant(services: Services, court: Court) -> None:
    """Worked out by hand: BLAKE2b over the account, a NUL and the instant, of which undated rows have none."""
    verdict = await court.judge(await court.make())
    async with services.sessions() as session:
        found = await evidence_store.read(session, verdict.id)
        query = select(StoredEvidence.churner_keys).where(StoredEvidence.evaluation_id == verdict.id)
        churner_keys = (await session.scalars(query)).one()
    assert found is not None
    evidence, keys = found
    expected = {
        int.from_bytes(hashlib.blake2b(f"1-{number:06d}\0".encode(), digest_size=8).digest(), "little", signed=True)
        for number in range(1200)
    }
    assert set(keys.tolist()) < expected
    assert len(set(keys.tolist())) == keys.size == verdict.rows["n"]
    assert np.frombuffer(churner_keys, "<i8").tolist() == sorted(keys[evidence.y == 1].tolist())


async def test_an_evaluation_of_before_has_none(services: Services, court: Court) -> None:
    number = await court.make()
    async with services.sessions.begin() as session:
        earlier = await add_verdict(session, number, None)
    async with services.sessions() as session:
        assert await evidence_store.read(session, earlier.id) is None


async def test_of_more_rows_than_are_kept_only_the_churners_keys_are_stored(
    services: Services, court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_store, "MAX_ROWS", 100)
    verdict = await court.judge(await court.make())
    async with services.sessions() as session:
        assert await evidence_store.read(session, verdict.id) is None
        kept = (await session.scalars(select(StoredEvidence.churner_keys))).one()
    assert len(kept) == 8 * verdict.rows["n_churners"]
