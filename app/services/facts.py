"""Facts: files of accounts, subscriptions and events become rows that are never changed, or nothing at all."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from app.db import Sessions
from app.errors import FactsComeFromTable, FieldError, InvalidRequest
from app.schemas.events import EventsIn, Fact
from app.schemas.facts import FactsOut
from app.services.datasets import Datasets
from app.services.fact_storing import spec_of, store_facts
from app.services.upload_files import spool
from app.services.uploads import AT_ONCE, require_media
from app.tables import Revision

SHOWN_KINDS = 200  # in an answer, the commonest


class Facts:
    """Takes files of facts in."""

    def __init__(self, sessions: Sessions, datasets: Datasets, *, max_upload_bytes: int) -> None:
        self._sessions = sessions
        self._datasets = datasets
        self._max_bytes = max_upload_bytes
        self._places = asyncio.Semaphore(AT_ONCE)

    async def replace(
        self, name: str, fact: Fact, stream: AsyncIterator[bytes], *, media_type: str, actor: str
    ) -> FactsOut:
        """A new revision whose facts of this kind are those of the file alone."""
        return await self._take(name, fact, stream, media_type=media_type, actor=actor, append=False)

    async def append(
        self, name: str, fact: Fact, stream: AsyncIterator[bytes], *, media_type: str, actor: str
    ) -> FactsOut:
        """A new revision with these facts and those before; a file that was taken in already adds nothing."""
        return await self._take(name, fact, stream, media_type=media_type, actor=actor, append=True)

    async def _take(
        self, name: str, fact: Fact, stream: AsyncIterator[bytes], *, media_type: str, actor: str, append: bool
    ) -> FactsOut:
        async with self._sessions() as session:
            dataset = await self._datasets.resolve(session, name)
        spec = spec_of(dataset)
        require_media(media_type)
        _require_uploads(spec, fact)
        async with spool(stream, self._max_bytes) as path, self._places:
            taken = await store_facts(self._sessions, dataset, fact, path, actor=actor, append=append)
        return FactsOut(
            dataset=dataset.name,
            fact=fact,
            revision=taken.revision.number,
            n_rows_added=taken.n_rows if taken.is_new else 0,
            already_there=not taken.is_new,
            missing=[each for each in spec.facts if each not in (taken.revision.facts or {})],
            warnings=list(taken.warnings),
            **_told(taken.revision, fact),
        )


def _require_uploads(spec: EventsIn, fact: Fact) -> None:
    described = spec.facts.get(fact)
    if described is None:
        detail = f"Dataset {spec.name} was described without {fact}."
        raise InvalidRequest(detail, errors=[FieldError("path/fact", "not among the facts of this dataset")])
    if described.source_table is not None:
        raise FactsComeFromTable(
            f"The {fact} of {spec.name} come from {described.source_table}; they can't be sent to it."
        )


def _told(revision: Revision, fact: Fact) -> dict[str, Any]:
    facts = revision.facts or {}
    shown = {name: facts[fact][name] for name in ("n_rows", "first_at", "last_at")}
    return shown | {"kinds": facts[fact]["kinds"][:SHOWN_KINDS], "known_until": facts["known_until"]}
