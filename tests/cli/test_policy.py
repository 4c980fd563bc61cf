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
