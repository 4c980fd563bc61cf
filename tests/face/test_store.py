"""The calls that need a store, on a real one."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from app.errors import (
    ConfigurationError,
    Conflict,
    DatabaseUnreachable,
    InvalidRequest,
    NotEvaluated,
    NotFound,
    NothingRegistered,
)
from app.sample import make_sample
from holdfast import (
    BatchScorer,
    EvaluationConfig,
    EvaluationGate,
    HoldfastError,
    ModelConfig,
    ModelMonitor,
    ModelRegistry,
    ModelTrainer,
    MonitoringConfig,
    ScoringConfig,
    Store,
    TrainingConfig,
    create_training_dataset,
    score_active_accounts,
)
from tests.face.conftest import N_ACCOUNTS, children

LOGISTIC = ModelConfig(model_type="logistic")
QUICK = TrainingConfig(shap=False)


@pytest.mark.slow
def test_the_weekly_cycle(worked_url: str) -> None:
    with ModelRegistry(worked_url) as registry:
        trained = registry.train_model(LOGISTIC, QUICK, register=True)
        assert trained.version == 1
        assert 0.6 < trained.metrics["auc"] == trained.metrics["test"]["roc_auc"] < 1
        with pytest.raises(NotEvaluated):
            registry.promote_model(1)
        judgement = registry.evaluate_model()
        assert (judgement.version, judgement.recommendation, judgement.get_failed_checks()) == (1, "promote", [])
        assert registry.promote_model(reason="first model").to_version == 1
        model = registry.load_production_model()
        assert [(each.version, each.stage) for each in registry.history()] == [(1, "Production")]
    run = score_active_accounts(worked_url)
    assert run.n_accounts_scored == sum(run.risk_distribution.values()) > 1500
    assert set(run.risk_distribution) == {"high", "medium", "low"}
    with BatchScorer(worked_url, ScoringConfig(n_reasons=1)) as scorer:
        accounts = scorer.accounts()
        assert [each.id for each in scorer.runs()] == [run.run_id]
    assert len(accounts) == run.n_accounts_scored
    assert accounts["churn_probability"].is_monotonic_decreasing
    june = make_sample(N_ACCOUNTS).later
    stored = accounts.set_index("account_id")["churn_probability"]
    here = model.churn_probability(june).set_axis(june["account_id"].to_pylist())
    assert abs(here - stored[here.index]).max() < 1e-6  # a frame is scored as the batch was
    with ModelMonitor(worked_url, MonitoringConfig(min_sample=100)) as monitor:
        report = monitor.check(save=True)
        drifted = {each.name for each in report.features if each.state in ("warning", "critical")}
        assert drifted >= {"last_login_days", "price_increase_pct"}  # planted in the later month
        assert (report.saved, report.health_status) == (True, "critical")
        on_frame = monitor.check_drift(june)  # against the champion
        psi = {each.name: each.psi for each in report.features}  # a few accounts more: those that June says nothing of
        assert {each.name: each.psi for each in on_frame.features} == pytest.approx(psi, abs=0.01)


@pytest.mark.slow
def test_a_model_of_a_frame_is_registered_where_the_store_makes_the_same(worked_url: str) -> None:
    data = create_training_dataset(worked_url)
    given: dict[str, Any] = {
        "accounts": data.accounts,
        "as_of": data.as_of,
        "sides": data.sides,
        "horizon_days": data.horizon_days,
    }
    trained = ModelTrainer(LOGISTIC, QUICK).train(data.X, data.y, **given)
    with ModelRegistry(worked_url) as registry:
        registered = registry.register_model(trained, description="of a notebook")
        assert registered.bundle_sha256 == trained.model.sha256
        assert registered.test_roc_auc == pytest.approx(trained.metrics["auc"])
        other = ModelTrainer(LOGISTIC, QUICK).train(data.X.drop(columns="nps"), data.y, **given)
        with pytest.raises(Conflict, match="are not those that the model was trained on"):
            registry.register_model(other)
        assert len(registry.history()) == 1


@pytest.mark.slow
def test_the_gate_on_frames_says_what_that_of_the_store_says(worked_url: str) -> None:
    data = create_training_dataset(worked_url)
    given: dict[str, Any] = {"accounts": data.accounts, "as_of": data.as_of, "horizon_days": data.horizon_days}
    trained = ModelTrainer(LOGISTIC, QUICK).train(data.X, data.y, sides=data.sides, **given)
    here = EvaluationGate(EvaluationConfig()).evaluate(trained)
    with ModelRegistry(worked_url) as registry:
        there = registry.evaluate_model(registry.register_model(trained).version)
    assert (here.evidence, here.recommendation) == (there.evidence, there.recommendation)
    assert here.evidence == "cross_fitted"
    other = {"distribution"}  # of the accounts that are scored today, which the frame does not hold
    found = {each.name: each.estimate for each in here.checks if each.name not in other}
    assert found == pytest.approx({each.name: each.estimate for each in there.checks if each.name not in other})


@pytest.mark.slow
def test_calls_of_one_store_share_a_worker_that_leaves_with_it(store_url: str) -> None:
    before = {each.pid for each in children()}
    with Store(store_url) as store:
        registry = ModelRegistry(store)
        registry.train_model(LOGISTIC, QUICK)
        [worker] = [each for each in children() if each.pid not in before]
        registry.train_model(LOGISTIC, QUICK, register=True)
        registry.close()  # it shares the store, which stays open
        assert registry.compare(1, "latest").a.version == 1
        assert [each.pid for each in children() if each.pid not in before] == [worker.pid]
    assert not worker.is_running()


def test_the_failure_of_a_job_is_of_its_own_class(store_url: str) -> None:
    every = list(create_training_dataset(store_url).X.columns)
    with ModelRegistry(store_url) as registry, pytest.raises(Conflict, match="can't be trained on"):
        registry.train_model(LOGISTIC, TrainingConfig(exclude_features=every))


SCRIPT = """
from holdfast import ModelConfig, ModelRegistry, TrainingConfig
print("begins")
registry = ModelRegistry({url!r})
trained = registry.train_model(ModelConfig(model_type="logistic"), TrainingConfig(shap=False), register=True)
print(trained.version)
"""


@pytest.mark.slow
def test_a_script_without_a_guard_runs_once_and_ends_without_a_close(store_url: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(url=store_url))
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, script], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr, done.stdout.split()) == (0, "", ["begins", "1"])
    assert _connections(store_url) == 0


async def test_it_works_where_a_loop_is_running(store_url: str) -> None:
    assert asyncio.get_running_loop().is_running()
    with ModelRegistry(store_url) as registry:  # no await, as in a notebook's cell
        assert registry.history() == []


def _sync(url: str) -> object:
    return create_engine(make_url(url).set(drivername="postgresql+psycopg"))


def _async(url: str) -> object:
    return create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))


@pytest.mark.parametrize("make", [_sync, _async, make_url, str])
def test_an_engine_of_any_kind_is_taken(store_url: str, make: Callable[[str], object]) -> None:
    data = create_training_dataset(make(store_url))  # type: ignore[arg-type]  # one of four kinds that it takes
    assert (data.dataset, data.revision, data.horizon_days) == ("sample", 2, 60)
    assert list(data.X.index) == list(data.y.index) == list(data.accounts.index) == list(data.sides.index)
    assert not {"account_id", "as_of", "churned"} & set(data.X.columns)
    assert data.y.isin([0, 1]).all()


def test_the_engine_that_is_named_is_taken_whatever_the_environment_says(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    with ModelRegistry(f"{store_url}&sslmode=disable") as registry:  # as psycopg writes what asyncpg calls ssl
        assert registry.history() == []


def test_nothing_stays_open(store_url: str) -> None:
    store = Store(store_url)
    ModelRegistry(store).history()
    assert _connections(store_url, within_seconds=0) > 0
    store.close()
    store.close()
    assert _connections(store_url) == 0
    with pytest.raises(RuntimeError, match="closed"):
        ModelRegistry(store).history()


def test_what_is_forgotten_is_closed_when_it_is_collected(store_url: str) -> None:
    registry = ModelRegistry(store_url)
    registry.history()
    del registry
    assert not [each for each in threading.enumerate() if each.name == "holdfast-store"]
    assert _connections(store_url) == 0


def _connections(url: str, within_seconds: float = 5) -> int:
    """Others on this database; PostgreSQL is given a moment to notice that all have left."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    deadline = time.monotonic() + within_seconds
    with psycopg.connect(url, autocommit=True) as connection:
        while True:
            [n] = connection.execute(query).fetchone() or [0]
            if not n or time.monotonic() > deadline:
                return int(n)
            time.sleep(0.1)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda store: ModelRegistry(store).load_production_model(dataset="sample"), NothingRegistered),
        (lambda store: ModelRegistry(store).get("latest", dataset="other"), NotFound),
        (lambda store: create_training_dataset(store, "No Such Name"), NotFound),
        (lambda store: ModelRegistry(store).train_model(dataset="No Such Name"), InvalidRequest),
        (lambda store: ModelRegistry(store).rollback(reason="trial"), HoldfastError),
        (lambda store: ModelMonitor(store).check(), NothingRegistered),
        (lambda store: ModelMonitor(MonitoringConfig()).check(), ConfigurationError),
        (lambda store: BatchScorer(store).score(version="v1"), InvalidRequest),
    ],
)
def test_a_refusal_is_the_services_own(store_url: str, call: Callable[[Store], object], kind: type[Exception]) -> None:
    with Store(store_url) as store, pytest.raises(kind):
        call(store)


@pytest.mark.parametrize(
    ("engine", "kind"),
    [
        ("postgresql://nobody@127.0.0.1:1/nothing", DatabaseUnreachable),
        ("sqlite://", ConfigurationError),
        ("no url", ConfigurationError),
        (7, ConfigurationError),
    ],
)
def test_what_is_no_store_is_refused(engine: object, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        Store(engine)  # type: ignore[arg-type]  # what it must refuse
