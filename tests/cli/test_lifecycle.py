"""A model's life as weeks go by, each verb on the command line."""

from pathlib import Path

import pytest

from app.registry import Registry, artifact_root_uri
from app.settings import Settings
from tests.cli.conftest import SEEDED, Holdfast

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("dataset")]
QUICK = ("--no-shap", "--param", "n_estimators=40")


def test_the_weekly_cycle(holdfast: Holdfast) -> None:
    trained = holdfast("train", "--register", "--param", "n_estimators=40")
    assert trained["version"] == 1
    evaluation = holdfast("evaluate", "--revision", 2)
    assert (evaluation["recommendation"], evaluation["revision"]) == ("promote", 2)
    assert "no revision 99" in holdfast.fails("evaluate", "--revision", 99)
    assert len(evaluation["checks"]) >= 6
    promotion = holdfast("promote", "--reason", "first model")
    assert (promotion["to_version"], promotion["stage"]) == (1, "Production")
    run = holdfast("score")
    assert run["current"]
    assert sum(tier["n"] for tier in run["tiers"]) == run["n_accounts_scored"] > 3000
    report = holdfast("monitor", "--save")
    drifted = {item["name"] for item in report["features"] if item["state"] in ("warning", "critical")}
    assert drifted >= {"last_login_days", "price_increase_pct"}  # planted in the later month
    assert report["saved"]
    assert report["recommended_actions"]
    [version] = holdfast("history")
    assert (version["stage"], version["verdict"]["recommendation"]) == ("Production", "promote")


def test_a_week_in_which_the_gate_says_hold(holdfast: Holdfast) -> None:
    holdfast("train", "--register", *QUICK)
    holdfast("evaluate")
    holdfast("promote")
    holdfast("train", "--register", *QUICK, "--param", "max_depth=5")  # another recipe, and no better
    evaluation = holdfast("evaluate")
    assert (evaluation["version"], evaluation["rule"], evaluation["recommendation"]) == (2, "better", "hold")
    words = holdfast.fails("promote")
    assert "hold" in words
    assert "Nothing has changed." in words
    assert holdfast("score")["version"] == 1
    assert holdfast("monitor")["version"] == 1
    assert [(item["version"], item["stage"]) for item in holdfast("history")] == [(2, None), (1, "Production")]


def test_the_experiments_cycle(holdfast: Holdfast, database_url: str, tmp_path: Path) -> None:
    for model_type, experiment in (("xgboost", "boosters"), ("logistic", "linear")):
        holdfast("train", "--model-type", model_type, "--experiment", experiment, "--register", "--no-shap")
    versions = holdfast("history")
    assert [(item["model_type"], item["experiment"]) for item in versions] == [
        ("logistic", "linear"),
        ("xgboost", "boosters"),
    ]
    client = Registry(database_url, artifact_root_uri(None, Settings().home)).open()
    names = {experiment.name: experiment.experiment_id for experiment in client.search_experiments()}
    for version in versions:
        [run] = client.search_runs([names[version["experiment"]]])
        assert run.info.run_id == version["mlflow_run"]
        assert run.data.metrics["test_roc_auc"] == pytest.approx(version["test_roc_auc"])


def test_the_a_b_cycle(holdfast: Holdfast) -> None:
    holdfast("train", "--register", *QUICK)
    holdfast("evaluate", "--version", 1)
    holdfast("promote", "--version", 1)
    holdfast("train", "--model-type", "lightgbm", "--register", *QUICK)
    staged = holdfast("promote", "--version", 2, "--stage", "Staging")
    assert (staged["stage"], staged["to_version"]) == ("Staging", 2)
    before = holdfast("compare", "--version1", "champion", "--version2", "challenger")
    assert before["score_shift"] is None
    assert not holdfast("score", "--model-version", 2)["current"]
    assert holdfast("score", "--model-version", 1)["current"]
    after = holdfast("compare", "--version1", "champion", "--version2", "challenger")
    assert (after["a"]["version"], after["b"]["version"]) == (1, 2)
    assert after["score_shift"] is not None
    text = holdfast.tells("compare", "--version1", "1", "--version2", "2")
    assert "roc_auc" in text


def test_a_search_from_the_command_line(holdfast: Holdfast) -> None:
    search = ("--search-trials", "3", "--search-seconds", "600", "--model-type", "logistic", "--no-shap")
    assert holdfast("train", *search)["search"]["n_trials"] == 3
    assert "of 3" in holdfast.tells("train", *search)
    assert holdfast("train", *QUICK)["search"] is None


def test_people_are_told_what_to_type_next(holdfast: Holdfast) -> None:
    told = holdfast.tells("train", *QUICK)
    assert "holdfast register --job 1" in told
    assert "holdfast evaluate --version 1" in holdfast.tells("register", "--job", 1)
    told = holdfast.tells("evaluate")
    assert "holdfast promote --version 1" in told
    assert "The gate on version 1" in told
    assert "holdfast score" in holdfast.tells("promote")
    assert "holdfast monitor" in holdfast.tells("score")
    assert "Health:" in holdfast.tells("monitor")
    assert "Production" in holdfast.tells("history")


def _next(told: str) -> list[str]:
    """The arguments of the first command that is proposed."""
    command = told.partition("Next:")[2].split("\n")[1]
    name, *arguments = command.split()
    assert name == "holdfast", told
    return arguments


def test_what_is_proposed_can_be_typed_where_there_is_another_dataset(
    holdfast: Holdfast, months: tuple[Path, Path]
) -> None:
    columns = ("--id-column", "account_id", "--label-column", "churned", "--positive-value", "true")
    arguments = _next(holdfast.tells("import", months[0], "--name", "other", *columns, *SEEDED))
    said = []
    for _ in range(4):
        said.append(arguments[0])
        arguments = _next(holdfast.tells(*arguments))
    assert [*said, *arguments[:1]] == ["train", "evaluate", "promote", "score", "monitor"]
    assert "Health:" in holdfast.tells(*arguments)


def test_back_to_the_version_before(holdfast: Holdfast) -> None:
    for number in (1, 2):
        holdfast("train", "--register", *QUICK)
        holdfast("evaluate")
        assert holdfast("promote")["to_version"] == number
    entry = holdfast("rollback", "--reason", "trial")
    assert (entry["action"], entry["from_version"], entry["to_version"]) == ("rollback", 2, 1)
