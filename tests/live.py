"""A real service in a process of its own, for the tests that call it as strangers do."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from typer.testing import CliRunner

from app.cli import app
from app.demo import DATASET
from app.process import warm_up
from app.simulator.writing import TABLES

COMMAND = [sys.executable, "-P", "-m", "app.cli"]
START_SECONDS = 90


def environment(database_url: str, home: Path, **more: str) -> dict[str, str]:
    """What the command needs to know of a store."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    return {**kept, "DATABASE_URL": database_url, "HOLDFAST_HOME": str(home), "HOLDFAST_N_THREADS": "1", **more}


def holdfast(env: dict[str, str], *arguments: str | int | Path) -> str:
    """Call a verb in this process, where its imports are paid for once; what it says on stdout."""
    result = CliRunner().invoke(app, [str(each) for each in arguments], env=env)
    assert result.exit_code == 0, result.output
    return result.stdout


def fill_store(env: dict[str, str], folder: Path) -> None:
    """What `make demo` leaves behind, only smaller: data, a champion, its scores, a verdict of the monitor."""
    warm_up()
    holdfast(env, "simulate", folder / "business", "--accounts", 2000)
    described = folder / "business" / "dataset.json"
    smaller = {"name": DATASET, "windows_days": [30], "max_instants": 5}
    described.write_text(json.dumps(json.loads(described.read_text()) | smaller))
    holdfast(env, "dataset", "create", described)
    for fact in TABLES:
        holdfast(env, "import", folder / "business" / f"{fact}.parquet", "--name", DATASET, "--fact", fact)
    holdfast(env, "train", "--register", "--param", "n_estimators=20")
    holdfast(env, "promote", "--force", "--reason", "only to have a champion")
    holdfast(env, "score")
    holdfast(env, "monitor", "--save")


@contextmanager
def running_service(env: dict[str, str], log: Path) -> Iterator[str]:
    """The URL of a service, ready."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with log.open("wb") as out:
        process = subprocess.Popen([*COMMAND, "serve", "--port", str(port)], env=env, stdout=out, stderr=out)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(process, url, log)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())
