"""Values given by a caller: what fits, what is named as wrong."""

import numpy as np
import pyarrow as pa
import pytest

from app.ml.frame import Frame
from app.ml.scorer import Scorer
from app.schemas.scoring import AccountIn, RowProblem
from app.services.online_rows import given_row, stored_rows
from tests.services.scoring_world import draw_frame, fit_model

ENCODER = fit_model().bundle.encoder
KNOWN = {"tenure", "autopay", "plan", "region"}


def given(features: dict[str, object]) -> AccountIn:
    return AccountIn.model_validate({"account_id": "a", "features": features})


@pytest.mark.parametrize(
    ("features", "code", "named"),
    [
        ({"tenure": True}, "wrong_type", "tenure"),
        ({"tenure": "12"}, "wrong_type", "tenure"),
        ({"tenure": 10**400}, "wrong_type", "tenure"),
        ({"autopay": 1}, "wrong_type", "autopay"),
        ({"autopay": "true"}, "wrong_type", "autopay"),
        ({"plan": 3}, "wrong_type", "plan"),
        ({"plan": False}, "wrong_type", "plan"),
        ({"tenure": 1, "colour": "red"}, "unknown_feature", "colour"),
    ],
)
def test_a_value_that_does_not_fit_is_named(features: dict[str, object], code: str, named: str) -> None:
    row = given_row(given(features), ENCODER, KNOWN)
    assert row.problem is not None
    assert (row.problem.code, row.problem.feature, row.features) == (code, named, None)


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({}, {}),
        ({"tenure": 3, "autopay": True, "plan": "a"}, {"tenure": 3.0, "autopay": True, "plan": "a"}),
        ({"tenure": None, "plan": "never seen"}, {"tenure": None, "plan": "never seen"}),
        ({"region": "north"}, {}),  # of the dataset, but not of this version
    ],
)
def test_what_fits_is_scored(features: dict[str, object], expected: dict[str, object]) -> None:
    row = given_row(given(features), ENCODER, KNOWN)
    assert (row.problem, row.features) == (None, expected)


def absent(account: str) -> RowProblem:
    return RowProblem(code="unknown_account", detail=f"{account} is nowhere")


def test_rows_of_the_dataset_tell_who_left_and_who_is_unknown() -> None:
    frame, schema = draw_frame(3, seed=5), Scorer(fit_model().bundle).features
    names = frame.accounts.to_pylist()
    frame = Frame(frame.accounts, frame.features, np.array([np.nan, 1.0, 0.0]), None)
    rows = stored_rows([*names, "stranger"], frame, schema, revision=4, version=1, absent=absent)
    codes = [row.problem.code if row.problem else None for row in (rows[name] for name in [*names, "stranger"])]
    assert codes == [None, "churned_account", None, "unknown_account"]
    assert (rows[names[0]].revision, rows[names[0]].features) == (4, frame.features.slice(0, 1).to_pylist()[0])


def test_a_revision_without_a_feature_names_it() -> None:
    frame, schema = draw_frame(3, seed=5), Scorer(fit_model().bundle).features
    text_tenure = frame.features.set_column(0, "tenure", pa.array(["1", "2", "3"]))
    for features in (frame.features.drop_columns(["tenure"]), text_tenure):
        rows = stored_rows(["a"], Frame(frame.accounts, features), schema, revision=4, version=1, absent=absent)
        problem = rows["a"].problem
        assert problem is not None
        assert (problem.code, "tenure" in problem.detail) == ("rows_do_not_fit", True)
