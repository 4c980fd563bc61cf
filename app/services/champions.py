"""The champions this process serves with: looked up each second, and swapped once the new one is ready."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from prometheus_client import Counter, Gauge

from app.db import Sessions, is_outage
from app.errors import BundleRefused, NothingInProduction
from app.ml.scorer import Scorer
from app.services.bundles import Bundles
from app.services.ledger import find_champion, list_champions
from app.tables import Promotion

REFUSED = Counter("holdfast_champions_refused_total", "Bundles of champions that could not be served with", ["version"])
SERVING = Gauge("holdfast_champion_version", "The version this process scores with", ["dataset_id"])

_log = logging.getLogger("holdfast.champions")


@dataclass(frozen=True)
class Champion:
    """What a process scores with: a version, the ledger's entry that made it champion, and its scorer."""

    version: int
    promotion_id: int
    provisional: bool
    scorer: Scorer


class Champions:
    """Holds a ready scorer per dataset; a bundle that is refused leaves the one before in service."""

    def __init__(self, sessions: Sessions, bundles: Bundles, *, poll_seconds: float) -> None:
        self._sessions = sessions
        self._bundles = bundles
        self._poll_seconds = poll_seconds
        self._serving: dict[int, Champion] = {}
        self._refused: set[int] = set()

    async def serving(self, dataset_id: int) -> Champion:
        """The champion of a dataset; looked up now where this process has not met one yet."""
        if dataset_id not in self._serving:
            async with self._sessions() as session:
                entry = await find_champion(session, dataset_id)
            if entry is None:
                raise NothingInProduction("This dataset has no version in Production.")
            self._serving[dataset_id] = await self._load(entry)
        return self._serving[dataset_id]

    async def refresh(self) -> None:
        """Swap in what the ledger names now, each dataset for itself."""
        async with self._sessions() as session:
            heads = await list_champions(session)
        for dataset_id, entry in heads.items():
            present = self._serving.get(dataset_id)
            if (present and present.promotion_id == entry.id) or entry.id in self._refused:
                continue
            try:
                self._serving[dataset_id] = await self._load(entry)
            except BundleRefused as refusal:
                self._refuse(entry, refusal)
            else:
                SERVING.labels(str(dataset_id)).set(entry.to_version)
                _log.info("champion swapped", extra={"dataset_id": dataset_id, "version": entry.to_version})

    async def _load(self, entry: Promotion) -> Champion:
        scorer = await self._bundles.load(entry.to_version)
        return Champion(entry.to_version, entry.id, entry.provisional, scorer)

    def _refuse(self, entry: Promotion, refusal: BundleRefused) -> None:
        """Once per entry of the ledger: a bundle that fails today fails tomorrow, until another is promoted."""
        self._refused.add(entry.id)
        REFUSED.labels(str(entry.to_version)).inc()
        _log.error("champion refused", extra={"version": entry.to_version, "detail": refusal.detail})

    @asynccontextmanager
    async def polling(self) -> AsyncIterator[None]:
        """Follow the ledger while the service runs, which begins with the champions there are."""
        await self._look()
        task = asyncio.create_task(self._poll())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._poll_seconds)
            await self._look()

    async def _look(self) -> None:
        try:
            await self.refresh()
        except Exception as error:  # noqa: BLE001 - told; the next look may find the database again
            bug = None if is_outage(error) else error
            _log.warning("ledger not readable", exc_info=bug, extra={"error": type(error).__name__})
