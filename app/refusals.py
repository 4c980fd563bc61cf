"""What pydantic refuses of a request, as a problem that points at fields as the caller wrote them."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.errors import FieldError, InvalidRequest


def explain_refusal(items: Sequence[Mapping[str, Any]], body: Any) -> InvalidRequest:
    """The problem of what was found wrong; each place begins with where the value came from, such as `body`."""
    fields = [_field_error(item, body) for item in items]
    first = fields[0] if fields else FieldError("", "invalid")
    detail = f"{len(fields)} field(s) can't be accepted; the first: {first.pointer or 'the body'}: {first.detail}"
    return InvalidRequest(detail, errors=fields[:100])


def _field_error(item: Mapping[str, Any], body: Any) -> FieldError:
    if item["type"] == "json_invalid":
        return FieldError("", f"not valid JSON at character {item['loc'][-1]}")
    return FieldError(_pointer(_without_tags(item, body)), refusal_words(item))


def refusal_words(item: Mapping[str, Any]) -> str:
    """What pydantic says, without its own words of what kind of error it is."""
    if item["type"] == "extra_forbidden":
        return "is not known here; look for a typing error, or leave it out"
    return str(item["msg"]).removeprefix("Value error, ")


def _without_tags(item: Mapping[str, Any], body: Any) -> tuple[str | int, ...]:
    """The place as the caller wrote it: pydantic also names which of several models it took a part of the body for."""
    location: tuple[str | int, ...] = item["loc"]
    if location[0] != "body":
        return location
    kept: list[str | int] = [location[0]]
    for at, part in enumerate(location[1:], 1):
        if part == "[key]" and not isinstance(body, dict | list):
            continue  # what pydantic adds where it is the key that is wrong
        is_absent_field = item["type"] == "missing" and at == len(location) - 1
        if isinstance(body, dict) and part not in body and not is_absent_field:
            continue
        kept.append(part)
        inside = (isinstance(body, dict) and part in body) or (isinstance(body, list) and part in range(len(body)))
        body = body[part] if inside else None
    return tuple(kept)


def _pointer(location: tuple[str | int, ...]) -> str:
    """A JSON pointer into the body, or where else the value came from: `query/limit`."""
    place, *rest = location
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in rest]
    escaped = "/".join(part.encode("utf-8", "replace").decode() for part in parts)
    return f"/{escaped}" if place == "body" and parts else "" if place == "body" else f"{place}/{escaped}"
