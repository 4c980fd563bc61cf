"""The database: engine, sessions, migrations, COPY in and out, locks."""

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pyarrow as pa
import pyarrow.csv as pa_csv
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from app.settings import DRIVER, Settings

Engine = AsyncEngine
Sessions = async_sessionmaker[AsyncSession]
DatabaseError = DBAPIError
UNREACHABLE = (
    InterfaceError,
    OperationalError,
    ConnectionError,
    FileNotFoundError,  # the socket of a server that is down
    TimeoutError,
    PoolTimeout,
    asyncpg.CannotConnectNowError,
)
NOT_UNIQUE = (IntegrityError, asyncpg.UniqueViolationError)  # by a statement, and by COPY
CUT_OFF = (asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError)
MIGRATION_LOCK = 0x686F6C64  # any constant of ours: two services migrating at once take turns
MIGRATIONS = Path(__file__).parent.parent / "migrations"


def make_engine(database_url: str, settings: Settings) -> AsyncEngine:
    """An engine whose every connection speaks UTC and gives up on a hung statement."""
    timeouts = {
        "timezone": "UTC",
        "statement_timeout": str(int(settings.statement_timeout_seconds * 1000)),
        "lock_timeout": "30000",
        "idle_in_transaction_session_timeout": "300000",
        "application_name": "holdfast",
    }
    return create_async_engine(
        database_url,
        pool_size=settings.pool_size,
        pool_pre_ping=True,
        hide_parameters=True,  # customers' rows have no place in a log
        connect_args={"server_settings": timeouts, "command_timeout": settings.statement_timeout_seconds},
    )


def make_sessions(engine: AsyncEngine) -> Sessions:
    """Sessions that keep their objects readable after the commit."""
    return async_sessionmaker(engine, expire_on_commit=False)


def psycopg_url(database_url: str, *, schema: str | None = None) -> str:
    """The same database by psycopg, for the synchronous tools (Alembic, MLflow)."""
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    query = {("sslmode" if key == "ssl" else key): value for key, value in url.query.items()}
    if schema:
        query["options"] = f"-csearch_path={schema}"
    return url.set(query=query).render_as_string(hide_password=False)


def alembic_config(database_url: str) -> AlembicConfig:
    """Alembic's configuration for this database, without its ini file."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["database_url"] = psycopg_url(database_url)
    return config


def migrate(database_url: str, revision: str = "head") -> None:
    """Bring the schema up to `revision`; concurrent callers take turns on an advisory lock."""
    with hold_lock(database_url, MIGRATION_LOCK) as connection:
        config = alembic_config(database_url)
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@contextmanager
def hold_lock(database_url: str, key: int) -> Iterator[Connection]:
    """Hold a lock across slow work, in no transaction, for synchronous callers; a killed holder lets go of it."""
    engine = create_engine(psycopg_url(database_url))
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(CAST(:key AS bigint))"), {"key": key})
            connection.commit()
            yield connection
    finally:
        engine.dispose()


def is_bad_value(error: DBAPIError) -> bool:
    """Whether the database refused a value as such (SQLSTATE class 22), so that the caller is to blame."""
    return _sqlstate(error).startswith("22")


def is_busy(error: DBAPIError) -> bool:
    """Whether a lock was not to be had in time, or a statement took too long."""
    return _sqlstate(error) in {"55P03", "57014"}


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", "") or "")


def is_outage(error: BaseException) -> bool:
    """Whether the database is merely away for a while, so that trying again may help."""
    if isinstance(error, DBAPIError) and (error.connection_invalidated or is_busy(error)):
        return True
    return isinstance(error, (*UNREACHABLE, *CUT_OFF))


async def take_lock(session: AsyncSession, space: int, key: int) -> None:
    """Take a lock that the end of the session's transaction gives back; `space` tells kinds of lock apart."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(CAST(:space AS int), CAST(:key AS int))"),
        {"space": space, "key": key % 2**31},
    )


async def driver(connection: AsyncConnection) -> asyncpg.Connection:
    """The asyncpg connection below, for COPY; a transaction must have begun, or COPY would commit by itself."""
    raw = await connection.get_raw_connection()
    bare = raw.driver_connection
    if not isinstance(bare, asyncpg.Connection):
        raise TypeError(f"expected a connection of {DRIVER}")
    return bare


async def copy_in(connection: AsyncConnection, rows: pa.Table, table: str, *, schema: str = "public") -> int:
    """Append the rows of an Arrow table by COPY, columns by name; returns how many.

    Inside the transaction that `connection` has begun. Nulls stay null and empty strings stay empty.
    """
    await connection.execute(text("SELECT 1"))
    buffer = await asyncio.to_thread(_to_csv, rows)
    status = await (await driver(connection)).copy_to_table(
        table, schema_name=schema, source=buffer, columns=rows.column_names, format="csv"
    )
    return int(str(status).split()[-1])


def _to_csv(rows: pa.Table) -> io.BytesIO:
    """Instants are written without a zone, in a tenth of the time: our connections speak UTC, as the columns do."""
    bare = [
        column.cast(pa.timestamp(column.type.unit)) if pa.types.is_timestamp(column.type) else column
        for column in rows.columns
    ]
    rows = pa.table(bare, names=rows.column_names)
    sink = io.BytesIO()
    options = pa_csv.WriteOptions(include_header=False, quoting_style="all_valid")
    pa_csv.write_csv(rows, sink, options)
    sink.seek(0)
    return sink


async def copy_out(connection: AsyncConnection, query: str, *args: Any, schema: pa.Schema) -> pa.Table:
    """The answer of a query (positional parameters `$1`, ...) as an Arrow table of the given schema, by COPY."""
    sink = io.BytesIO()
    await (await driver(connection)).copy_from_query(query, *args, output=sink, format="csv")
    return await asyncio.to_thread(_from_csv, sink.getbuffer(), schema)


def _from_csv(buffer: memoryview, schema: pa.Schema) -> pa.Table:
    if not buffer.nbytes:
        return schema.empty_table()
    return pa_csv.read_csv(
        pa.py_buffer(buffer),
        read_options=pa_csv.ReadOptions(column_names=schema.names, use_threads=False),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=schema,
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def quote_name(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
