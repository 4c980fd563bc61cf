"""What the tests of the private PostgreSQL ask of servers and of their users."""

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # it ships no types
import psycopg

User = subprocess.Popen[str]
StartUser = Callable[..., User]
IS_ROOT = os.geteuid() == 0


def copy(model: Path, home: Path) -> Path:
    """The copy of a stopped server is a server; only `cp` keeps the owners."""
    home.parent.mkdir(exist_ok=True)
    subprocess.run(["cp", "-a", model, home], check=True)
    return home


def end(pid: int, folder: Path) -> None:
    """Stop a server that a test has left, and nothing else; a kill would leave its shared memory behind."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if any(word.startswith(str(folder)) for word in process.cmdline()):
            process.send_signal(signal.SIGQUIT)
            process.wait(10)


def url_of(user: User) -> str:
    assert user.stdout
    url = user.stdout.readline().strip()
    assert url, user.communicate()[1]
    return url


def ask(url: str, query: str, *, role: str = "holdfast") -> Any:
    """The first column of the first row."""
    with psycopg.connect(url.replace("+asyncpg", "").replace("holdfast@", f"{role}@"), autocommit=True) as connection:
        answer = connection.execute(query.encode())
        row = answer.fetchone() if answer.description else None
        return row[0] if row else None


def postmaster_of(home: Path) -> psutil.Process:
    return psutil.Process(int((home / "postgres/data/postmaster.pid").read_text().split()[0]))


def is_alive(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)


def state_of(paths: list[Path]) -> list[tuple[int, int, int, int]]:
    states = [path.lstat() for path in paths]
    return [(s.st_mode, s.st_uid, s.st_gid, s.st_ino) for s in states]
