"""`holdfast simulate`, which needs no store."""

import json
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from app.cli import app
from app.cli.simulate import KIND_HELP, LEAK_HELP
from app.simulator import KINDS, LEAKS

SMALL = ("--accounts", "300")


def tells(folder: Path, *options: str) -> str:
    result = CliRunner().invoke(app, ["simulate", str(folder), *SMALL, *options])
    assert result.exit_code == 0, result.output
    return result.stdout


def answers(folder: Path, *options: str) -> Any:
    return json.loads(tells(folder, *options, "--json"))


def test_the_files_are_where_it_says_and_read_back(tmp_path: Path) -> None:
    answer = answers(tmp_path / "new" / "folder", "--truth", "2025-03-01")
    assert set(answer["files"]) == {"accounts", "subscriptions", "events", "truth"}
    for file in answer["files"].values():
        assert pq.read_metadata(file["path"]).num_rows == file["n_rows"] > 0
    truth = pq.read_table(answer["files"]["truth"]["path"])
    assert truth.column_names == ["account_id", "p", "churned", "ended_at"]
    assert answer["as_of"] == "2025-03-01T00:00:00+00:00"
    assert (answer["start"], answer["end"]) == ("2024-01-01T00:00:00+00:00", "2025-07-01T00:00:00+00:00")


def test_csv_files_have_a_header(tmp_path: Path) -> None:
    answer = answers(tmp_path, "--format", "csv")
    read = pyarrow.csv.read_csv(answer["files"]["events"]["path"])
    assert read.column_names == ["account_id", "occurred_at", "kind", "quantity", "amount", "recorded_at"]
    assert read.num_rows == answer["files"]["events"]["n_rows"]


def test_the_same_options_write_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        tells(tmp_path / folder, "--format", "csv", "--seed", "3")
    tells(tmp_path / "c", "--format", "csv", "--seed", "4")
    first, again, other = ((tmp_path / folder / "events.csv").read_bytes() for folder in "abc")
    assert first == again != other


def test_switches_are_thrown_at_the_date_given(tmp_path: Path) -> None:
    tells(tmp_path, "--broken-feed", "login", "--change-at", "2025-01-01", "--leak", "refund", "--treat")
    events = pq.read_table(tmp_path / "events.parquet").to_pandas()
    assert str(events.loc[events["kind"] == "login", "occurred_at"].max()) < "2025-01-01"
    assert "days_since_refund" in pq.read_schema(tmp_path / "accounts.parquet").names
    contacted = pq.read_table(tmp_path / "contacted.parquet")
    assert {str(at)[:10] for at in contacted["contacted_at"].to_pylist()} == {"2025-01-01"}


def test_every_switch_can_be_thrown_at_once(tmp_path: Path) -> None:
    plain, changed = tmp_path / "plain", tmp_path / "changed"
    tells(plain)
    tells(changed, "--drift", "login", "--drift", "export", "--price-change", "--concept-change", "--lead-days", "7")
    n_logins = [
        pq.read_table(folder / "events.parquet")["kind"].to_pylist().count("login") for folder in (plain, changed)
    ]
    assert n_logins[1] < n_logins[0]


def test_people_are_told_the_files_and_what_comes_next(tmp_path: Path) -> None:
    told = tells(tmp_path)
    assert "300 accounts from 2024-01-01 to 2025-07-01" in told
    assert "events.parquet" in told
    assert "Next:" in told


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--leak", "label"), "'label' is no leak"),
        (("--drift", "logins"), "'logins' is no kind"),
        (("--end", "2024-05-01", "--start", "2024-06-01"), "Start is before end"),
        (("--truth", "2026-01-01"), "is not from 2024-01-01"),
        (("--horizon-days", "181"), "at most 180"),
        (("--end", "yesterday"), "yesterday"),
        (("--format", "xlsx"), "xlsx"),
    ],
)
def test_what_can_not_be_is_wrong_usage(tmp_path: Path, options: tuple[str, ...], sentence: str) -> None:
    result = CliRunner().invoke(app, ["simulate", str(tmp_path / "out"), *SMALL, *options])
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_the_help_names_every_kind_and_leak() -> None:
    assert {*LEAKS} == set(LEAK_HELP.replace(" or ", ", ").split(", "))
    assert {*KINDS} - {"offboarding"} == set(KIND_HELP.replace(" or ", ", ").split(", "))
