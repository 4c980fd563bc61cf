"""Bodies, cursors and what they refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.errors import InvalidRequest
from app.schemas.common import BodyIn, Page, decode_cursor, encode_cursor, page_of


class Body(BodyIn):
    values: list[dict[str, str | float]]


@pytest.mark.parametrize("value", ["a\x00b", "\ud800", float("nan"), float("inf")])
def test_what_the_database_cannot_hold_is_refused(value: str | float) -> None:
    with pytest.raises(ValidationError, match="/values/0/x"):
        Body.model_validate({"values": [{"x": value}]})


def test_a_key_is_looked_at_too() -> None:
    with pytest.raises(ValidationError, match="NUL"):
        Body.model_validate({"values": [{"x\x00": 1.0}]})


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.text(st.characters(codec="utf-8", exclude_characters="\x00")))
def test_a_cursor_comes_back_as_it_was(number: int, text: str) -> None:
    assert decode_cursor(encode_cursor([number, text]), int, str) == [number, text]


@pytest.mark.parametrize(
    "cursor", ["", "x", "!!", "bnVsbA", encode_cursor([1]), encode_cursor([True, "a"]), encode_cursor([2**70, "a"])]
)
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        decode_cursor(cursor, int, str)


def test_no_cursor_is_the_beginning() -> None:
    assert decode_cursor(None, int) is None


def test_a_page_names_its_last_item_where_more_were_found() -> None:
    assert page_of([7, 5, 3], 2, lambda last: last) == Page(items=[7, 5], next_cursor=encode_cursor([5]))


@pytest.mark.parametrize("found", [[], [7], [7, 5]])
def test_the_last_page_has_no_cursor(found: list[int]) -> None:
    assert page_of(found, 2, lambda last: last) == Page(items=found)
