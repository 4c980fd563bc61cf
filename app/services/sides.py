"""Sides of the random split: dealt once for each account of a dataset, and kept."""

import asyncio

import numpy as np
import pyarrow as pa
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import copy_in, copy_out, take_lock
from app.ml.frame import Frame
from app.ml.split import Sides, deal_sides
from app.tables import Dataset, Side

SIDES_LOCK = 0x736964  # space of the locks under which accounts of a dataset are dealt
_DEALT = pa.schema([("account_id", pa.string()), ("side", pa.string())])


async def deal_and_store(session: AsyncSession, dataset: Dataset, frame: Frame) -> Sides:
    """The side of each row's account, in the order of the frame; accounts met for the first time are dealt now.

    In the caller's transaction and under a lock, so that two trainings never deal one account twice.
    """
    await take_lock(session, SIDES_LOCK, dataset.id)
    connection = await session.connection()
    query = "SELECT account_id, side FROM sides WHERE dataset_id = $1"
    dealt = await copy_out(connection, query, dataset.id, schema=_DEALT)
    sides, fresh = await asyncio.to_thread(_complete, dataset, frame, dealt)
    if fresh.num_rows:
        await copy_in(connection, fresh, "sides")
    return sides


async def read_used_accounts(session: AsyncSession, dataset_id: int) -> list[str]:
    """The accounts that a version split at random may have learned from."""
    query = select(Side.account_id).where(Side.dataset_id == dataset_id, Side.side != "test")
    return list((await session.scalars(query)).all())


def _complete(dataset: Dataset, frame: Frame, dealt: pa.Table) -> tuple[Sides, pa.Table]:
    """All sides, and those that were not there yet as rows of `sides`."""
    accounts = frame.accounts.to_pylist()
    known = dict(zip(dealt["account_id"].to_pylist(), dealt["side"].to_pylist(), strict=True))
    churned = np.zeros(len(accounts)) if frame.churned is None else frame.churned
    fresh: dict[str, float] = {}  # an account counts as churned where any of its rows did
    for account, label in zip(accounts, churned.tolist(), strict=True):
        if account not in known:
            fresh[account] = max(label, fresh.get(account, 0.0))
    new = list(fresh)
    given = deal_sides(new, np.array(list(fresh.values())), seed=dataset.split_seed)
    known |= dict(zip(new, given.tolist(), strict=True))
    ids = pa.array([dataset.id] * len(new), pa.int64())
    rows = pa.table({"dataset_id": ids, "account_id": pa.array(new, pa.string()), "side": pa.array(given.tolist())})
    return np.array([known[account] for account in accounts], dtype="<U10"), rows
