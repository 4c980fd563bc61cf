"""The only importer of MLflow: runs, artifacts, registered models and aliases, each written so that twice is once.

MLflow takes seconds to import, so nothing here does before a job calls.
"""

import hashlib
import importlib.util
import logging
import math
import os
import re
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.db import MIGRATION_LOCK, DatabaseError, hold_lock, is_outage, psycopg_url
from app.errors import MlflowUnavailable

SCHEMA = "mlflow"
JOB_TAG = "holdfast_job"
VERSION_TAG = "holdfast_version"
TRIAL_TAG = "holdfast_trial"
PARENT_TAG = "mlflow.parentRunId"
CHILD_STATUSES = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
TRACKING_LOCK = 0x6D6C66  # look-up and creation are one step under it, so a job that runs twice makes one run
MAX_PARAMS_A_CALL = 100  # MLflow's own limit
MAX_METRICS_A_CALL = 1000
MAX_PARAM_CHARS = 6000
MAX_CHILDREN = 10_000  # of a run, looked at; a search has at most 1,000 trials
MAX_RACES = 5  # for folders with another attempt at the same job

_SOURCE = {"mlflow.source.name": "holdfast", "mlflow.user": "holdfast"}
_log = logging.getLogger("holdfast.registry")


@dataclass(frozen=True)
class TrackedTrial:
    """A trial of a search: a child run of its training's."""

    number: int
    state: str
    is_best: bool
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    error: str | None = None

    @property
    def tags(self) -> dict[str, str]:
        """What became of it, in words."""
        tags = {"holdfast_state": self.state, "holdfast_best": str(self.is_best).lower()}
        return tags | ({"holdfast_error": self.error} if self.error else {})


@dataclass(frozen=True)
class TrackedRun:
    """What people shall find of a training in MLflow; `artifacts` is a folder whose contents are copied."""

    job_id: int
    experiment: str
    name: str
    artifacts: Path
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    trials: Sequence[TrackedTrial] = ()


@dataclass(frozen=True)
class ModelCopy:
    """A version as MLflow is to know it."""

    name: str
    version: int
    mlflow_run: str
    artifact: str
    description: str


def artifact_root_uri(artifact_root: str | None, home: Path) -> str:
    """Where artifacts go: the operator's URI or path, by default a folder in the home, absolute in any case."""
    if artifact_root and "://" in artifact_root:
        return artifact_root.rstrip("/")
    return (Path(artifact_root) if artifact_root else home / "artifacts").expanduser().resolve().as_uri()


class Registry:
    """MLflow's store in its own schema of our database; every method blocks, so call it in a thread."""

    def __init__(self, database_url: str, artifact_root: str) -> None:
        self._database_url = database_url
        self._tracking_url = psycopg_url(database_url, schema=SCHEMA)
        self._artifact_root = artifact_root
        self._opening = threading.Lock()
        self._client: Any = None

    def require(self) -> None:
        """Find out whether MLflow is installed, without the price of importing it."""
        if importlib.util.find_spec("mlflow") is None:
            raise MlflowUnavailable("The package mlflow is not installed.")

    def open(self) -> Any:
        """MLflow's client; the first call imports MLflow, and on a fresh database makes its tables."""
        self.require()
        with self._opening, _spoken():
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> Any:
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its mappers still use what SQLAlchemy 2.1 deprecates
            import mlflow.store.tracking.sqlalchemy_store  # noqa: F401 - its seconds are better spent outside the lock
            from mlflow.exceptions import MlflowException

            with hold_lock(self._database_url, MIGRATION_LOCK):
                try:
                    return self._new_client()
                except MlflowException as error:
                    if "out-of-date database schema" not in str(error):
                        raise
                    self._upgrade()
                    return self._new_client()

    def _new_client(self) -> Any:
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=self._tracking_url, registry_uri=self._tracking_url)

    def _upgrade(self) -> None:
        """Bring tables that an older MLflow made up to the installed one."""
        from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine_with_retry

        engine = create_sqlalchemy_engine_with_retry(self._tracking_url)
        _upgrade_db(engine)
        engine.dispose()

    def log_run(self, run: TrackedRun) -> str:
        """Write a training's run and say its id; a job that ran before takes over the run it made then."""
        client = self.open()
        with _spoken():
            run_id = self._take_run(client, run)
            try:
                _fill_run(client, run_id, run)
                self._copy_trials(client, run_id, run.trials)
            except Exception:
                with suppress(Exception):  # the first failure is the one to tell
                    client.set_terminated(run_id, "FAILED")
                raise
            client.set_terminated(run_id, "FINISHED")
            return run_id

    def _take_run(self, client: Any, run: TrackedRun) -> str:
        with hold_lock(self._database_url, TRACKING_LOCK):
            experiment_id = self._take_experiment(client, run.experiment)
            found = client.search_runs([experiment_id], f"tags.{JOB_TAG} = '{run.job_id}'", max_results=1)
            if found:
                return str(found[0].info.run_id)
            tags = {JOB_TAG: str(run.job_id), **_SOURCE}
            return str(client.create_run(experiment_id, tags=tags, run_name=run.name).info.run_id)

    def _copy_trials(self, client: Any, parent: str, trials: Sequence[TrackedTrial]) -> None:
        """One child run for each trial; those that an attempt before this one finished are left alone."""
        if not trials:
            return
        with hold_lock(self._database_url, TRACKING_LOCK):
            children = _take_children(client, parent, trials)
        for trial in trials:
            _fill_child(client, children[trial.number], trial)

    def _take_experiment(self, client: Any, name: str) -> str:
        found = client.get_experiment_by_name(name)
        if found is None:
            return str(client.create_experiment(name, artifact_location=f"{self._artifact_root}/{_folder(name)}"))
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def find_runs(self, job_id: int) -> list[str]:
        """The runs of a job, over all experiments: one, or none before its step has come."""
        client = self.open()
        with _spoken():
            experiments = [each.experiment_id for each in client.search_experiments()]
            return [run.info.run_id for run in client.search_runs(experiments, f"tags.{JOB_TAG} = '{job_id}'")]

    def copy_version(self, copy: ModelCopy) -> str:
        """MLflow's own number of a version of ours; made where it is missing."""
        client = self.open()
        with _spoken(), hold_lock(self._database_url, TRACKING_LOCK):
            self._take_model(client, copy.name)
            query = f"name = '{copy.name}' and tags.`{VERSION_TAG}` = '{copy.version}'"
            found = client.search_model_versions(query, max_results=1)
            if found:
                return str(found[0].version)
            made = client.create_model_version(
                copy.name,
                source=f"runs:/{copy.mlflow_run}/{copy.artifact}",
                run_id=copy.mlflow_run,
                tags={VERSION_TAG: str(copy.version)},
                description=copy.description,
            )
            return str(made.version)

    def _take_model(self, client: Any, name: str) -> None:
        if not client.search_registered_models(f"name = '{name}'", max_results=1):
            client.create_registered_model(name)

    def set_aliases(self, name: str, aliases: Mapping[str, str | None]) -> None:
        """Point each alias at an MLflow version, or take it away; what is right already is left alone."""
        client = self.open()
        with _spoken():
            found = client.search_registered_models(f"name = '{name}'", max_results=1)
            present = {alias: str(version) for alias, version in found[0].aliases.items()} if found else {}
            for alias, version in aliases.items():
                if version is not None and present.get(alias) != version:
                    client.set_registered_model_alias(name, alias, version)
                if version is None and alias in present:
                    client.delete_registered_model_alias(name, alias)

    def aliases(self, name: str) -> dict[str, str]:
        """The aliases of a registered model: alias -> our version."""
        client = self.open()
        with _spoken():
            found = client.search_registered_models(f"name = '{name}'", max_results=1)
            aliases = found[0].aliases if found else {}
            return {
                alias: client.get_model_version(name, str(number)).tags[VERSION_TAG]
                for alias, number in aliases.items()
            }


def _fill_run(client: Any, run_id: str, run: TrackedRun) -> None:
    from mlflow.entities import Metric, Param, RunTag

    params = [Param(key, value[:MAX_PARAM_CHARS]) for key, value in run.params.items()]
    for begin in range(0, len(params), MAX_PARAMS_A_CALL):
        client.log_batch(run_id, params=params[begin : begin + MAX_PARAMS_A_CALL])
    metrics = [Metric(key, value, 0, 0) for key, value in run.metrics.items() if math.isfinite(value)]
    for begin in range(0, len(metrics), MAX_METRICS_A_CALL):
        client.log_batch(run_id, metrics=metrics[begin : begin + MAX_METRICS_A_CALL])
    tags = {**run.tags, JOB_TAG: str(run.job_id)}
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    _copy_artifacts(client, run_id, run.artifacts)


def _take_children(client: Any, parent: str, trials: Sequence[TrackedTrial]) -> dict[int, Any]:
    """The child run of each trial, by its number; made where it is missing."""
    experiment_id = client.get_run(parent).info.experiment_id
    found = client.search_runs([experiment_id], f"tags.`{PARENT_TAG}` = '{parent}'", max_results=MAX_CHILDREN)
    children = {int(run.data.tags[TRIAL_TAG]): run for run in found if TRIAL_TAG in run.data.tags}
    for trial in trials:
        if trial.number not in children:
            tags = {PARENT_TAG: parent, TRIAL_TAG: str(trial.number), **trial.tags, **_SOURCE}
            children[trial.number] = client.create_run(experiment_id, tags=tags, run_name=f"trial-{trial.number}")
    return children


def _fill_child(client: Any, child: Any, trial: TrackedTrial) -> None:
    from mlflow.entities import Metric, Param

    run_id = child.info.run_id
    if child.info.status == "RUNNING":
        params = [Param(key, value[:MAX_PARAM_CHARS]) for key, value in trial.params.items()]
        metrics = [Metric(key, value, 0, 0) for key, value in trial.metrics.items()]
        client.log_batch(run_id, params=params, metrics=metrics)
        client.set_terminated(run_id, CHILD_STATUSES[trial.state])
    for key, value in trial.tags.items():  # another trial may be the best by now
        if child.data.tags.get(key) != value:
            client.set_tag(run_id, key, value)


def _copy_artifacts(client: Any, run_id: str, folder: Path) -> None:
    """Another attempt at the job may be making the same folders: to MLflow one that came in between is a failure."""
    for _ in range(MAX_RACES):
        with suppress(FileExistsError):
            client.log_artifacts(run_id, str(folder))
            return
    client.log_artifacts(run_id, str(folder))


def _folder(experiment: str) -> str:
    """A folder for an experiment's artifacts: readable, unique, and never outside the root."""
    digest = hashlib.sha256(experiment.encode()).hexdigest()[:8]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", experiment)[:60] + "-" + digest


@contextmanager
def _spoken() -> Iterator[None]:
    """Say in our words what MLflow could not do; its own words go to the log."""
    try:
        yield
    except ImportError as error:
        raise MlflowUnavailable(f"MLflow can't be imported: {error.name or 'a part of it'} is missing.") from error
    except OSError as error:
        if is_outage(error) and not isinstance(error, FileNotFoundError):
            raise
        _log.exception("MLflow's artifacts can't be written")
        hint = "Make the artifact folder writable, or set HOLDFAST_ARTIFACT_ROOT to one that is, then send it again."
        raise MlflowUnavailable(f"Artifacts can't be written: {error.strerror or error}.", hint=hint) from error
    except Exception as error:
        if error.__cause__ is not None and is_outage(error.__cause__):
            raise error.__cause__ from None  # the job is tried again
        if not _is_of_mlflow(error) or is_outage(error):
            raise
        _log.exception("MLflow's store does not work")
        hint = "See the log for MLflow's own words; `holdfast ui` shows its store. Then send the request again."
        raise MlflowUnavailable("MLflow's store does not work.", hint=hint) from error


def _is_of_mlflow(error: Exception) -> bool:
    return isinstance(error, DatabaseError) or type(error).__module__.partition(".")[0] == "mlflow"
