"""The two questions that training, scoring and monitoring put to a dataset: features at an instant, labels for one."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from app.errors import NoTrainingRows
from app.ml.frame import Feature, Frame
from app.schemas.events import BuiltIn
from app.schemas.scoring import RowProblem
from app.tables import Dataset, Revision

NO_LABELS = "SELECT NULL::text AS account_id, NULL::timestamptz AS as_of, NULL::boolean AS churned WHERE false"


@dataclass(frozen=True)
class MaturedInstants:
    """The instants that can be learned from.

    Attributes
    ----------
    instants : newest first; of undated data the one instant None
    n_immature : rows younger than the horizon, which are used for nothing
    warnings : sentences
    """

    instants: tuple[datetime | None, ...]
    n_immature: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelledRows:
    """Rows whose label is known, by account and then instant, and how many of those instants have none."""

    frame: Frame
    n_unlabelled: int = 0


class RowSource(Protocol):
    """The rows of one revision of a dataset, always in the order of accounts, byte for byte."""

    @property
    def features(self) -> Sequence[Feature]:
        """The columns to learn from; columns that are constant or name accounts are in the frames, not here."""

    @property
    def plan(self) -> dict[str, Any] | None:
        """What a version must keep to get the same columns again; None where they are stored."""

    @property
    def complete_until(self) -> datetime | None:
        """Up to when it is known what accounts did, where that is not the present."""

    @property
    def notes(self) -> Sequence[str]:
        """Sentences for whoever scores these rows."""

    async def frozen(self, newest: datetime | None) -> "RowSource":
        """The same rows for a training whose newest development instant this is, with the plan that it will keep."""

    def absent(self, account_id: str) -> RowProblem:
        """Why an account has no row to score."""

    async def matured(self, *, now: datetime | None) -> MaturedInstants:
        """The instants to learn from; `now` is by default the database's clock."""

    async def labelled(self, instants: Sequence[datetime | None]) -> LabelledRows:
        """The rows of these instants."""

    def active_chunks(self, *, chunk_size: int) -> AsyncIterator[Frame]:
        """The active accounts as of the newest instant, out of `chunk_size` accounts at a time."""

    async def active_instant(self) -> datetime | None:
        """The instant at which accounts are scored; None in undated data."""

    async def newest(self, account_ids: Sequence[str]) -> Frame:
        """The row to score of each of these accounts that has one; `churned` is 1 where it has left already."""

    async def earlier(self, instant: datetime, account_ids: Sequence[str]) -> list[tuple[float, Frame]]:
        """The rows of these accounts at instants before this one, the nearest first, each with how many days before."""

    async def positions(self, frame: Frame) -> npt.NDArray[np.int64] | None:
        """Where each row of a frame from `labelled` stood in its file, shape (n,); None where that is not known."""

    async def labels_query(self, as_of: datetime | None) -> str:
        """SQL of account_id, as_of and churned: what is known by now of the rows that were scored at `as_of`."""

    async def known_query(self, as_of: datetime | None) -> str:
        """The same, of what was known as they were scored."""


def label_span(described: Dataset | BuiltIn) -> timedelta:
    """From an instant to the end of what its labels tell: lead, horizon and grace."""
    return timedelta(days=described.lead_days + (described.horizon_days or 0) + described.grace_days)


def nothing_to_train_on(dataset: Dataset, revision: Revision, n_immature: int, hint: str) -> NoTrainingRows:
    """The refusal where no instant has matured labels."""
    reason = f"; {n_immature} rows are younger than the horizon" if n_immature else ""
    detail = f"Revision {revision.number} of {dataset.name} has no matured row with a label{reason}."
    return NoTrainingRows(detail, hint=hint)
