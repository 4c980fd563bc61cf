"""MLflow's side of the registry, against its real store: whatever is asked for twice exists once."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from app.db import psycopg_url
from app.errors import MlflowUnavailable
from app.registry import ModelCopy, Registry, TrackedRun, TrackedTrial, artifact_root_uri
from app.schemas.config import TrainingConfig
from tests.postgres import new_database

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store_url(postgres_url: str, template_database: str) -> Iterator[str]:
    with new_database(postgres_url, template=template_database) as url:
        yield url


@pytest.fixture(scope="module")
def registry(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(store_url, tmp_path_factory.mktemp("artifacts").as_uri())


@pytest.fixture
def run(tmp_path: Path) -> TrackedRun:
    (tmp_path / "primary").mkdir()
    (tmp_path / "primary" / "bundle.zip").write_bytes(b"bytes")
    params = {f"p{i}": str(i) for i in range(150)}  # more than MLflow takes in one call
    return TrackedRun(7, "../up/and away", "a run", tmp_path, params, {"auc": 0.8, "bad": float("nan")}, {"team": "x"})


def test_a_job_that_runs_again_takes_over_its_run(registry: Registry, run: TrackedRun) -> None:
    first = registry.log_run(run)
    again = registry.log_run(run)
    assert first == again
    assert registry.find_runs(7) == [first]
    found = registry.open().get_run(first)
    assert found.data.metrics == {"auc": 0.8}
    assert found.data.params["p149"] == "149"
    assert found.data.tags["team"] == "x"
    assert found.info.status == "FINISHED"


def test_the_tag_that_finds_the_run_of_a_job_is_written_last(registry: Registry, run: TrackedRun) -> None:
    theirs = replace(run, job_id=10, tags={"holdfast_job": "7", "team": "x"})
    run_id = registry.log_run(theirs)
    assert registry.find_runs(10) == [run_id]
    assert registry.log_run(theirs) == run_id


def trials(n: int, *, state: str = "complete") -> list[TrackedTrial]:
    """The last one is the best."""
    return [TrackedTrial(at, state, at == n - 1, {"C": f"0.{at}"}, {"log_loss": 0.5 - at / 100}) for at in range(n)]


def test_each_trial_is_one_child_run_however_often_it_is_told(registry: Registry, run: TrackedRun) -> None:
    """The first attempt knew of three trials, and was killed in the middle of the third; a person added a run."""
    searched = replace(run, job_id=12, trials=trials(3))
    parent = registry.log_run(searched)
    client = registry.open()
    experiment = client.get_run(parent).info.experiment_id

    def children() -> dict[str, Any]:
        query = f"tags.`mlflow.parentRunId` = '{parent}' AND tags.holdfast_trial LIKE '%'"
        found = client.search_runs([experiment], query)
        assert len({each.data.tags["holdfast_trial"] for each in found}) == len(found)
        return {each.data.tags["holdfast_trial"]: each for each in found}

    before = children()
    assert before["2"].data.tags["holdfast_best"] == "true"
    client.create_run(experiment, tags={"mlflow.parentRunId": parent})
    client.update_run(before["2"].info.run_id, status="RUNNING")
    assert registry.log_run(replace(searched, trials=trials(5))) == parent
    after = children()
    assert after.keys() == {"0", "1", "2", "3", "4"}
    assert all(after[number].info.run_id == each.info.run_id for number, each in before.items())
    assert {each.info.status for each in after.values()} == {"FINISHED"}
    assert [number for number, each in after.items() if each.data.tags["holdfast_best"] == "true"] == ["4"]
    assert after["4"].data.params == {"C": "0.4"}
    assert after["4"].data.metrics == {"log_loss": 0.46}
    assert registry.find_runs(12) == [parent]


@pytest.mark.parametrize(("state", "status"), [("pruned", "KILLED"), ("failed", "FAILED")])
def test_a_trial_that_did_not_end_says_so(registry: Registry, run: TrackedRun, state: str, status: str) -> None:
    job_id = 13 if state == "pruned" else 14
    parent = registry.log_run(replace(run, job_id=job_id, trials=trials(1, state=state)))
    client = registry.open()
    experiment = client.get_run(parent).info.experiment_id
    [child] = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert (child.info.status, child.data.tags["holdfast_state"]) == (status, state)


def test_a_run_that_could_not_be_written_is_closed_as_failed(registry: Registry, run: TrackedRun) -> None:
    with pytest.raises(MlflowUnavailable):
        registry.log_run(replace(run, job_id=11, tags={"a?b": "x"}))
    [run_id] = registry.find_runs(11)
    assert registry.open().get_run(run_id).info.status == "FAILED"
    assert registry.log_run(replace(run, job_id=11)) == run_id
    assert registry.open().get_run(run_id).info.status == "FINISHED"


@pytest.mark.parametrize(
    ("key", "accepted"),
    [("a b", True), ("a/b:c-d_e.f", True), ("größe", True), ("a?b", False), ("a//b", False), ("../a", False)],
)
def test_mlflow_takes_the_tags_that_the_config_takes(key: str, accepted: bool) -> None:
    """Where this fails with another MLflow, the config's rule has to follow."""
    from mlflow.exceptions import MlflowException
    from mlflow.utils.validation import _validate_tag_name

    with nullcontext() if accepted else pytest.raises(MlflowException):
        _validate_tag_name(key)
    with nullcontext() if accepted else pytest.raises(ValidationError):
        TrainingConfig(tags={key: "x"})


def test_artifacts_stay_below_the_root_whatever_the_experiment_is_called(
    registry: Registry, run: TrackedRun, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run_id = registry.log_run(run)
    uri = registry.open().get_run(run_id).info.artifact_uri
    assert ".." not in uri
    assert Path(uri.removeprefix("file://"), "primary", "bundle.zip").read_bytes() == b"bytes"


def test_attempts_at_the_same_time_make_one_run(registry: Registry, run: TrackedRun) -> None:
    both = TrackedRun(8, run.experiment, run.name, run.artifacts)
    with ThreadPoolExecutor(2) as pool:
        ids = list(pool.map(registry.log_run, [both, both]))
    assert ids[0] == ids[1]
    assert registry.find_runs(8) == [ids[0]]


def test_a_version_is_copied_once_and_made_again_where_somebody_deleted_it(registry: Registry, run: TrackedRun) -> None:
    copy = ModelCopy("holdfast-customers", 12, registry.log_run(run), "primary", "words")
    number = registry.copy_version(copy)
    assert registry.copy_version(copy) == number
    client = registry.open()
    client.delete_registered_model(copy.name)
    registry.copy_version(copy)
    found = client.search_model_versions(f"name = '{copy.name}'")
    assert [(each.tags["holdfast_version"], each.run_id) for each in found] == [("12", copy.mlflow_run)]


def test_aliases_follow_and_go(registry: Registry, run: TrackedRun) -> None:
    name, run_id = "holdfast-aliases", registry.log_run(run)
    numbers = [registry.copy_version(ModelCopy(name, v, run_id, "primary", "")) for v in (20, 21)]
    registry.set_aliases(name, {"champion": numbers[0], "challenger": numbers[1]})
    assert registry.aliases(name) == {"champion": "20", "challenger": "21"}
    registry.set_aliases(name, {"champion": numbers[1], "challenger": None})
    assert registry.aliases(name) == {"champion": "21"}


def test_mlflow_keeps_to_its_own_schema(registry: Registry, store_url: str) -> None:
    registry.open()
    with psycopg.connect(psycopg_url(store_url).replace("+psycopg", "")) as connection:
        query = "SELECT schemaname FROM pg_tables WHERE tablename IN ('experiments', 'model_versions')"
        assert {row[0] for row in connection.execute(query)} == {"mlflow"}


def test_two_processes_may_meet_an_empty_database(database_url: str, tmp_path: Path) -> None:
    registries = [Registry(database_url, tmp_path.as_uri()) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        clients = list(pool.map(lambda registry: registry.open(), registries))
    assert all(client.search_experiments() for client in clients)


@pytest.mark.filterwarnings("ignore")  # MLflow's mappers still use what SQLAlchemy 2.1 deprecates
def test_tables_of_an_older_mlflow_are_brought_up_to_date(database_url: str, tmp_path: Path) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db import utils

    url = psycopg_url(database_url, schema="mlflow")
    engine = utils.create_sqlalchemy_engine_with_retry(url)
    utils.InitialBase.metadata.create_all(engine)
    config = utils._get_alembic_config(url.replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, str(scripts.get_revision(head or "").down_revision))
    assert Registry(database_url, tmp_path.as_uri()).open().search_experiments()
    assert utils._get_schema_version(engine) == head
    engine.dispose()


def test_a_folder_that_cannot_be_written_is_told_with_what_to_do(
    registry: Registry, store_url: str, run: TrackedRun, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    blocked = Registry(store_url, (tmp_path / "file").as_uri())
    with pytest.raises(MlflowUnavailable) as caught:
        blocked.log_run(TrackedRun(9, "blocked", "a run", run.artifacts))
    assert "HOLDFAST_ARTIFACT_ROOT" in caught.value.advice


def test_a_missing_mlflow_is_told_with_what_to_do(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)  # as Python marks what can't be imported
    with pytest.raises(MlflowUnavailable) as caught:
        Registry(store_url, "file:///nowhere").open()
    assert caught.value.code == "mlflow_unavailable"
    assert "make" in caught.value.advice


def test_the_artifact_root_is_absolute(tmp_path: Path) -> None:
    assert artifact_root_uri(None, tmp_path / "home") == (tmp_path / "home" / "artifacts").as_uri()
    assert artifact_root_uri("s3://bucket/path/", tmp_path) == "s3://bucket/path"
    assert artifact_root_uri(str(tmp_path / "x"), tmp_path) == (tmp_path / "x").as_uri()
