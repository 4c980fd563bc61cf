"""The gate's policy on the command line."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Holdfast


@pytest.fixture
def bar(tmp_path: Path) -> Path:
    path = tmp_path / "bar.json"
    path.write_text(json.dumps({"min_auc": 0.8}))
    return path


def test_the_operator_sets_the_bar_and_shows_it(holdfast: Holdfast, bar: Path) -> None:
    assert holdfast("policy", "show")["source"] == "defaults"
    made = holdfast("policy", "set", bar, "--reason", "agreed", "--if-number", 0)
    assert (made["evaluation"]["min_auc"], made["reason"], made["dataset"]) == (0.8, "agreed", None)
    told = holdfast.tells("policy", "show")
    assert "0.8" in told
    assert "agreed" in told
    assert f'"{made["number"]}" now' in holdfast.fails("policy", "set", bar, "--reason", "again", "--if-number", 0)


def test_what_is_no_bar_is_refused(holdfast: Holdfast, bar: Path) -> None:
    bar.write_text('{"min_auc": 7}')
    assert "min_auc" in holdfast.fails("policy", "set", bar, "--reason", "x")
    bar.write_text("{")
    assert "not valid JSON" in holdfast.fails("policy", "set", bar, "--reason", "x")


@pytest.mark.slow
@pytest.mark.usefixtures("dataset")
def test_a_bar_is_tried_on_what_was_judged(holdfast: Holdfast, bar: Path) -> None:
    holdfast("train", "--register", "--model-type", "logistic", "--no-shap")
    holdfast("evaluate")
    bar.write_text('{"min_auc": 0.99, "evidence": "test_side"}')
    found = holdfast("policy", "try", bar)
    [item] = found["versions"]
    assert (item["was"]["recommendation"], item["would_be"]["failed"]) == ("promote", ["thresholds"])
    assert (found["n_judged_again"], found["n_changed"]) == (1, 1)
    told = holdfast.tells("policy", "try", bar)
    assert "1 of 1 verdicts would be another" in told
    assert "thresholds" in told
    assert holdfast("policy", "show")["source"] == "defaults"
    assert "no dataset nobody" in holdfast.fails("policy", "try", bar, "--dataset", "nobody")
