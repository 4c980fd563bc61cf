"""Homes to start servers in, and processes that use them."""

import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.embedded import EmbeddedPostgres
from tests.embedded.servers import StartUser, User, copy, end
from tests.postgres import make_scratch

ROOT = Path(__file__).parent.parent.parent
USER = """
import os, sys
from pathlib import Path
import psycopg.sql, app.embedded.postmaster  # before the change: nobody may not reach the interpreter's own modules
from app.embedded import EmbeddedPostgres
if len(sys.argv) > 2:
    os.setgroups([])
    os.setgid(int(sys.argv[3]))
    os.setuid(int(sys.argv[2]))
server = EmbeddedPostgres(Path(sys.argv[1]))
print(server.start(), flush=True)
sys.stdin.readline()
server.stop()
"""


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder that every user can pass; servers below it are killed at the end."""
    folder = make_scratch()
    yield folder
    for file in folder.glob("**/postmaster.pid"):
        end(int(file.read_text().split()[0]), folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def model() -> Iterator[Path]:
    """A home after its first start, to be copied: that takes a tenth of the time."""
    folder = make_scratch()
    with EmbeddedPostgres(folder):
        pass
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(base: Path, model: Path) -> Path:
    return copy(model, base / "home")


@pytest.fixture
def start_user() -> Iterator[StartUser]:
    """Start a process that opens the server, and leaves it when its input ends."""
    users: list[User] = []

    def start(home: Path, *, prefix: tuple[str, ...] = (), to: pwd.struct_passwd | None = None, **options: Any) -> User:
        command = [*prefix, sys.executable, "-c", USER, str(home), *([str(to.pw_uid), str(to.pw_gid)] if to else [])]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        users.append(subprocess.Popen(command, cwd=ROOT, text=True, **pipes, **options))
        return users[-1]

    yield start
    for user in users:
        user.kill()
        user.communicate()
