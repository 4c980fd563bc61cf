"""The test-set ledger: who has been judged on the rows that judge now."""

import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from app.db import take_lock
from app.ml.judgement import Look
from app.stats.arrays import Ints
from app.stats.looks import count_looks
from app.tables import Evaluation, StoredEvidence, Version

LOOK_LOCK = 0x6C6F6F  # space of the locks under which a dataset's verdicts are written


async def lock_looks(session: AsyncSession, dataset_id: int) -> None:
    """Let one verdict of a dataset be written at a time, so that no two are the same look."""
    await take_lock(session, LOOK_LOCK, dataset_id)


async def find_look(session: AsyncSession, dataset_id: int, bundle_sha256: str, churner_keys: Ints) -> Look:
    """Which look at these churners a bundle's is: advisory verdicts count, for they show the same figures."""
    return await session.run_sync(_find_look, dataset_id, bundle_sha256, churner_keys)


def _find_look(session: Session, dataset_id: int, own: str, churner_keys: Ints) -> Look:
    """The keys of one verdict are read at a time: of many looks at many churners they would be gigabytes."""
    sha256 = Evaluation.bundle_sha256
    query = select(sha256, Evaluation.id).join(Version, Version.version == Evaluation.version)
    query = query.where(Version.dataset_id == dataset_id).order_by(sha256 != own, sha256, Evaluation.id)
    keys_of = select(StoredEvidence.churner_keys)
    looks = (
        (each, number, _keys_or_none(session.scalar(keys_of.where(StoredEvidence.evaluation_id == number))))
        for each, number in session.execute(query).all()
    )
    return Look(*count_looks(churner_keys, looks, own))


async def count_new(session: AsyncSession, version: int, churner_keys: Ints) -> int:
    """How many of these churners the version has not been judged by in a verdict that counts."""
    query = select(StoredEvidence.churner_keys).join(Evaluation, Evaluation.id == StoredEvidence.evaluation_id)
    query = query.where(Evaluation.version == version, Evaluation.advisory.is_(False))
    seen = [_keys(stored) for stored in await session.scalars(query)]
    return int(np.setdiff1d(churner_keys, np.concatenate([np.empty(0, np.int64), *seen])).size)


def _keys(stored: bytes) -> Ints:
    return np.frombuffer(stored, dtype="<i8").astype(np.int64)


def _keys_or_none(stored: bytes | None) -> Ints | None:
    return None if stored is None else _keys(stored)
