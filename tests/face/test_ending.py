"""How calls on a store end: by Ctrl-C, by a kill, with the interpreter."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
import psycopg
import pytest

ROOT = Path(__file__).parents[2]
TRAINS = """
from holdfast import ModelConfig, ModelRegistry, TrainingConfig
registry = ModelRegistry({url!r})
try:
    registry.train_model(ModelConfig(xgboost_params={{"n_estimators": 2000, "max_depth": 12}}))
except KeyboardInterrupt:
    print("interrupted")
"""


def begin(script: str, folder: Path) -> "subprocess.Popen[str]":
    file = folder / "script.py"
    file.write_text(script)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, file], env=environment, cwd=folder, text=True, stdout=subprocess.PIPE)


def until(condition: Callable[[], bool], *, within_seconds: float = 90) -> None:
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline, "has not come true"
        time.sleep(0.1)


def job_status(url: str) -> str | None:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT status FROM jobs WHERE kind = 'train'").fetchone()
    return None if found is None else str(found[0])


def all_gone(family: list[psutil.Process]) -> bool:
    return not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in family)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "ends_as"), [(signal.SIGINT, "cancelled"), (signal.SIGKILL, "queued")])
def test_a_script_that_is_ended_leaves_no_process_and_no_running_job(
    store_url: str, tmp_path: Path, number: signal.Signals, ends_as: str
) -> None:
    with begin(TRAINS.format(url=store_url), tmp_path) as script:
        until(lambda: job_status(store_url) == "running")
        family = psutil.Process(script.pid).children(recursive=True)
        assert len(family) >= 2  # the worker, and what it has begun
        script.send_signal(number)
        said, _ = script.communicate(timeout=90)
    assert said == ("interrupted\n" if number is signal.SIGINT else "")
    until(lambda: all_gone(family))
    until(lambda: job_status(store_url) == ends_as)


@pytest.mark.slow
def test_without_an_engine_it_is_the_store_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "home"))
    script = "from holdfast import ModelRegistry\nregistry = ModelRegistry()\nprint(registry.history())\n"
    with begin(script, tmp_path) as process:
        said, _ = process.communicate(timeout=120)
    assert (process.returncode, said) == (0, "[]\n")
    left = [each for each in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(each.info["cmdline"] or [])]
    assert left == []  # the private PostgreSQL has ended with its last user
