import doctest
import importlib
from pathlib import Path

import pytest

import app.stats

MODULES = sorted(path.stem for path in Path(app.stats.__file__).parent.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_the_docstrings_run(name: str) -> None:
    module = importlib.import_module(f"app.stats.{name}")
    assert doctest.testmod(module, extraglobs={"np": __import__("numpy")}).failed == 0
