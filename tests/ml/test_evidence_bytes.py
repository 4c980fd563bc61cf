"""Evidence, written and read again, is judged alike to the last digit."""

import io
import json
from dataclasses import fields, replace

import numpy as np
import pytest

from app.ml.evidence_bytes import evidence_from_bytes, evidence_to_bytes
from app.ml.gate import Evidence, Production, judge
from app.schemas.config import EvaluationConfig
from benchmarks.gate import draw_evidence

N = 600
KEYS = np.random.default_rng(5).integers(-(2**63), 2**63 - 1, N)


def draw(production_auc: float | None) -> Evidence:
    evidence = draw_evidence(np.random.default_rng(3), N, 0.2, auc=0.8, production_auc=production_auc)
    accounts = np.array([f"account {number // 2}" for number in range(N)], dtype=object)
    return replace(evidence, accounts=accounts)


def with_anchor(evidence: Evidence) -> Evidence:
    assert evidence.production is not None
    active = evidence.active_scores[::-1] / 2
    anchored = Production(7, evidence.production.p, evidence.production.fair, True, active, 3, evidence.p_baseline)
    return replace(evidence, production=anchored, known=np.arange(N) % 3 == 0)


CASES = {
    "no production": draw(None),
    "production": draw(0.78),
    "production and anchor": with_anchor(draw(0.78)),
    "itself the baseline": replace(draw(None), baseline_is_model=True),
}


@pytest.mark.parametrize("name", CASES)
def test_judged_again_the_answer_is_the_very_same(name: str) -> None:
    evidence = CASES[name]
    again, keys = evidence_from_bytes(evidence_to_bytes(evidence, KEYS))
    np.testing.assert_array_equal(keys, KEYS)
    for config in (EvaluationConfig(), EvaluationConfig(min_auc=0.9, promotion_rule="not_worse", confidence=0.9)):
        first, second = (json.dumps(judge(each, config).to_json()) for each in (evidence, again))
        assert first == second


@pytest.mark.parametrize("name", CASES)
def test_every_member_comes_back_but_the_names_of_accounts(name: str) -> None:
    evidence = CASES[name]
    again, _ = evidence_from_bytes(evidence_to_bytes(evidence, KEYS))
    assert again.accounts.tolist() == np.unique(evidence.accounts.astype(str), return_inverse=True)[1].tolist()
    for one, other in ((evidence, again), (evidence.production, again.production)):
        for each in fields(one) if one is not None else ():
            if each.name not in ("accounts", "production"):
                np.testing.assert_equal(getattr(other, each.name), getattr(one, each.name))


def test_nothing_in_it_is_a_pickle_or_a_name() -> None:
    data = evidence_to_bytes(CASES["production and anchor"], KEYS)
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    assert all(array.dtype.kind in "biuf" for array in arrays.values())
    assert b"account " not in b"".join(array.tobytes() for array in arrays.values())


def test_what_was_written_before_a_member_existed_has_its_default() -> None:
    with np.load(io.BytesIO(evidence_to_bytes(CASES["production"], KEYS))) as file:
        arrays = {name: file[name] for name in file.files}
    plain = json.loads(arrays["plain"].tobytes())
    del plain["baseline_is_model"], plain["production.same_recipe"]
    arrays["plain"] = np.frombuffer(json.dumps(plain).encode(), dtype=np.uint8)
    sink = io.BytesIO()
    np.savez_compressed(sink, allow_pickle=False, **arrays)
    again, _ = evidence_from_bytes(sink.getvalue())
    assert again.production is not None
    assert not again.baseline_is_model
    assert not again.production.same_recipe


def test_a_row_takes_no_more_than_is_said() -> None:
    n = 20_000
    drawn = draw_evidence(np.random.default_rng(1), n, 0.2, production_auc=0.75)
    nobody = replace(drawn, active_scores=np.empty(0), reference_scores=np.empty(0))
    keys = np.random.default_rng(2).integers(-(2**63), 2**63 - 1, n)
    assert len(evidence_to_bytes(nobody, keys)) < 46 * n
