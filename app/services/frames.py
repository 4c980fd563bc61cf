"""Rows of a dataset as frames: for training, for scoring everybody, for single accounts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from app.db import Sessions
from app.services.built_rows import open_built_rows
from app.services.row_source import RowSource
from app.services.sides import deal_and_store
from app.services.stored_rows import StoredRows
from app.services.training_rows import ChosenInstants, TrainingRows, choose_instants, make_training_rows
from app.tables import Dataset, Revision


class Frames:
    """Opens the rows of a revision, however its dataset keeps them, and deals those that are labelled to sides."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def open(self, dataset: Dataset, revision: Revision, plan: Mapping[str, Any] | None = None) -> RowSource:
        """The rows of a revision; where features are built, by the `plan` that a version keeps, or by a new one."""
        if dataset.kind == "events":
            return await open_built_rows(self._sessions, dataset, revision, plan)
        return StoredRows(self._sessions, dataset, revision)

    async def training_rows(
        self,
        dataset: Dataset,
        source: RowSource,
        *,
        split: Literal["random", "temporal"] | None = None,
        like: Mapping[str, Any] | None = None,
        now: datetime | None = None,
        keep_sides: bool = True,
    ) -> TrainingRows:
        """The labelled rows, each on its side; by default split by time where two instants have matured.

        With `like`, the stored description of a split, the rows are those of its instants again, whatever has
        matured since. Accounts that the random split has not met yet are dealt a side here, and keep it, unless
        somebody only looks.
        """
        chosen = await choose_instants(dataset, source, split, now) if like is None else ChosenInstants.like(like)
        source = await source.frozen(max(chosen.development, default=None))
        labelled = await source.labelled(chosen.instants)
        async with self._sessions() as session:
            by_account = await deal_and_store(session, dataset, labelled.frame) if chosen.needs_accounts else None
            if keep_sides:
                await session.commit()
        return make_training_rows(dataset, source, labelled, chosen, by_account)
