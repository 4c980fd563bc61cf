"""SQL that means harm: each is refused, nothing is stored here or done there, and none is a fault of ours."""

import httpx
import pytest

from app.container import Services
from tests.services.query_world import LABELS, create
from tests.services.test_query_registration import nothing_is_stored
from tests.warehouse import Warehouse

CLAUSE = "FROM shop.accounts WHERE created_at < :as_of"
ROW = f"SELECT id AS account_id, 1 AS n {CLAUSE}"

HOSTILE = {
    "several statements": f"{ROW}; DELETE FROM shop.accounts",
    "several statements, the first harmless": f"{ROW}; SELECT 1",
    "out of the brackets": f"{ROW}) TO STDOUT; DELETE FROM shop.accounts; COPY (SELECT 1",
    "out of the brackets without a semicolon": f"{ROW}) AS q, (SELECT 1",
    "out of the brackets by a comment": f"{ROW}) TO PROGRAM 'id' --",
    "DML in a CTE": f"WITH gone AS (DELETE FROM shop.accounts RETURNING id) SELECT id AS account_id, 1 AS n {CLAUSE}",
    "DML in a CTE, below": f"SELECT * FROM (WITH x AS (DELETE FROM shop.accounts RETURNING id) {ROW}) AS x",
    "update in a CTE": f"WITH x AS (UPDATE shop.accounts SET id = 'x' RETURNING 1) {ROW}",
    "COPY": "COPY shop.accounts TO PROGRAM 'id' /* :as_of */",
    "COPY behind a comment": "/* SELECT :as_of */ COPY shop.accounts TO '/tmp/x'",
    "DO": "DO $$ BEGIN DELETE FROM shop.accounts; END $$",
    "CALL": "CALL shop.wipe(:as_of)",
    "EXPLAIN ANALYZE": f"EXPLAIN ANALYZE {ROW}",
    "SET": "SET transaction_read_only = off",
    "TABLE": "TABLE shop.accounts",
    "VALUES": "VALUES (:as_of)",
    "INTO": f"SELECT id AS account_id, 1 AS n INTO stolen {CLAUSE}",
    "INTO TEMP": f"SELECT id AS account_id, 1 AS n INTO TEMP stolen {CLAUSE}",
    "FOR UPDATE": f"{ROW} FOR UPDATE",
    "FOR SHARE": f"{ROW} FOR SHARE",
    "leaves read-only": f"SELECT id AS account_id, set_config('transaction_read_only', 'off', false) AS x {CLAUSE}",
    "becomes another": f"SELECT id AS account_id, set_config('role', 'postgres', false) AS x {CLAUSE}",
    "sleeps": f"SELECT id AS account_id, pg_sleep(60)::text AS x {CLAUSE}",
    "sleeps, the timeout being off": "SELECT set_config('statement_timeout', '0', false) AS account_id,"
    f" pg_sleep(60)::text AS x {CLAUSE}",
    "reads a file": f"SELECT id AS account_id, pg_read_file('/etc/passwd') AS x {CLAUSE}",
    "reads a binary file": f"SELECT id AS account_id, pg_read_binary_file('/etc/passwd')::text AS x {CLAUSE}",
    "lists a folder": f"SELECT id AS account_id, pg_ls_dir('/') AS x {CLAUSE}",
    "imports a file": f"SELECT id AS account_id, lo_import('/etc/passwd') AS x {CLAUSE}",
    "reads passwords": "SELECT rolname AS account_id, rolpassword AS x FROM pg_authid WHERE :as_of < now()",
    "writes by a function": f"SELECT id AS account_id, shop.wipe() AS x {CLAUSE}",
    "writes as the owner of a function": f"SELECT id AS account_id, shop.wipe_as_owner() AS x {CLAUSE}",
    "counts a sequence on": f"SELECT id AS account_id, nextval('shop.numbers') AS x {CLAUSE}",
    "dollar quote left open": f"SELECT $a$ :as_of $b$ {CLAUSE}",
    "dollar quote that hides a statement": "SELECT $a$ $a$ AS x, :as_of; DELETE FROM shop.accounts --$a$",
    "string left open": f"SELECT ':as_of {CLAUSE}",
    "string of escapes": f"SELECT E'\\' AS x, :as_of ; DELETE FROM shop.accounts --' {CLAUSE}",
    "comment left open": f"{ROW} /*",
    "comment only": "-- SELECT :as_of",
    "line break of old": "SELECT :as_of -- \r; DELETE FROM shop.accounts",
    "NUL": f"{ROW} \x00",
    "surrogate": "SELECT '\ud800' AS account_id, :as_of",
    "unknown name": f"SELECT id AS account_id, :password AS x {CLAUSE}",
    "positional name": f"SELECT id AS account_id, $1 AS x {CLAUSE}",
    "nothing": "",
    "never ends": "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r)"
    " SELECT count(*) AS account_id, :as_of AS x FROM r",
    "a composite": f"SELECT id AS account_id, accounts AS x, no.such {CLAUSE}",
    "a thousand columns": f"SELECT id AS account_id, {', '.join(f'1 AS c{i}' for i in range(1000))} {CLAUSE}",
    "brackets without end": f"SELECT {'(' * 20_000}1{')' * 20_000} AS account_id, :as_of AS x",
    "divides by nothing": f"SELECT id AS account_id, 1 / (length(id) - length(id)) AS x {CLAUSE}",
    "speaks of a row": f"SELECT id AS account_id, (id || 'secret')::int AS x {CLAUSE}",
}  # fmt: skip
FUNCTIONS = """
CREATE FUNCTION shop.wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM shop.accounts; SELECT 1';
CREATE FUNCTION shop.wipe_as_owner() RETURNS int LANGUAGE sql SECURITY DEFINER
    AS 'DELETE FROM shop.accounts; SELECT 1';
CREATE SEQUENCE shop.numbers;
GRANT ALL ON SEQUENCE shop.numbers TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA shop TO reader;
GRANT CREATE ON SCHEMA public TO reader;
"""


@pytest.mark.parametrize("sql", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_sql_is_refused(
    client: httpx.AsyncClient, services: Services, warehouse: Warehouse, sql: str
) -> None:
    """The role may do more than it should, so that it is the session that stops it."""
    warehouse.execute(FUNCTIONS)
    n_rows = warehouse.ask("SELECT count(*) FROM shop.accounts")
    body = {"features_sql": sql, "labels_sql": LABELS, "statement_timeout_seconds": 1}
    answer = await create(client, warehouse, **body)
    assert answer.status_code == 422, answer.text
    assert "secret" not in answer.text
    assert await nothing_is_stored(services)
    assert warehouse.ask("SELECT count(*) FROM shop.accounts") == n_rows
    assert warehouse.ask("SELECT last_value FROM shop.numbers WHERE is_called") is None
    assert warehouse.ask("SELECT count(*) FROM pg_class WHERE relname = 'stolen'") == 0


async def test_settings_that_a_query_changes_do_not_last(client: httpx.AsyncClient, warehouse: Warehouse) -> None:
    """The first query takes the timeout off and strings apart; the second one is stopped and read as ever."""
    features = (
        "SELECT id AS account_id, set_config('statement_timeout', '0', false) AS a,"
        f" set_config('standard_conforming_strings', 'off', false) AS b {CLAUSE}"
    )
    slow = f"SELECT id AS account_id, pg_sleep(60) IS NULL AS churned {CLAUSE}"
    answer = await create(client, warehouse, features_sql=features, labels_sql=slow, statement_timeout_seconds=1)
    assert answer.json()["detail"] == "labels_sql: it took longer than statement_timeout_seconds."
    odd = f"SELECT id AS account_id, '\\' = '' OR left_at < :as_of + interval '30 days' AS churned {CLAUSE}"
    answer = await create(client, warehouse, features_sql=features, labels_sql=odd)
    assert answer.status_code == 201, answer.text
