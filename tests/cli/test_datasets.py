"""Datasets of any kind made from a file or from stdin."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from tests.cli.conftest import Holdfast
from tests.services.query_world import describe, draw_accounts, fill, today
from tests.warehouse import PASSWORD, VARIABLE, Warehouse, new_warehouse, open_warehouse_server

SNAPSHOTS = {"name": "week", "id_column": "id", "label_column": "left", "positive_value": "yes"}
EVENTS = {
    "name": "shop",
    "kind": "events",
    "events": {"id_column": "customer"},
    "active": {"kind": "event", "days": 90},
    "horizon_days": 60,
}


def write(folder: Path, body: Any) -> Path:
    path = folder / "dataset.json"
    path.write_text(body if isinstance(body, str) else json.dumps(body))
    return path


@pytest.mark.parametrize("body", [SNAPSHOTS, EVENTS])
def test_a_dataset_is_made_from_a_file(holdfast: Holdfast, tmp_path: Path, body: dict[str, Any]) -> None:
    made = holdfast("dataset", "create", write(tmp_path, body))
    assert (made["name"], made["kind"]) == (body["name"], body.get("kind", "snapshots"))
    assert "There is a dataset" in holdfast.fails("dataset", "create", write(tmp_path, body))


@pytest.mark.usefixtures("holdfast")
def test_a_dataset_is_made_from_stdin() -> None:
    result = CliRunner().invoke(app, ["dataset", "create", "-"], input=json.dumps(SNAPSHOTS))
    assert result.exit_code == 0, result.output
    assert "Dataset week of kind snapshots is made." in result.stdout


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{", "not valid JSON at character 1"),
        ("[" * 100_000, "not valid JSON"),
        ([], "can't be accepted"),
        ({**SNAPSHOTS, "kind": "other"}, "kind must be one of"),
        ({**SNAPSHOTS, "label_columns": "x"}, "/label_columns: is not known here"),
        ({**EVENTS, "horizon_days": 0}, "/horizon_days: Input should be greater than or equal to 1"),
        ({**EVENTS, "kind": "query"}, "/source_url: Field required"),
    ],
)
def test_what_can_not_be_is_said_as_over_http(holdfast: Holdfast, tmp_path: Path, body: Any, expected: str) -> None:
    assert expected in holdfast.fails("dataset", "create", write(tmp_path, body))


@pytest.fixture
def warehouse(monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    monkeypatch.setenv(VARIABLE, PASSWORD)
    with open_warehouse_server() as server, new_warehouse(server) as warehouse:
        fill(warehouse, draw_accounts())
        yield warehouse


def test_queries_are_tried_out(holdfast: Holdfast, tmp_path: Path, warehouse: Warehouse) -> None:
    told = holdfast.tells("dataset", "create", write(tmp_path, describe(warehouse)))
    assert "n_orders_30d" in told
    assert "holdfast train --dataset shop --register" in told
    assert PASSWORD not in told
    refused = holdfast.fails("dataset", "create", write(tmp_path, describe(warehouse, id_column="key")))
    assert "it returns no column key (id_column)" in refused


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of its own: jobs have the environment that their worker was started with."""
    command = [sys.executable, "-P", "-m", "app.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_jobs_read_the_warehouse_themselves(
    holdfast: Holdfast, tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each runs in a process of its own, which has the password from its environment."""
    holdfast("dataset", "create", write(tmp_path, describe(warehouse)))
    trained = run("train", "--register", "--model-type", "logistic", "--no-shap", "--json")
    assert json.loads(trained.stdout)["split"]["kind"] == "temporal", trained.stderr
    holdfast("promote", "--force", "--reason", "only to have a champion")
    n_active = sum(each.is_active(today()) for each in draw_accounts())
    assert json.loads(run("score", "--json").stdout)["n_accounts_scored"] == n_active
    assert json.loads(run("monitor", "--json").stdout)["realised"][0]["n_immature"] == n_active
    monkeypatch.setenv(VARIABLE, "guess-me-not")
    refused = run("score")
    assert refused.returncode == 1
    assert "does not accept the password of reader" in refused.stderr
    assert "guess-me-not" not in refused.stderr + refused.stdout
