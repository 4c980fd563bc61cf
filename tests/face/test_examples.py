"""The examples of the guide and of the docstrings, run as they stand; those of the store on a real one."""

import doctest
import importlib
import inspect
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import holdfast
from holdfast import TrainedModel

ROOT = Path(__file__).parents[2]
ON_FRAMES = ("ChurnModel", "EvaluationGate", "ModelMonitor", "ModelTrainer")
ON_A_STORE = ("Store", "ModelRegistry", "create_training_dataset", "BatchScorer", "score_active_accounts")
Planted = tuple[pd.DataFrame, "pd.Series[int]"]


def run(name: str, text: str, given: dict[str, Any]) -> int:
    """How many examples there were; those that answer otherwise are told."""
    everything = {each: getattr(holdfast, each) for each in holdfast.__all__} | given
    test = doctest.DocTestParser().get_doctest(text, everything, name, name, 0)
    told: list[str] = []
    failed = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=told.append).failed
    assert not failed, "".join(told)
    return len(test.examples)


def texts_of(name: str) -> dict[str, str]:
    """The docstrings of a public name and of its public methods."""
    found = getattr(holdfast, name)
    methods = inspect.getmembers(found, inspect.isroutine) if inspect.isclass(found) else []
    named = {f"{name}.{each}": method for each, method in methods if not each.startswith("_")}
    return {each: inspect.getdoc(thing) or "" for each, thing in {name: found, **named}.items()}


@pytest.mark.parametrize("name", ON_FRAMES)
def test_the_examples_on_frames_run(name: str, frame: Planted, trained: TrainedModel, tmp_path: Path) -> None:
    given = {"X": frame[0], "y": frame[1], "result": trained, "model": trained.model, "folder": tmp_path}
    assert sum(run(each, text, dict(given)) for each, text in texts_of(name).items())


@pytest.mark.slow
def test_the_examples_on_a_store_run(worked_url: str) -> None:
    for name in ON_A_STORE:
        assert sum(run(each, text, {"url": worked_url}) for each, text in texts_of(name).items()), name


@pytest.mark.slow
def test_the_guide_runs(frame: Planted, worked_url: str, tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert run("docs/python.md", guide, {"X": frame[0], "y": frame[1], "url": worked_url, "folder": tmp_path}) > 30


def test_every_public_name_says_what_it_is() -> None:
    for name in holdfast.__all__:
        found = getattr(holdfast, name)
        assert inspect.getdoc(found), name
        assert importlib.import_module(found.__module__).__doc__
