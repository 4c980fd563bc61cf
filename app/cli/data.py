"""A file's rows into a dataset."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from app.cli.options import request
from app.container import Services
from app.errors import DatasetExists, DatasetInUse, NotFound
from app.schemas.datasets import SnapshotsIn
from app.schemas.events import Fact

CHUNK_BYTES = 1024**2
NEEDED = ("id_column", "label_column", "positive_value")


async def import_file(
    services: Services, file: Path, name: str, described: dict[str, Any], *, append: bool, actor: str
) -> dict[str, Any]:
    """What was understood of the file; the dataset is made where there is none of that name."""
    is_new = not await _exists(services, name)
    if is_new:
        await services.datasets.create(_description(name, described), actor=actor)
    elif described:
        raise DatasetExists(
            f"There is a dataset {name} already.",
            hint=f"Leave its description out: holdfast import {file} --name {name} (with --append: beside its rows).",
        )
    take = services.uploads.append if append else services.uploads.replace
    try:
        rows = await take(name, _pieces(file), media_type="application/octet-stream", actor=actor)
    except BaseException:
        if is_new:  # the next call describes it anew
            with suppress(DatasetInUse):
                await services.datasets.delete(name)
        raise
    return rows.model_dump(mode="json")


async def import_facts(
    services: Services, file: Path, name: str, fact: Fact, *, append: bool, actor: str
) -> dict[str, Any]:
    """What was understood of a file of facts; the dataset is there already."""
    take = services.facts.append if append else services.facts.replace
    told = await take(name, fact, _pieces(file), media_type="application/octet-stream", actor=actor)
    return told.model_dump(mode="json")


async def _exists(services: Services, name: str) -> bool:
    try:
        await services.datasets.get(name)
    except NotFound:
        return False
    return True


def _description(name: str, described: dict[str, Any]) -> SnapshotsIn:
    missing = [f"--{option.replace('_', '-')}" for option in NEEDED if option not in described]
    if missing:
        raise typer.BadParameter(f"There is no dataset {name} yet; to make it, give {', '.join(missing)}.")
    return request(SnapshotsIn, name=name, **described)


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as rows:
        while piece := await asyncio.to_thread(rows.read, CHUNK_BYTES):
            yield piece
