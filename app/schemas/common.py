"""What every body and list of the HTTP interface shares."""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from app.errors import FieldError, InvalidRequest

T = TypeVar("T")
BIGINT_MAX = 2**63 - 1
VERSION_NUMBER = "[1-9][0-9]{0,8}"
VERSION_PATTERN = f"^({VERSION_NUMBER}|champion|challenger|latest)$"

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", examples=["customers"])]
AccountId = Annotated[str, Field(min_length=1, max_length=200, examples=["A000042"])]

Explanations = Annotated[
    Literal["exact", "estimate"],
    Field(description="Whether contributions are exact SHAP values, or, of a neural net, estimated by sampling."),
]


class BodyIn(BaseModel):
    """A request body: unknown fields, NUL, lone surrogates and NaN are refused, wherever they hide."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _refuse_what_cannot_be_stored(cls, data: Any) -> Any:
        for path, value in _leaves(data, ""):
            if isinstance(value, str) and not _storable(value):
                raise ValueError(f"the text at '{path or '/'}' holds a NUL or a lone surrogate")
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"the number at '{path or '/'}' is not finite")
        return data


class BodyOut(BaseModel):
    """An answer."""

    model_config = ConfigDict(from_attributes=True, protected_namespaces=())


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _storable(value: str) -> bool:
    return not _UNSTORABLE.search(value)


def storable_text(value: object) -> object:
    """For query and path parameters: what PostgreSQL can't hold is refused here."""
    if isinstance(value, str) and not _storable(value):
        raise ValueError("NUL and lone surrogates are not allowed")
    return value


Text = Annotated[str, BeforeValidator(storable_text)]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield path, key
            yield from _leaves(inner, f"{path}/{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}/{index}")
    else:
        yield path, value


class Page(BodyOut, Generic[T]):
    """One page of a list; `next_cursor` is null on the last one."""

    items: list[T]
    next_cursor: str | None = None


def page_of(found: Sequence[T], limit: int, key: Callable[[T], int | str]) -> Page[T]:
    """The first `limit` of the items found: one more was asked for, to learn whether another page follows."""
    items = list(found[:limit])
    return Page(items=items, next_cursor=encode_cursor([key(items[-1])]) if len(found) > limit else None)


class Problem(BodyOut):
    """Any failure, as RFC 9457 has it, with a hint what to do next."""

    type: str = Field(examples=["urn:holdfast:problem:not_found"])
    title: str
    status: int
    code: str = Field(examples=["not_found"])
    detail: str
    hint: str = ""
    request_id: str = ""
    errors: list[dict[str, str]] = []


def encode_cursor(position: list[Any]) -> str:
    """An opaque cursor for the last row of a page."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, *types: type) -> list[Any] | None:
    """The position a cursor stands for; `types` are those of its parts.

    Raises
    ------
    InvalidRequest
        when the cursor is not one of ours.

    """
    if cursor is None:
        return None
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, UnicodeDecodeError, ValueError):
        position = None
    if not isinstance(position, list) or len(position) != len(types) or not all(map(_fits, position, types)):
        raise InvalidRequest(
            "The cursor is not one that this list has given.",
            hint="Take `next_cursor` of the page before, unchanged, or leave the cursor out.",
            errors=[FieldError("query/cursor", "not a cursor of this list")],
        )
    return position


def _fits(value: Any, kind: type) -> bool:
    if isinstance(value, bool) is not (kind is bool):
        return False
    if isinstance(value, int):
        return kind in (int, float, bool) and abs(value) <= BIGINT_MAX
    if isinstance(value, str):
        return kind is str and _storable(value)
    return isinstance(value, kind)
