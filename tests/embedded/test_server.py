"""One server for many processes, whoever starts, stops or is killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.embedded import EmbeddedPostgres, postmaster
from tests.embedded.servers import IS_ROOT, StartUser, ask, copy, is_alive, postmaster_of, url_of

BUSY = """
import sys, psycopg
psycopg.connect(sys.argv[1]).execute("SELECT count(*) FROM generate_series(1, 100000000000)")
"""


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
        "maintenance_work_mem": "256MB",
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


def lock_files(home: Path) -> list[Path]:
    return [home / "postgres/data/postmaster.pid", home / "postgres/run/.s.PGSQL.5432.lock"]
