"""Names in SQL: found where PostgreSQL would find code, and nowhere else."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sql.placeholders import NotAQuery, fill_in, read_tokens, require_query

VALUES: dict[str, datetime | int] = {"as_of": datetime(2024, 3, 1, tzinfo=UTC), "horizon_days": 60}
AS_OF = "CAST('2024-03-01T00:00:00+00:00' AS timestamptz)"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT :as_of", f"SELECT {AS_OF}"),
        ("SELECT :as_of::date, x::int", f"SELECT {AS_OF}::date, x::int"),
        ("SELECT f(days => :horizon_days)", "SELECT f(days => CAST(60 AS integer))"),
        ("SELECT f(days:=:horizon_days)", "SELECT f(days:=CAST(60 AS integer))"),
        ("SELECT a[1:2], b[1 : 2]", "SELECT a[1:2], b[1 : 2]"),
        ("SELECT ':as_of', 'it''s :as_of'", "SELECT ':as_of', 'it''s :as_of'"),
        (r"SELECT E'\':as_of', :as_of", rf"SELECT E'\':as_of', {AS_OF}"),
        (r"SELECT '\', :as_of, '\'", rf"SELECT '\', {AS_OF}, '\'"),
        (r"SELECT like'\', :as_of", rf"SELECT like'\', {AS_OF}"),
        ('SELECT ":as_of", "a"":as_of"', 'SELECT ":as_of", "a"":as_of"'),
        ("SELECT 1 -- :as_of\n, :as_of", f"SELECT 1 -- :as_of\n, {AS_OF}"),
        ("SELECT /* :as_of /* :as_of */ :as_of */ :as_of", f"SELECT /* :as_of /* :as_of */ :as_of */ {AS_OF}"),
        ("SELECT $$ :as_of $$, :as_of", f"SELECT $$ :as_of $$, {AS_OF}"),
        ("SELECT $a$ :as_of $b$ $$ $a$, :as_of", f"SELECT $a$ :as_of $b$ $$ $a$, {AS_OF}"),
        ("SELECT a$b$, :as_of, c$b$", f"SELECT a$b$, {AS_OF}, c$b$"),
        ("SELECT :as_of; -- done", f"SELECT {AS_OF} -- done"),
        ("SELECT é:as_of", f"SELECT é{AS_OF}"),
    ],
)
def test_names_are_filled_in_where_code_is(sql: str, expected: str) -> None:
    assert fill_in(sql, VALUES) == expected


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("", "must begin with SELECT or WITH"),
        ("-- SELECT :as_of", "must begin with SELECT or WITH"),
        ("DELETE FROM t WHERE x = :as_of", "must begin with SELECT or WITH"),
        ("/* SELECT */ DROP TABLE t", "must begin with SELECT or WITH"),
        ("(SELECT :as_of)", "must begin with SELECT or WITH"),
        ("SELECT :as_of; SELECT 1", "must be one statement"),
        ("SELECT :as_of;;", "must be one statement"),
        ("SELECT 1", "must use :as_of"),
        ("SELECT ':as_of'", "must use :as_of"),
        ("SELECT :as_of, :horizon", ":horizon is not known; there is :as_of"),
        ("SELECT :as_of, a[1:n]", "write a slice as"),
        ("SELECT :as_of, $1", "\\$1 stands for nothing"),
        ("SELECT :as_of,\n 'x", "opened on line 2 by ' is never closed"),
        ('SELECT :as_of, "x', 'by " is never closed'),
        ("SELECT :as_of /* /* */", "comment opened on line 1 is never closed"),
        ("SELECT :as_of, $a$ x $b$", r"by \$ is never closed"),
    ],
)
def test_what_is_not_one_query_is_refused(sql: str, why: str) -> None:
    with pytest.raises(NotAQuery, match=why):
        require_query(sql, ("as_of",), needed=("as_of",))


@given(st.text(alphabet="ae:'\"$;-/* \n\\E1_[]é", max_size=60))
def test_pieces_are_together_the_text(sql: str) -> None:
    try:
        tokens = list(read_tokens(sql))
    except NotAQuery:
        return
    assert "".join(token.text for token in tokens) == sql


def test_long_text_takes_no_long_time() -> None:
    sql = "SELECT :as_of, '" + "''" * 40_000 + "' || " + "(" * 10_000 + "$" * 0 + "/*" * 1000 + "*/" * 1000
    assert fill_in(sql, VALUES).count("CAST") == 1
