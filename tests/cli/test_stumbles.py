"""Where people stumble: clear words, what to type next, and the right exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Holdfast

COMMAND = [sys.executable, "-P", "-m", "app.cli"]


def _hide(folder: Path, *packages: str) -> str:
    """A folder for PYTHONPATH below which the packages can't be imported, in child processes neither."""
    folder.mkdir()
    hidden = "".join(f"sys.modules[{name!r}] = None\n" for name in packages)
    (folder / "sitecustomize.py").write_text(f"import sys\n{hidden}")
    return str(folder)


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
@pytest.mark.usefixtures("dataset")
def test_mlflow_is_missing(holdfast: Holdfast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", _hide(tmp_path / "hidden", "mlflow"))
    ended = _run("train")
    assert ended.returncode == 1
    assert "mlflow is not installed" in ended.stderr
    assert "make install" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("dataset")
def test_shap_fails(holdfast: Holdfast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", _hide(tmp_path / "hidden", "woodelf", "shap"))
    ended = _run("train", "--param", "n_estimators=20")
    assert ended.returncode == 1
    assert "explanations failed" in ended.stderr
    assert "holdfast train --no-shap" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert _run("train", "--no-shap", "--param", "n_estimators=20").returncode == 0


@pytest.mark.slow
@pytest.mark.usefixtures("dataset")
def test_nothing_is_registered(holdfast: Holdfast) -> None:
    for verb in ("evaluate", "promote", "score", "monitor"):
        words = holdfast.fails(verb)
        assert "no version yet" in words
        assert "holdfast train --register" in words
    assert "Nothing is registered yet" in holdfast.tells("history")


@pytest.mark.slow
@pytest.mark.usefixtures("dataset")
def test_nothing_is_in_production(holdfast: Holdfast) -> None:
    holdfast("train", "--register", "--no-shap", "--param", "n_estimators=20")
    for verb in ("score", "monitor"):
        words = holdfast.fails(verb)
        assert "no version in Production" in words
        assert "holdfast evaluate" in words
        assert "holdfast promote" in words
    assert "Staging" in holdfast.fails("score", "--model-version", "challenger")
    assert "holdfast evaluate --version 1" in holdfast.fails("promote")  # the gate has not judged it


def test_there_is_no_data(holdfast: Holdfast) -> None:
    words = holdfast.fails("train")
    assert "dataset" in words


def test_a_positive_value_that_does_not_occur(holdfast: Holdfast, months: tuple[Path, Path]) -> None:
    columns = ("import", months[0], "--name", "sample", "--id-column", "account_id", "--label-column", "churned")
    words = holdfast.fails(*columns, "--positive-value", "yes")
    assert "'yes' does not occur in column churned" in words
    assert "DELETE" not in words
    assert holdfast(*columns, "--positive-value", "true", "--as-of-column", "as_of")["number"] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--param", "depth"),
        ("train", "--model-type", "oracle"),
        ("train", "--search-seconds", "-1"),
        ("promote", "--force"),
        ("promote", "--stage", "Heaven"),
        ("score", "--model-version", "01"),
        ("evaluate", "--version", "best"),
        ("evaluate", "--revision", 0),
        ("compare", "--version1", "0", "--version2", "1"),
        ("register",),
        ("rollback",),
        ("import", "no-such-file.csv", "--name", "a"),
        ("fly",),
    ],
)
def test_wrong_usage_is_told_apart(holdfast: Holdfast, arguments: tuple[str, ...]) -> None:
    assert "Usage" in holdfast.fails(*arguments, code=2)


def test_a_setting_that_cannot_be(holdfast: Holdfast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_PORT", "http")
    assert "port" in holdfast.fails("history")


def test_a_database_that_is_not_there(holdfast: Holdfast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:secret@127.0.0.1:1/none")
    words = holdfast.fails("history")
    assert "can't be reached" in words
    assert "secret" not in words


def test_help_imports_nothing_heavy() -> None:
    script = "import sys, app.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"pandas", "numpy", "pyarrow", "sqlalchemy", "fastapi", "mlflow", "sklearn", "xgboost", "pydantic"}
    assert not heavy & set(loaded)
