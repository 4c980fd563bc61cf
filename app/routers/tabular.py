"""Lists as the caller wants them: JSON by the page, or CSV."""

import csv
import io
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Annotated, Any, Literal, Protocol, TypeVar

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
    return Response(_to_csv(found.items, list(item.model_fields)), media_type="text/csv", headers=headers)


class Tabular(Protocol):
    """A document that can also be told as the lines of a table."""

    def rows(self) -> Iterable[BaseModel]:
        """The lines, all of one kind."""


D = TypeVar("D", bound=Tabular)


def answer_document(found: D, form: str, row: type[BaseModel]) -> D | Response:
    """A document as JSON, or its rows as CSV."""
    if form == "json":
        return found
    return Response(_to_csv(list(found.rows()), list(row.model_fields)), media_type="text/csv")


def _to_csv(items: Sequence[BaseModel], names: list[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    for each in items:
        writer.writerow({name: _cell(value) for name, value in each.model_dump(mode="json").items()})
    return text.getvalue()


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
