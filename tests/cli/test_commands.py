"""HTTP calls as commands."""

import pytest
import typer

from app.cli.commands import hint_for, in_commands
from app.cli.options import parse_params, request
from app.schemas.promotions import PromoteIn
from app.schemas.training import TrainIn


@pytest.mark.parametrize(
    ("call", "command"),
    [
        ("POST /models/7/evaluate", "holdfast evaluate --version 7"),
        ("POST /models/12/promote", "holdfast promote --version 12"),
        ('POST /models {"job_id": 3, "model": "primary"}', "holdfast register --job 3"),
        ('POST /models {"job_id": 3, "model": "baseline"}', "holdfast register --job 3 --model baseline"),
        ('POST /score/batches {"dataset": "a", "version": "2"}', "holdfast score --model-version 2 --dataset a"),
        ('POST /models/4/promote {"stage": "Staging"}', "holdfast promote --version 4 --stage Staging"),
        ("POST /models/4/evaluate {}, for a verdict", "holdfast evaluate --version 4, for a verdict"),
        ('POST /models/4/evaluate {"revision": 2}', "holdfast evaluate --version 4 --revision 2"),
        ("So: GET /models lists them.", "So: holdfast history lists them."),
        ("GET /promotions/head", "GET /promotions/head"),
        ("Upload them with PUT /datasets/telco/rows.", "Upload them with holdfast import FILE --name telco."),
        ("Append rows: POST /datasets/a-b/rows.", "Append rows: holdfast import FILE --name a-b --append."),
        ("PUT /datasets/shop/facts/events.", "holdfast import FILE --name shop --fact events."),
        ("GET /datasets/shop/leaks shows", "holdfast dataset leaks --dataset shop shows"),
        ("Upload them with PUT /datasets/{name}/rows.", "Upload them with holdfast import FILE --name NAME."),
        (
            "Make one with POST /datasets, then upload rows with PUT /datasets/{name}/rows.",
            "Make one with holdfast import --help.",
        ),
    ],
)
def test_advice_can_be_typed(call: str, command: str) -> None:
    assert in_commands(call) == command


def test_a_failure_says_what_to_type() -> None:
    assert hint_for("shap_failed", "POST /train") == "Train without explanations: `holdfast train --no-shap`."
    assert hint_for("stale_evaluation", "POST /models/2/evaluate, then again.") == (
        "holdfast evaluate --version 2, then again."
    )


def test_parameters_are_numbers_where_they_look_so() -> None:
    assert parse_params(["max_depth=4", "booster=dart", "flag=true"], None) == {
        "xgboost_params": {"max_depth": 4, "booster": "dart", "flag": True}
    }
    assert parse_params(["C=0.5"], "logistic") == {"logistic_params": {"C": 0.5}}
    assert parse_params(None, "logistic") == {}


def test_a_parameter_may_be_of_another_model_than_the_one_asked_for() -> None:
    assert parse_params(["booster=lightgbm", "lightgbm_params.max_depth=4"], "blend") == {
        "blend_params": {"booster": "lightgbm"},
        "lightgbm_params": {"max_depth": 4},
    }


@pytest.mark.parametrize("text", ["max_depth", "=4"])
def test_a_parameter_without_a_name_or_value_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="KEY=VALUE"):
        parse_params([text], None)


def test_only_what_was_given_is_asked_for() -> None:
    body = request(TrainIn, dataset=None, model={"model_type": "lightgbm"}, training={}, register=True)
    assert body.model_dump(exclude_unset=True, mode="json") == {
        "model": {"model_type": "lightgbm"},
        "wants_version": True,
    }


def test_what_the_service_would_refuse_is_wrong_usage() -> None:
    with pytest.raises(typer.BadParameter, match="force needs a reason"):
        request(PromoteIn, stage="Production", force=True, reason=None)
