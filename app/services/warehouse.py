"""A warehouse of the user's: one read-only session on it, and its refusals as sentences that give nothing away."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg

from app.errors import FieldError, QueryRefused, SourceRefused, SourceUnreachable
from app.schemas.query import QueryIn, SourceAddress, read_source_url
from app.settings import Settings, read_source_password
from app.sql import read_query
from app.sql.placeholders import fill_in

CONNECT_SECONDS = 10.0
GRACE_SECONDS = 10.0  # after its own timeout, a server that stays silent is given up
MAX_MESSAGE_LENGTH = 200
_AWAY = (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError)
_CUT_OFF = (
    *(ConnectionError, TimeoutError, asyncpg.PostgresConnectionError),
    *(asyncpg.AdminShutdownError, asyncpg.CrashShutdownError, asyncpg.InterfaceError, asyncpg.InternalClientError),
)
_NO_POSTGRESQL = (asyncpg.InterfaceError, asyncpg.InternalClientError, ValueError)
# Classes of SQLSTATE whose messages speak of the query, not of what is in a row.
_ABOUT_THE_QUERY = ("0A", "25", "42")
_READ_ONLY_HINT = (
    "Name a role that may only read: CREATE ROLE churn_reader LOGIN PASSWORD '...'; "
    "GRANT USAGE ON SCHEMA ... TO churn_reader; GRANT SELECT ON ... TO churn_reader."
)


@dataclass(frozen=True)
class QueryColumn:
    """A column of a query; its type as PostgreSQL calls it, 'enum' for any enumeration and 'text' for kinds of text."""

    name: str
    type_name: str


@dataclass(frozen=True)
class Statement:
    """One of the two queries of a dataset at one instant; `field` is where a request has it."""

    field: str
    sql: str


def statements(spec: QueryIn, as_of: datetime) -> tuple[Statement, Statement]:
    """Features and labels as of an instant."""
    values: Mapping[str, datetime | int] = {
        "as_of": as_of,
        "horizon_days": spec.horizon_days,
        "lead_days": spec.lead_days,
        "grace_days": spec.grace_days,
    }
    features = Statement("features_sql", fill_in(spec.features_sql, values))
    return features, Statement("labels_sql", fill_in(spec.labels_sql, values))


class Warehouse:
    """A session that can only read, all of whose queries see the same state of the data."""

    def __init__(self, connection: asyncpg.Connection, *, timeout_seconds: int, max_bytes: int) -> None:
        self._connection = connection
        self._timeout_seconds = timeout_seconds
        self._max_bytes = max_bytes

    async def describe(self, statement: Statement) -> list[QueryColumn]:
        """The columns of a query, which is parsed and planned but not run; several statements are refused."""
        with _told(statement, with_line=True):
            await self._arm()
            prepared = await self._connection.prepare(statement.sql)
            columns = [(each.name, each.type.oid) for each in prepared.get_attributes()]
            found = await self._connection.fetch(read_query("type_names"), [oid for _, oid in columns])
        types = {row["oid"]: row["name"] for row in found}
        return [QueryColumn(name, types[oid]) for name, oid in columns]

    async def copy(
        self, statement: Statement, selected: str, path: Path, *, order: str, limit: int | None = None
    ) -> int:
        """The rows of a query that `describe` has let pass, as CSV with a header; returns how many.

        `selected` and `order` are of columns of `q`. The query is parsed a second time: right after the first, so that
        no setting that another query has changed can make it mean something else.
        """
        n_bytes = 0
        bound = "" if limit is None else f" LIMIT {int(limit)}"
        # The line break ends a comment that the query ends with.
        query = f"SELECT {selected} FROM (\n{statement.sql}\n) AS q ORDER BY {order}{bound}"  # noqa: S608 - the user's own, read-only
        with path.open("wb") as file, _told(statement):

            async def write(piece: bytes) -> None:
                nonlocal n_bytes
                n_bytes += len(piece)
                if n_bytes > self._max_bytes:
                    raise refuse(statement, f"it returns more than {self._max_bytes} bytes (HOLDFAST_MAX_UPLOAD_BYTES)")
                file.write(piece)

            await self._arm()
            status = await self._connection.copy_from_query(query, output=write, format="csv", header=True)
        return int(str(status).split()[-1])

    async def _arm(self) -> None:
        """A query may have changed the settings of the session, so they are set before each."""
        settings = read_query("read_only_session").replace("{seconds}", str(self._timeout_seconds))
        await self._connection.execute(settings)


@asynccontextmanager
async def open_warehouse(spec: QueryIn, settings: Settings) -> AsyncIterator[Warehouse]:
    """A connection of its own, in a transaction that is read-only and never commits.

    Raises
    ------
    SourceUnreachable
        where nobody answers in time.
    SourceRefused
        where the password is wrong or lacking, or the role could read more than tables.
    """
    address = read_source_url(spec.source_url)
    _require_allowed(address, settings)
    connection = await _connect(address, _password(spec), spec.statement_timeout_seconds)
    try:
        with _told(None):
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            await _require_harmless(connection)
        yield Warehouse(connection, timeout_seconds=spec.statement_timeout_seconds, max_bytes=settings.max_upload_bytes)
    finally:
        connection.terminate()  # a rollback, however the session is


def _require_allowed(address: SourceAddress, settings: Settings) -> None:
    allowed = settings.query_hosts
    if allowed is not None and not {address.host, f"{address.host}:{address.port}"} & set(allowed):
        raise SourceRefused(
            f"{address.host} is not among the hosts that may be read.",
            hint="The operator names them in HOLDFAST_QUERY_HOSTS.",
            errors=[FieldError("/source_url", "not among HOLDFAST_QUERY_HOSTS")],
        )


def _password(spec: QueryIn) -> str:
    """Empty where none is named: None would have the driver look into variables and files of the service's own."""
    if spec.password_env is None:
        return ""
    password = read_source_password(spec.password_env)
    if password is None:
        raise SourceRefused(
            f"The environment variable {spec.password_env} is not set where the service runs.",
            errors=[FieldError("/password_env", "not set")],
        )
    return password


async def _connect(address: SourceAddress, password: str, timeout_seconds: int) -> asyncpg.Connection:
    place = f"{address.host}:{address.port}"
    try:
        return await asyncpg.connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=password,
            database=address.database,
            ssl=address.ssl_mode,
            timeout=CONNECT_SECONDS,
            command_timeout=timeout_seconds + GRACE_SECONDS,
            statement_cache_size=0,  # a query is parsed anew each time that it is run, and poolers are content
            server_settings={"application_name": "holdfast"},
        )
    except (*_AWAY, asyncpg.PostgresConnectionError) as error:
        raise SourceUnreachable(f"{place} does not answer as PostgreSQL does.") from error
    except (asyncpg.PostgresError, *_NO_POSTGRESQL) as error:
        why = {
            "28P01": f"does not accept the password of {address.user}",
            "28000": f"does not let {address.user} in",
            "3D000": f"has no database {address.database}",
        }.get(getattr(error, "sqlstate", None) or "", "refuses the connection")
        raise SourceRefused(f"{place} {why}.", errors=[FieldError("/source_url", why)]) from error


async def _require_harmless(connection: asyncpg.Connection) -> None:
    """A role that may read files or run programs could do so in a SELECT."""
    power = await connection.fetchval(read_query("dangerous_role"))
    if power is not None:
        raise SourceRefused(
            f"The role of source_url {power}: a query could then read files or run programs of the server.",
            hint=_READ_ONLY_HINT,
            errors=[FieldError("/source_url", str(power))],
        )


def refuse(statement: Statement, why: str) -> QueryRefused:
    """The refusal of one of the queries."""
    return QueryRefused(f"{statement.field}: {why}.", errors=[FieldError(f"/{statement.field}", why)])


@contextmanager
def _told(statement: Statement | None, *, with_line: bool = False) -> Iterator[None]:
    """Refusals of the warehouse as ours; with a line of the query where nothing else was sent."""
    try:
        yield
    except _CUT_OFF as error:
        raise SourceUnreachable("The source stopped answering in the middle of the work.") from error
    except asyncpg.PostgresError as error:
        why = _explain(error)
        if statement is None:
            raise SourceRefused(f"The source can't be read: {why}.") from error
        raise refuse(statement, why + (_place(statement, error) if with_line else "")) from error


def _explain(error: asyncpg.PostgresError) -> str:
    """What the database says where that can't hold a value of a row; else the name of the condition alone."""
    code = error.sqlstate or ""
    if code == "57014":
        return "it took longer than statement_timeout_seconds"
    if not code.startswith(_ABOUT_THE_QUERY):
        return f"it failed in the database ({_words(type(error).__name__)}, SQLSTATE {code})"
    message = re.sub(r"\s+", " ", re.sub(r"[\x00-\x1f\x7f]", " ", str(error.args[0] if error.args else "")))
    return message[:MAX_MESSAGE_LENGTH]


def _words(name: str) -> str:
    """`DivisionByZeroError` as words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Error")).lower()


def _place(statement: Statement, error: asyncpg.PostgresError) -> str:
    """The line in the query as the user wrote it: names are filled in without line breaks."""
    position = getattr(error, "position", None)
    if not position:
        return ""
    return f" (line {statement.sql.count(chr(10), 0, int(position)) + 1})"
