"""A warehouse for the tests: a PostgreSQL of its own that is reached by TCP and asks for passwords."""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil  # type: ignore[import-untyped]  # it ships no types
import psycopg

from app.embedded.binaries import find_binaries
from app.embedded.place import Place, find_place, make_folder
from tests.postgres import make_scratch

START_SECONDS = 60
PASSWORD = "tell-nobody-7"
VARIABLE = "HOLDFAST_SOURCE_TEST"
ROLES = f"""
CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE reader_of_files LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_read_server_files;
CREATE ROLE heir LOGIN PASSWORD '{PASSWORD}' IN ROLE postgres;
ALTER ROLE postgres PASSWORD '{PASSWORD}';
"""


@dataclass(frozen=True)
class Warehouse:
    """One database of the server."""

    sockets: Path
    port: int
    database: str

    def url(self, role: str = "reader", **parts: Any) -> str:
        named = {"host": "127.0.0.1", "port": self.port, "database": self.database} | parts
        return f"postgresql://{role}@{named['host']}:{named['port']}/{named['database']}"

    def execute(self, statements: str) -> None:
        """As the superuser, each statement by itself."""
        with self._connect() as connection:
            connection.execute(statements.encode())

    def load(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        statement = f"COPY {table} FROM STDIN".encode()
        with self._connect() as connection, connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def ask(self, query: str) -> Any:
        """The first column of the first row."""
        with self._connect() as connection:
            row = connection.execute(query.encode()).fetchone()
            return row[0] if row else None

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=str(self.sockets), port=self.port, user="postgres", dbname=self.database, autocommit=True
        )


@contextmanager
def open_warehouse_server() -> Iterator[Warehouse]:
    """A server that is stopped and removed at the end."""
    place = find_place(make_scratch())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = _start(place, port)
    try:
        warehouse = Warehouse(place.sockets, port, "postgres")
        _wait(warehouse)
        warehouse.execute(ROLES)
        yield warehouse
    finally:
        server.send_signal(signal.SIGINT)
        psutil.wait_procs([server], timeout=30)
        subprocess.run(["rm", "-rf", str(place.folder.parent)], check=True)


def _start(place: Place, port: int) -> psutil.Process:
    """Passwords over TCP; the socket, in a folder that only its owner and root enter, trusts."""
    binaries = find_binaries(place)
    make_folder(place.data, mode=0o700, owner=place.account)
    methods = ["--auth-local=trust", "--auth-host=scram-sha-256", "--username=postgres", "--encoding=UTF8"]
    made = place.account.run([binaries.initdb, f"--pgdata={place.data}", "--no-locale", "--no-sync", *methods])
    assert made.returncode == 0, made.stderr
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": place.sockets, "fsync": "off"}
    words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    command = [str(binaries.postgres), "-D", str(place.data), "-p", str(port), *words]
    with (place.folder / "log").open("wb") as log:
        shell = ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", *command]
        return psutil.Process(int(place.account.run(shell, stderr=log.fileno()).stdout))


def _wait(warehouse: Warehouse) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return warehouse.execute("SELECT 1")
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@contextmanager
def new_warehouse(server: Warehouse) -> Iterator[Warehouse]:
    """A database of its own."""
    name = f"dwh_{uuid4().hex[:12]}"
    server.execute(f"CREATE DATABASE {name}")
    try:
        yield Warehouse(server.sockets, server.port, name)
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
