"""What every verb shares: settings, services on the store, failures as sentences and exit codes."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:  # the services cost seconds to import, `--help` should not
    from app.container import Services
    from app.settings import Settings

T = TypeVar("T")
Json = dict[str, Any]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout instead of tables.")]
DatasetOption = Annotated[
    str | None, typer.Option("--dataset", help="The dataset; may be left out while there is only one.")
]


def read_settings() -> "Settings":
    """The settings of the environment; a wrong one ends the command with a sentence."""
    from pydantic import ValidationError

    from app.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "the settings"
        fail({"detail": f"{name}: {first['msg']}.", "hint": "See the configuration table of the README."})


def guarded(action: Callable[[], T]) -> T:
    """Carry out `action`; an expected failure ends the command with its sentence and exit code 1."""
    from app.db import UNREACHABLE
    from app.errors import HoldfastError

    try:
        return action()
    except HoldfastError as error:
        fail(error.to_problem())
    except UNREACHABLE as error:
        fail({"detail": f"The database can't be reached: {error}", "hint": "Check DATABASE_URL and the server."})
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def run(action: "Callable[[Services], Awaitable[T]]") -> T:
    """Carry out `action` with services on the store."""
    settings = read_settings()
    if "log_level" not in settings.model_fields_set:
        settings = settings.model_copy(update={"log_level": "ERROR"})  # the terminal is for the answer
    logging.basicConfig(level=settings.log_level, format="%(name)s: %(message)s")
    return guarded(lambda: asyncio.run(_with_services(settings, action)))


async def _with_services(settings: "Settings", action: "Callable[[Services], Awaitable[T]]") -> T:
    from app.container import open_services, open_store

    async with open_store(settings) as url, open_services(settings, url) as services:
        return await action(services)


def fail(problem: Json) -> NoReturn:
    """End the command with a problem's sentence and hint on stderr, and exit code 1."""
    from app.cli.commands import hint_for
    from app.cli.terminal import show_problem

    show_problem(problem | {"hint": hint_for(problem.get("code", ""), problem.get("hint", ""))})
    raise typer.Exit(1)


def print_json(document: object) -> None:
    """One JSON document on stdout."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
