"""The split by time: which instants judge, which tune, which teach, and which rows a version may be judged on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from app.ml.frame import Instants
from app.ml.split import SplitError

Bools = npt.NDArray[np.bool_]

_SHARE = (
    0.2  # of the instants for the test side, and of those before its gap for validation: as the random split has it
)


@dataclass(frozen=True)
class DealtInstants:
    """Instants by side, each newest first.

    Attributes
    ----------
    test : the newest matured instants
    validation : the newest of those that end before test begins; empty where that leaves none to train on
        The rows of `train` are then told apart by the side of their account.
    train : those that end before validation (or test) begins
    gap : those that end too late for the side before them, and are used for nothing
    """

    test: tuple[datetime, ...]
    validation: tuple[datetime, ...]
    train: tuple[datetime, ...]
    gap: tuple[datetime, ...]

    @property
    def development(self) -> tuple[datetime, ...]:
        """The instants that a model learns from, newest first."""
        return self.validation + self.train


def deal_instants(instants: Sequence[datetime], gap: timedelta) -> DealtInstants:
    """Deal matured instants to sides; `gap` (horizon + lead + grace) lies before validation and before test.

    Parameters
    ----------
    instants : sequence of datetime
        Distinct, in any order.
    gap : timedelta
        What is told at an instant ends so much later; only what ended by a side's first instant may come before it.

    Raises
    ------
    SplitError
        Where no instant ends before the newest one: it says how far apart they would have to be.

    Examples
    --------
    >>> days = [datetime(2024, 1, 1) + timedelta(days=30 * i) for i in range(6)]
    >>> dealt = deal_instants(days, timedelta(days=30))
    >>> [len(side) for side in (dealt.test, dealt.validation, dealt.train, dealt.gap)]
    [1, 1, 4, 0]
    """
    newest_first = sorted(set(instants), reverse=True)
    for n_test in range(min(_n_of(newest_first), len(newest_first)), 0, -1):
        test = newest_first[:n_test]
        development = _ended_before(test[-1], newest_first, gap)
        if development:
            validation, train = _deal_development(development, gap)
            used = {*test, *validation, *train}
            rest = tuple(each for each in newest_first if each not in used)
            return DealtInstants(tuple(test), tuple(validation), tuple(train), rest)
    raise SplitError(
        f"a split by time needs two matured instants at least {gap.days} days apart; there are {len(newest_first)}"
    )


def _n_of(instants: Sequence[datetime]) -> int:
    return max(1, round(_SHARE * len(instants)))


def _deal_development(instants: Sequence[datetime], gap: timedelta) -> tuple[Sequence[datetime], Sequence[datetime]]:
    for n_validation in range(_n_of(instants), 0, -1):
        validation = instants[:n_validation]
        train = _ended_before(validation[-1], instants, gap)
        if train:
            return validation, train
    return (), instants


def _ended_before(first: datetime, instants: Sequence[datetime], gap: timedelta) -> list[datetime]:
    """Those that come before a side's first instant and end by it; without a horizon the gap is 0."""
    return [each for each in instants if each < first and each + gap <= first]


@dataclass(frozen=True)
class Knowledge:
    """What went into a version.

    Attributes
    ----------
    information_end : the latest as_of + lead + horizon + grace of its development rows; None in undated data
    by_account : it was split at random, so that rows of accounts it never used are fair at any instant
    """

    information_end: datetime | None
    by_account: bool


def fair_rows(as_of: Instants | None, used: Bools, knowledge: Knowledge) -> Bools:
    """Which rows are fair to a version: STATISTICS.md section 4.

    Parameters
    ----------
    as_of : ndarray of shape (n,) or None
        datetime64 in UTC; None in undated data.
    used : boolean ndarray of shape (n,)
        The row's account is on the train or validation side of the random split.
    knowledge : Knowledge
        Of the version.

    Returns
    -------
    boolean ndarray of shape (n,)
    """
    fair = ~used if knowledge.by_account else np.zeros(used.size, dtype=np.bool_)
    if as_of is not None and knowledge.information_end is not None:
        fair |= as_of >= np.datetime64(knowledge.information_end.astimezone(UTC).replace(tzinfo=None), "us")
    return fair
