"""The command, called in this process on a database of the test's own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from tests.postgres import new_database

SEEDED = ("--as-of-column", "as_of", "--horizon-days", 60, "--split-seed", 1)
Arguments = str | int | Path


class Holdfast:
    """`holdfast` with its arguments."""

    def fails(self, *arguments: Arguments, code: int = 1) -> str:
        """What it says on stderr as it exits with `code`."""
        result = CliRunner().invoke(app, [str(each) for each in arguments])
        assert result.exit_code == code, result.output
        return result.stderr

    def tells(self, *arguments: Arguments) -> str:
        """What it says on stdout."""
        result = CliRunner().invoke(app, [str(each) for each in arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    def __call__(self, *arguments: Arguments) -> Any:
        """Its answer for machines."""
        return json.loads(self.tells(*arguments, "--json"))


@pytest.fixture
def database_url(postgres_url: str, tracked_template: str) -> Iterator[str]:
    with new_database(postgres_url, template=tracked_template) as url:
        yield url


@pytest.fixture
def holdfast(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Holdfast:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOLDFAST_N_THREADS", "1")
    monkeypatch.setenv("HOLDFAST_EVALUATION__EVIDENCE", "test_side")  # 20 trainings a verdict are tested elsewhere
    monkeypatch.delenv("HOLDFAST_LOG_LEVEL", raising=False)
    return Holdfast()


@pytest.fixture
def months(holdfast: Holdfast, tmp_path: Path) -> tuple[Path, Path]:
    """The files of the sample, smaller."""
    first, later = tmp_path / "march.csv", tmp_path / "june.csv"
    holdfast.tells("sample", first, later, "--n-accounts", 4000)
    return first, later


@pytest.fixture
def dataset(holdfast: Holdfast, months: tuple[Path, Path]) -> None:
    """Both months as dataset `sample`."""
    columns = ["--id-column", "account_id", "--label-column", "churned", "--positive-value", "true"]
    holdfast("import", months[0], "--name", "sample", *columns, *SEEDED)
    holdfast("import", months[1], "--name", "sample", "--append")
