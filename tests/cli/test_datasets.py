"""Datasets of any kind made from a file or from stdin."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from tests.cli.conftest import Holdfast
from tests.services.query_world import describe, draw_accounts, fill
from tests.warehouse import PASSWORD, VARIABLE, new_warehouse, open_warehouse_server

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
        ({**SNAPSHOTS, "label_columns": "x"}, "/label_columns: Extra inputs are not permitted"),
        ({**EVENTS, "horizon_days": 0}, "/horizon_days: Input should be greater than or equal to 1"),
        ({**EVENTS, "kind": "query"}, "/source_url: Field required"),
    ],
)
def test_what_can_not_be_is_said_as_over_http(holdfast: Holdfast, tmp_path: Path, body: Any, expected: str) -> None:
    assert expected in holdfast.fails("dataset", "create", write(tmp_path, body))


def test_queries_are_tried_out(holdfast: Holdfast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, PASSWORD)
    with open_warehouse_server() as server, new_warehouse(server) as warehouse:
        fill(warehouse, draw_accounts())
        told = holdfast.tells("dataset", "create", write(tmp_path, describe(warehouse)))
        refused = holdfast.fails("dataset", "create", write(tmp_path, describe(warehouse, id_column="key")))
    assert "n_orders_30d" in told
    assert "accounts" in told
    assert PASSWORD not in told
    assert "it returns no column key (id_column)" in refused
