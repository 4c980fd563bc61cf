"""Lists as the caller wants them: JSON by the page, or CSV."""

import csv
import io
import json
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Protocol, TypeVar, Union, get_args, get_origin

from fastapi import Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from app.schemas.common import Page

Format = Annotated[Literal["json", "csv"], Query(alias="format", description="`csv` for spreadsheets and pipes.")]
T = TypeVar("T", bound=BaseModel)
CSV_CONTENT: dict[str, Any] = {"content": {"text/csv": {"schema": {"type": "string"}}}}


def answer(found: Page[T] | AsyncIterator[bytes], form: str, item: type[T]) -> Page[T] | Response:
    """A page as JSON or CSV (its next cursor in a header), or a stream that is CSV already."""
    if not isinstance(found, Page):
        return StreamingResponse(found, media_type="text/csv")
    if form == "json":
        return found
    headers = {"X-Next-Cursor": found.next_cursor} if found.next_cursor else None
    return Response(_to_csv(found.items, item), media_type="text/csv", headers=headers)


class Tabular(Protocol):
    """A document that can also be told as the lines of a table."""

    def rows(self) -> Iterable[BaseModel]:
        """The lines, all of one kind."""


D = TypeVar("D", bound=Tabular)


def answer_document(found: D, form: str, row: type[BaseModel]) -> D | Response:
    """A document as JSON, or its rows as CSV."""
    if form == "json":
        return found
    return Response(_to_csv(list(found.rows()), row), media_type="text/csv")


def _to_csv(items: Sequence[BaseModel], item: type[BaseModel]) -> str:
    text = io.StringIO()
    nested = {name: inner for name in item.model_fields if (inner := _inner_model(item, name))}
    names = [
        column
        for name in item.model_fields
        for column in ([f"{name}_{each}" for each in nested[name].model_fields] if name in nested else [name])
    ]
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    for each in items:
        writer.writerow(_cells(each.model_dump(mode="json"), nested))
    return text.getvalue()


def _inner_model(item: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The model of a field that holds another one, or none."""
    annotation = item.model_fields[name].annotation
    if get_origin(annotation) not in (None, Union, UnionType):
        return None  # a list is a cell of its own
    kinds = (annotation, *get_args(annotation))
    return next((each for each in kinds if isinstance(each, type) and issubclass(each, BaseModel)), None)


def _cells(row: Mapping[str, Any], nested: Collection[str]) -> dict[str, object]:
    """One value a cell: a nested object has a column for each of its fields, a list is JSON."""
    told: dict[str, object] = {}
    for name, value in row.items():
        if name in nested:
            told |= {f"{name}_{inner}": _cell(each) for inner, each in (value or {}).items()}
        else:
            told[name] = _cell(value)
    return told


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
