"""Columns of predictions, against the slow and obvious way of making them."""

import json

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ml.explain import REASON_TYPE
from app.ml.scorer import Scorer
from app.services.prediction_rows import reasons_json, score_frame
from tests.services.scoring_world import JANUARY, draw_frame, fit_model

TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
REASON = st.fixed_dictionaries({"feature": TEXTS, "value": st.none() | TEXTS, "contribution": NUMBERS, "text": TEXTS})


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(REASON, max_size=3), max_size=5), st.integers(0, 3))
def test_reasons_are_json_whatever_they_say(rows: list[list[dict[str, object]]], start: int) -> None:
    made = reasons_json(pa.array(rows, pa.list_(REASON_TYPE)).slice(start))
    assert [json.loads(text) for text in made.to_pylist()] == rows[start:]


def test_a_frame_becomes_rows_in_its_order_with_the_tiers_of_the_cut_offs() -> None:
    scorer, frame = Scorer(fit_model().bundle), draw_frame(50, seed=3)
    rows, p = score_frame(scorer, frame, run_id=7, version=2, cutoffs=(0.5, 0.2), n_reasons=2, scored_at=JANUARY)
    table = rows.to_pylist()
    assert [row["account_id"] for row in table] == frame.accounts.to_pylist()
    alone = [scorer.score_one(values).probability for values in frame.features.to_pylist()]
    assert max(abs(a - b) for a, b in zip(alone, p, strict=True)) < 1e-9
    slow = ["high" if x >= 0.5 else "medium" if x >= 0.2 else "low" for x in alone]
    assert [row["risk_tier"] for row in table] == slow
    assert {(row["run_id"], row["model_version"], row["scored_at"], row["as_of"]) for row in table} == {
        (7, 2, JANUARY, JANUARY)
    }
    assert all(len(json.loads(row["reasons"])) <= 2 for row in table)
