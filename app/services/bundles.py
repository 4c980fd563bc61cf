"""Bundles: their bytes in the database, and scorers made of them, checked and kept in the process."""

import asyncio
import hashlib
from collections import OrderedDict

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions
from app.errors import BundleRefused, NotFound
from app.ml.bundle import Bundle, BundleError
from app.ml.scorer import Scorer
from app.tables import Bundle as BundleRow
from app.tables import TrainedModel, Version

MAX_KEPT = 4  # champion, challenger, and two that are compared or judged


class Bundles:
    """Loads each bundle once a process; the newest few stay."""

    def __init__(self, sessions: Sessions, *, n_threads: int) -> None:
        self._sessions = sessions
        self._n_threads = n_threads
        self._kept: OrderedDict[str, Scorer] = OrderedDict()

    async def store(self, session: AsyncSession, data: bytes) -> str:
        """Write bytes, once however often they come, and say their SHA-256; on the caller's transaction."""
        sha256 = hashlib.sha256(data).hexdigest()
        await session.execute(insert(BundleRow).values(sha256=sha256, bytes=data).on_conflict_do_nothing())
        return sha256

    async def load(self, version: int) -> Scorer:
        """The scorer of a version: bytes that match their hash and score the stored examples as at training."""
        query = select(TrainedModel.bundle_sha256).join(Version).where(Version.version == version)
        async with self._sessions() as session:
            sha256 = (await session.execute(query)).scalar_one_or_none()
        if sha256 is None:
            raise NotFound(f"There is no version {version}.")
        return await self.load_bytes(sha256)

    async def load_bytes(self, sha256: str) -> Scorer:
        """The scorer of the bundle with this hash."""
        if sha256 in self._kept:
            self._kept.move_to_end(sha256)
            return self._kept[sha256]
        async with self._sessions() as session:
            query = select(BundleRow.bytes).where(BundleRow.sha256 == sha256)
            data = (await session.execute(query)).scalar_one_or_none()
        scorer = await asyncio.to_thread(_make_scorer, data, sha256, self._n_threads)
        self._kept[sha256] = scorer
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return scorer


def _make_scorer(data: bytes | None, sha256: str, n_threads: int) -> Scorer:
    """Check, read and try the bytes; any doubt and they are refused."""
    if data is None or hashlib.sha256(data).hexdigest() != sha256:
        raise BundleRefused(f"The stored bytes of bundle {sha256[:12]} are not those that were written.")
    try:
        scorer = Scorer(Bundle.from_bytes(data), n_threads=n_threads)
        scorer.probe()
    except BundleError as error:
        raise BundleRefused(f"Bundle {sha256[:12]} can't be scored with: {error}.") from error
    return scorer
