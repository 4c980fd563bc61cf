"""Options into request bodies: the same checks as over HTTP, told as wrong usage."""

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    B = TypeVar("B", bound=BaseModel)


def changes(**options: Any) -> dict[str, Any]:
    """The options that were given; those left out come from the dataset, the settings, the code."""
    return {name: value for name, value in options.items() if value is not None}


def parse_params(params: Sequence[str] | None, model_type: str | None) -> dict[str, Any]:
    """`--param max_depth=4` as a parameter of the model asked for, `xgboost_params.max_depth=4` of the one named."""
    if not params:
        return {}
    pairs = [text.partition("=") for text in params]
    for key, separator, _ in pairs:
        if not (key and separator):
            raise typer.BadParameter(f"'{key}' is not of the form KEY=VALUE.", param_hint="--param")
    given: dict[str, dict[str, Any]] = {}
    for key, _, text in pairs:
        of_model, _, name = key.rpartition(".")
        given.setdefault(of_model or f"{model_type or 'xgboost'}_params", {})[name] = _value(text)
    return given


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def parse_version(name: str | None) -> str | None:
    """A version's number or its name in the registry, as over HTTP."""
    from app.schemas.common import VERSION_PATTERN

    if name is not None and not re.fullmatch(VERSION_PATTERN, name):
        raise typer.BadParameter(f"'{name}' is no version: give a number, or champion, challenger or latest.")
    return name


def request(kind: "type[B]", **fields: Any) -> "B":
    """A request body of the fields that were given; what it does not accept is wrong usage, exit code 2."""
    from pydantic import ValidationError

    from app.refusals import refusal_words

    try:
        return kind.model_validate({name: value for name, value in fields.items() if value not in (None, {})})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        words = refusal_words(first)
        raise typer.BadParameter(f"{place}: {words}" if place else words) from None


def parse_document(kind: Any, text: str) -> Any:
    """The config or body that a file's text is, of a type or a union of types.

    Raises
    ------
    InvalidRequest
        As over HTTP, naming the fields that can't be accepted.
    """
    from pydantic import TypeAdapter, ValidationError

    from app.errors import InvalidRequest
    from app.refusals import explain_refusal

    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        at = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidRequest(f"The description is not valid JSON{at}.", hint="Mend the file.") from error
    try:
        return TypeAdapter(kind).validate_python(document)
    except ValidationError as error:
        items = [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        raise explain_refusal(items, document) from error
