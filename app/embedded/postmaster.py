"""The server process: found again, cleared up after, started, stopped."""

import logging
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar

import psutil  # type: ignore[import-untyped]  # it ships no types

from app.embedded.binaries import Binaries, find_binaries
from app.embedded.configuration import write_configuration
from app.embedded.locks import try_exclusive
from app.embedded.place import PORT, Place, make_folder
from app.errors import ConfigurationError

POLL_SECONDS = 0.01
START_SECONDS = 300.0  # crash recovery reads up to max_wal_size, a gigabyte
CONNECT_SECONDS = 10.0
ORPHAN_SECONDS = 10.0  # a backend that outlives its postmaster ends at its next wait
STOP_SECONDS = 60.0
MAX_LOG_BYTES = 10_000_000

T = TypeVar("T")

logger = logging.getLogger(__name__)


def open_database(place: Place, name: str) -> None:
    """See to it that the server runs and has the database. Call it under the start lock."""
    from psycopg import OperationalError  # psycopg costs half a second, and nobody needs it before

    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        _ensure_running(place)
        try:
            return _ensure_database(place, name)
        except OperationalError as error:  # the server is just dying, or a cleaner of /tmp has taken its socket
            if time.monotonic() > deadline:
                raise ConfigurationError(f"PostgreSQL runs but can't be reached: {error}") from error
        if not place.socket.exists():
            shut_down(place)
        time.sleep(POLL_SECONDS)


def _ensure_running(place: Place) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _is_ready(place):
        if find_postmaster(place) is None:
            _launch(place)
        if time.monotonic() > deadline:
            raise ConfigurationError(f"PostgreSQL was not ready in {START_SECONDS:.0f} s; see {place.log}.")
        time.sleep(POLL_SECONDS)


def _ensure_database(place: Place, name: str) -> None:
    """Make the role and the database if they are missing. The role is no superuser: what it runs stays in there."""
    import psycopg
    from psycopg import sql
    from psycopg.conninfo import make_conninfo

    address = make_conninfo(
        host=str(place.sockets), port=PORT, user="postgres", dbname="postgres", connect_timeout=int(CONNECT_SECONDS)
    )
    with psycopg.connect(address, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return
        role = sql.Identifier(name)
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB IN ROLE pg_signal_backend").format(role))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))


def shut_down(place: Place) -> None:
    """Stop the server if it runs: connections are ended, then a checkpoint is written."""
    postmaster = find_postmaster(place)
    if postmaster is None:
        return
    for order in (signal.SIGINT, signal.SIGQUIT):  # "fast", then "immediate" shutdown
        postmaster.send_signal(order)
        if _wait(lambda: not _is_alive(postmaster), STOP_SECONDS):
            return
    logger.error("PostgreSQL does not stop", extra={"pid": postmaster.pid})


def find_postmaster(place: Place) -> psutil.Process | None:
    """The process named in postmaster.pid, if it is a PostgreSQL in this data folder and not one that got its PID."""
    lines = _pid_file(place)
    if not lines or not lines[0].isdigit():
        return None
    try:
        process = psutil.Process(int(lines[0]))
        return process if _is_of(process, place) else None
    except psutil.Error:
        return None


def _is_of(process: psutil.Process, place: Place) -> bool:
    """Told by the command line, which everybody may read: a container's root may not see where others work."""
    if process.name() != "postgres" or not _is_alive(process):
        return False
    words = process.cmdline()
    return str(place.data) in words or " ".join(words).startswith(f"postgres: {place.cluster_name}: ")


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _runs(pid: int) -> bool:
    try:
        return _is_alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def _pid_file(place: Place) -> list[str]:
    try:
        return (place.data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _is_ready(place: Place) -> bool:
    """The eighth line of postmaster.pid says how far the server is."""
    lines = _pid_file(place)
    return len(lines) >= 8 and lines[7].strip() == "ready" and find_postmaster(place) is not None


def _launch(place: Place) -> None:
    """Start the server and wait until it can be used, crash recovery included."""
    server_lock = _take_server_lock(place)
    try:
        binaries = find_binaries(place)
        if not place.data.exists():
            _make_data(place, binaries, server_lock)
        _remove_remains(place)
        begin, pid = _spawn(place, binaries, server_lock)
    finally:
        os.close(server_lock)  # the server goes on holding it
    _wait(lambda: _is_ready(place) or not _runs(pid), START_SECONDS)
    if not _is_ready(place):
        said = place.log.read_bytes()[begin:][-1000:].decode(errors="replace").strip()
        raise ConfigurationError(f"PostgreSQL did not start: {said}", hint=f"The whole log is {place.log}.")


def _take_server_lock(place: Place) -> int:
    """Wait until no process of an earlier server is left: backends and initdb outlive a killed parent for a moment."""
    for patience in (ORPHAN_SECONDS, 0.5 * ORPHAN_SECONDS):
        for descriptor in _tries(lambda: try_exclusive(place.server_lock), patience):
            if descriptor is not None:
                return descriptor
        for orphan in _find_processes(place):
            logger.warning("ending a backend without a server", extra={"pid": orphan.pid})
            orphan.kill()
    raise ConfigurationError(
        f"PostgreSQL processes that can't be seen from here still use {place.data}.",
        hint="Is another container running on the same HOLDFAST_HOME? Stop it, or set DATABASE_URL for both.",
    )


def _find_processes(place: Place) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended, or is none of our business
            if _is_of(process, place):
                found.append(process)
    return found


def _make_data(place: Place, binaries: Binaries, server_lock: int) -> None:
    """Make the data folder; it gets its name when complete, so the half of one that a kill left is never used."""
    for remains in place.folder.glob("data-new-*"):
        shutil.rmtree(remains)
    fresh = place.folder / f"data-new-{secrets.token_hex(4)}"
    make_folder(fresh, mode=0o700, owner=place.account)
    # Text sorts byte for byte on every machine; versions before 17 only have the C library's locales.
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if binaries.major >= 17 else []
    options = ["--no-locale", *locale, "--encoding=UTF8", "--auth=peer", "--username=postgres", "--no-instructions"]
    made = place.account.run([binaries.initdb, f"--pgdata={fresh}", *options], keep=[server_lock])
    if made.returncode:
        raise ConfigurationError(
            f"PostgreSQL can't make its data folder: {made.stderr.strip()}",
            hint="Set HOLDFAST_HOME to a folder on a local disk with free space, or DATABASE_URL.",
        )
    fresh.rename(place.data)


def _remove_remains(place: Place) -> None:
    """PostgreSQL itself would refuse to start while any process has the PID that stands in these files."""
    for file in (place.data / "postmaster.pid", place.socket, place.socket.with_name(f"{place.socket.name}.lock")):
        file.unlink(missing_ok=True)


def _spawn(place: Place, binaries: Binaries, server_lock: int) -> tuple[int, int]:
    """Start the server as a child of nobody; returns where its part of the log begins, and its PID."""
    if place.log.exists() and place.log.stat().st_size > MAX_LOG_BYTES:
        place.log.replace(place.log.with_suffix(".log.1"))
    configuration = write_configuration(place)
    command = [str(binaries.postgres), "-D", str(place.data), f"--config-file={configuration}"]
    with place.log.open("ab") as log:
        # The shell ends at once, so that no process of ours has to wait for the server when it has ended.
        shell = ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", *command]
        begin = log.tell()
        started = place.account.run(shell, stderr=log.fileno(), keep=[server_lock])
        return begin, int(started.stdout)


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    return any(_tries(done, seconds))


def _tries(attempt: Callable[[], T], seconds: float) -> Iterator[T]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield attempt()
        time.sleep(POLL_SECONDS)
