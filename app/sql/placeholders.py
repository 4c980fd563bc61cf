"""SQL of the user's own: told apart into tokens as PostgreSQL does, checked to be one query, its `:names` filled in."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

_TOKEN = re.compile(
    r"""
    (?P<text>     [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" )
  | (?P<comment>  --[^\r\n]* )
  | (?P<dollar>   (?P<tag>\$(?:[^\W\d]\w*)?\$) .*? (?P=tag) )
  | (?P<word>     [^\W\d][\w$]* )
  | (?P<number>   \d[\w.]* )
  | (?P<pair>     :: | := )
  | (?P<name>     :[^\W\d]\w* )
  | (?P<position> \$\d+ )
  | (?P<end>      ; )
  | (?P<space>    \s+ )
  | (?P<other>    [^'"$] )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_BEGINNINGS = ("select", "with")


class NotAQuery(ValueError):
    """The text is not one query with the names that are known; says why."""


@dataclass(frozen=True)
class Token:
    """A piece of the text; `kind` is `name` for `:as_of`, `space` for blanks and comments."""

    kind: str
    text: str


def read_tokens(sql: str) -> Iterator[Token]:
    """The text in pieces that together are the text again.

    Raises
    ------
    NotAQuery
        Where a string, a quoted name, a comment or a dollar quote is never closed.
    """
    at = 0
    while at < len(sql):
        if sql.startswith("/*", at):
            end = _end_of_comment(sql, at)
            yield Token("space", sql[at:end])
        else:
            found = _TOKEN.match(sql, at)
            if found is None:
                raise NotAQuery(f"what is opened on line {_line(sql, at)} by {sql[at]} is never closed")
            end = found.end()
            yield Token(_kind(found), found.group())
        at = end


def _kind(found: re.Match[str]) -> str:
    kind = next(kind for kind, text in found.groupdict().items() if text is not None)
    return "space" if kind == "comment" else kind


def _end_of_comment(sql: str, start: int) -> int:
    """Comments of this kind nest."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge.group() == "/*" else -1
        if not depth:
            return edge.end()
    raise NotAQuery(f"the comment opened on line {_line(sql, start)} is never closed")


def _line(sql: str, at: int) -> int:
    return sql.count("\n", 0, at) + 1


def require_query(sql: str, allowed: Sequence[str], needed: Sequence[str]) -> None:
    """Refuse what is not one SELECT that names its instant, before any database sees it.

    Raises
    ------
    NotAQuery
        Says what is wrong.
    """
    tokens = _without_end(list(read_tokens(sql)))
    said = [token for token in tokens if token.kind != "space"]
    if not said or said[0].text.lower() not in _BEGINNINGS:
        raise NotAQuery("it must begin with SELECT or WITH")
    if any(token.kind == "end" for token in said):
        raise NotAQuery("it must be one statement")
    if position := next((token.text for token in said if token.kind == "position"), None):
        raise NotAQuery(f"{position} stands for nothing; values are named: {_listed(allowed)}")
    names = {token.text[1:] for token in said if token.kind == "name"}
    if unknown := sorted(names - set(allowed)):
        raise NotAQuery(f":{unknown[0]} is not known; there is {_listed(allowed)} (write a slice as [1 : n])")
    if missing := [name for name in needed if name not in names]:
        raise NotAQuery(f"it must use {_listed(missing)}, or it would say the same at every instant")


def _without_end(tokens: list[Token]) -> list[Token]:
    """Without a last semicolon."""
    last = max((at for at, token in enumerate(tokens) if token.kind != "space"), default=None)
    if last is not None and tokens[last].kind == "end":
        return tokens[:last] + tokens[last + 1 :]
    return tokens


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f":{name}" for name in names)


def fill_in(sql: str, values: Mapping[str, datetime | int]) -> str:
    """The query with its names as literals of a definite type, on the lines on which they stand."""
    tokens = _without_end(list(read_tokens(sql)))
    return "".join(_literal(values[token.text[1:]]) if token.kind == "name" else token.text for token in tokens)


def _literal(value: datetime | int) -> str:
    if isinstance(value, datetime):
        return f"CAST('{value.isoformat()}' AS timestamptz)"
    return f"CAST({int(value)} AS integer)"
