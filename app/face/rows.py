"""Labelled rows on frames: whose they are, of when, and on which side; dealt as the service deals its own."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import pyarrow as pa

from app.face.columns import FrameError, Rows, Values, n_rows, read_accounts, read_columns, read_instants, read_labels
from app.face.columns import read_sides as read_given_sides
from app.ml.frame import Feature, Frame
from app.ml.instants import Bools, Knowledge, deal_instants
from app.ml.split import Sides, SplitError, deal_sides
from app.services.training_rows import ChosenInstants, among, profile_marks, random_warning, row_instants, row_sides

_GAPLESS = (
    "Split by time without a gap: where a label tells of days after its instant, give horizon_days, or what happened "
    "on the test side has been learned from.",
)


@dataclass(frozen=True)
class LabelledFrame:
    """Rows to learn from and to be judged on.

    Attributes
    ----------
    frame : every column of X, with labels
    features : one for each column
    named : the caller has said whose rows they are; else each row is an account of its own
    """

    frame: Frame
    features: tuple[Feature, ...]
    named: bool


@dataclass(frozen=True)
class DealtFrame:
    """The rows with a side each.

    Attributes
    ----------
    frame, sides : n rows, maybe fewer than were given
    profile_rows : boolean ndarray of shape (n,)
    knowledge : what goes into a model of the development rows
    warnings : sentences
    """

    frame: Frame
    sides: Sides
    profile_rows: Bools
    knowledge: Knowledge
    warnings: tuple[str, ...]

    @property
    def learned_accounts(self) -> pa.Array:
        """The accounts of the development rows."""
        return self.frame.accounts.filter(pa.array(self.sides != "test")).unique()


def read_labelled(X: Rows, y: Values, accounts: Values | None, as_of: Values | None) -> LabelledFrame:
    """The caller's rows, checked.

    Raises
    ------
    FrameError
        Where something is missing, not aligned, or of no kind that can be used.
    """
    table, features = read_columns(X)
    if not features or not n_rows(X):
        raise FrameError(f"X has {n_rows(X)} rows and {len(features)} columns; there is nothing to learn from")
    frame = make_frame(table, X, accounts, as_of)
    return LabelledFrame(replace(frame, churned=read_labels(y, X)), features, accounts is not None)


def make_frame(table: pa.Table, X: Rows, accounts: Values | None, as_of: Values | None) -> Frame:
    """Columns that were read already with what else is known of their rows; without accounts each is its own."""
    numbers = pa.array([str(number) for number in range(n_rows(X))], pa.string())
    return Frame(
        accounts=numbers if accounts is None else read_accounts(accounts, X),
        features=table,
        as_of=None if as_of is None else read_instants(as_of, X),
    )


def deal(
    rows: LabelledFrame, split: Literal["random", "temporal"] | None, *, horizon_days: int, split_seed: int
) -> DealtFrame:
    """Deal rows 60/20/20: by time where two instants allow it, else at random among the accounts of the newest one.

    Raises
    ------
    SplitError
        Where a split by time is asked for that the instants don't allow.
    """
    chosen = _choose(rows.frame, split, horizon_days)
    if chosen.dealt is None and rows.frame.as_of is not None:
        at = row_instants(rows.frame)
        rows = replace(rows, frame=rows.frame.take(np.flatnonzero(at == at.max())))
    by_account = _by_account(rows.frame, split_seed) if chosen.needs_accounts else None
    sides = row_sides(rows.frame, chosen, by_account)
    if chosen.dealt is not None:  # rows in the gap before a side are used for nothing
        used = np.isin(row_instants(rows.frame), _moments(chosen))
        at_used = np.flatnonzero(used)
        rows, sides = replace(rows, frame=rows.frame.take(at_used)), sides[at_used]
    return _dealt(rows, sides, horizon_days, chosen.warnings)


def keep_sides(rows: LabelledFrame, sides: Values, X: Rows, *, horizon_days: int) -> DealtFrame:
    """The sides that the caller has dealt.

    Raises
    ------
    FrameError
        Where rows of one account, in data without instants, both teach and judge.
    """
    given = read_given_sides(sides, X)
    dealt = _dealt(rows, given, horizon_days, ())
    if rows.frame.as_of is None and not dealt.knowledge.by_account:
        raise FrameError("sides puts rows of one account both on the test side and on another; deal whole accounts")
    return dealt


def _choose(frame: Frame, split: str | None, horizon_days: int) -> ChosenInstants:
    if frame.as_of is None:
        if split == "temporal":
            raise SplitError("a split by time needs as_of, the instant of each row")
        return ChosenInstants(None, (None,))
    instants: list[datetime] = sorted(frame.as_of.unique().to_pylist(), reverse=True)
    if split != "random":
        try:
            dealt = deal_instants(instants, timedelta(days=horizon_days))
            return ChosenInstants(dealt, dealt.test + dealt.development, warnings=_GAPLESS if not horizon_days else ())
        except SplitError:
            if split == "temporal":
                raise
    return ChosenInstants(None, (instants[0],), warnings=tuple(random_warning(instants[0])))


def _moments(chosen: ChosenInstants) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    return np.array([each.replace(tzinfo=None) for each in chosen.instants if each], dtype="datetime64[us]")


def _by_account(frame: Frame, seed: int) -> Sides:
    """The side of each row's account; one counts as churned where any of its rows did."""
    names, codes = np.unique(np.asarray(frame.accounts.to_pylist(), dtype=object), return_inverse=True)
    churned = np.zeros(names.size)
    np.maximum.at(churned, codes, np.asarray(frame.churned, dtype=np.float64))
    return deal_sides(names.tolist(), churned, seed=seed)[codes]


def _dealt(rows: LabelledFrame, sides: Sides, horizon_days: int, warnings: tuple[str, ...]) -> DealtFrame:
    frame, development = rows.frame, sides != "test"
    newest = None
    if frame.as_of is not None and development.any():
        newest = max(frame.as_of.filter(pa.array(development)).unique().to_pylist())
    learned = frame.accounts.filter(pa.array(development)).unique()
    parted = not bool(among(frame.accounts, learned)[~development].any())
    end = None if newest is None else newest + timedelta(days=horizon_days)
    marks = profile_marks(frame, sides, newest)
    return DealtFrame(frame, sides, marks, Knowledge(end, by_account=parted), warnings)
