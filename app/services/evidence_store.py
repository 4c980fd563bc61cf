"""What evaluations were judged by, kept beside them, so that they can be judged again."""

import asyncio

import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.ml.evidence_bytes import evidence_from_bytes, evidence_to_bytes
from app.ml.judgement import Evidence
from app.stats.arrays import Ints
from app.tables import StoredEvidence

# Rows whose evidence is kept: at 46 bytes a row and 16 for each of at most 200,000 active accounts, under 100 MB. Of
# more only the keys of the churners are kept: 8 bytes each.
MAX_ROWS = 2_000_000


async def pack(evidence: Evidence, keys: Ints) -> bytes | None:
    """The evidence as bytes, made before a transaction begins; None where it has too many rows to keep."""
    if evidence.y.size > MAX_ROWS:
        return None
    return await asyncio.to_thread(evidence_to_bytes, evidence, keys)


def store(session: AsyncSession, evaluation_id: int, content: bytes | None, churner_keys: Ints) -> None:
    """Write packed evidence on the transaction of its evaluation, with the keys of the churners it was judged by."""
    kept = np.unique(churner_keys).astype("<i8").tobytes()
    session.add(StoredEvidence(evaluation_id=evaluation_id, content=content, churner_keys=kept))


async def read(session: AsyncSession, evaluation_id: int) -> tuple[Evidence, Ints] | None:
    """The evidence and the keys of its rows; None for an evaluation of before it was kept, or of too many rows."""
    query = select(StoredEvidence.content).where(StoredEvidence.evaluation_id == evaluation_id)
    content = await session.scalar(query)
    return None if content is None else await asyncio.to_thread(evidence_from_bytes, content)
