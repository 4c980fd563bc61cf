"""What the README says can be typed, and its table is that of the settings."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from tests.live import environment, running_service

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8000"


def _commands(section: str) -> str:
    """The shell blocks below a heading, as one script."""
    text = README.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which `.venv/bin/holdfast` is the command, as in a clone."""
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


@pytest.fixture
def env(database_url: str, folder: Path) -> dict[str, str]:
    return environment(database_url, folder / "home")


@pytest.fixture
def service(env: dict[str, str], folder: Path) -> Iterator[str]:
    with running_service(env, folder / "service.log") as url:
        yield url


def _run(script: str, folder: Path, env: dict[str, str]) -> str:
    command = ["bash", "-eu", "-o", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".venv").exists(), reason="the README's commands are those of a clone with a .venv")
def test_the_curls_work(service: str, folder: Path, env: dict[str, str]) -> None:
    other = {"name": "other", "id_column": "id", "label_column": "left", "positive_value": "yes"}
    httpx.post(f"{service}/datasets", json=other, trust_env=False).raise_for_status()  # as in a store that is in use
    told = _run(_commands("Over HTTP").replace(ADDRESS, service), folder, env)
    answers = [document for document in _documents(told) if "detail" in document or "problem" in document]
    assert [document for document in answers if document.get("problem") or "detail" in document] == []
    assert '"recommendation":"promote"' in told
    assert '"health_status":' in told
    lines = (folder / "high.csv").read_text().splitlines()
    assert lines[0].startswith("account_id,churn_probability,risk_tier")
    assert len(lines) > 100


def _documents(text: str) -> Iterator[dict[str, object]]:
    """The JSON documents in a text, in order."""
    decoder, position = json.JSONDecoder(), text.find("{")
    while position >= 0:
        document, end = decoder.raw_decode(text, position)
        yield document
        position = text.find("{", end)


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".venv").exists(), reason="the README's commands are those of a clone with a .venv")
def test_the_commands_work(folder: Path, env: dict[str, str]) -> None:
    _run(".venv/bin/holdfast sample march.csv june.csv", folder, env)
    told = _run(_commands("On the command line"), folder, env)
    assert "Production" in told


def test_the_table_is_that_of_the_settings() -> None:
    described = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", README, re.MULTILINE)
    names = {"DATABASE_URL" if name == "database_url" else f"HOLDFAST_{name.upper()}" for name in Settings.model_fields}
    assert {name for name, _ in described} == names
    told = {name: default.strip("`") for name, default in described}
    defaults = {f"HOLDFAST_{name.upper()}": field.default for name, field in Settings.model_fields.items()}
    plain = {
        name: _written(default) for name, default in defaults.items() if isinstance(default, bool | int | float | str)
    }
    assert plain.items() <= told.items()


def _written(default: bool | float | str) -> str:
    """A default as the table has it."""
    if isinstance(default, bool | str):
        return str(default).lower() if isinstance(default, bool) else default
    if default >= 1024**2:
        return f"{default // 1024**3} GiB" if default >= 1024**3 else f"{default // 1024**2} MiB"
    return f"{default:g}"


def test_the_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)", README + (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE))
    assert named <= targets
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
