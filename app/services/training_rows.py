"""What a version learns from and is judged on: labelled rows, each on its side, and a description of the split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.errors import Conflict
from app.ml.frame import Feature, Floats, Frame, Instants
from app.ml.instants import Bools, DealtInstants, deal_instants
from app.ml.split import SIDE_NAMES, Sides, SplitError
from app.services.row_source import LabelledRows, MaturedInstants, RowSource, label_span
from app.tables import Dataset

SplitName = Literal["random", "temporal"]


@dataclass(frozen=True)
class TrainingRows:
    """What a version may learn from and be judged on.

    Attributes
    ----------
    frame : labelled rows, by account and then instant
    sides : ndarray of shape (n,): 'train', 'validation' or 'test' of each row
    features : the columns to learn from; columns that are constant or name accounts are in the frame, not here
    profile_rows : boolean ndarray of shape (n,): development rows that look like those that are scored
    as_of : the newest instant of the test side; None in undated data
    information_end : what the development rows tell ends here; None in undated data
    source : where the rows are from; its plan gives these columns again
    warnings : sentences
    split : how the rows were split, as plain data
    """

    frame: Frame
    sides: Sides
    features: tuple[Feature, ...]
    profile_rows: Bools
    as_of: datetime | None
    information_end: datetime | None
    source: RowSource
    warnings: list[str]
    split: dict[str, Any]

    @property
    def known(self) -> Bools:
        """Rows whose account is among the development rows too: boolean, of shape (n,)."""
        return among(self.frame.accounts, self.learned_accounts)

    @property
    def learned_accounts(self) -> pa.Array:
        """The accounts of the development rows."""
        return self.frame.accounts.filter(pa.array(self.sides != "test")).unique()


@dataclass(frozen=True)
class ChosenInstants:
    """Which instants are read, and what was left aside."""

    dealt: DealtInstants | None  # None: split at random, among the accounts of one instant
    instants: tuple[datetime | None, ...]
    n_immature: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def development(self) -> list[datetime]:
        """The instants that a model learns from."""
        if self.dealt is not None:
            return list(self.dealt.development)
        return [each for each in self.instants if each is not None]

    @property
    def needs_accounts(self) -> bool:
        """The side of an account has a say."""
        return self.dealt is None or not self.dealt.validation

    @classmethod
    def like(cls, split: Mapping[str, Any]) -> "ChosenInstants":
        """Those that a split was described with."""
        told = {
            side: tuple(datetime.fromisoformat(each) for each in split.get("instants", {}).get(side, ()))
            for side in (*SIDE_NAMES, "gap")
        }
        if split["kind"] == "temporal":
            dealt = DealtInstants(told["test"], told["validation"], told["train"], told["gap"])
            return cls(dealt, dealt.test + dealt.development)
        as_of = split["as_of"]
        return cls(None, (None if as_of is None else datetime.fromisoformat(as_of),))


async def choose_instants(
    dataset: Dataset, source: RowSource, split: SplitName | None, now: datetime | None
) -> ChosenInstants:
    """By time where that is asked for or two instants allow it, else the newest matured instant alone.

    Raises
    ------
    Conflict
        Where a split by time is asked for that the instants don't allow.
    """
    found = await source.matured(now=now)
    if split != "random":
        try:
            return _by_time(dataset, found)
        except SplitError as error:
            if split == "temporal":
                hint = 'Train with `"split": "random"`, or bring more instants.'
                raise Conflict(f"The rows of {dataset.name} can't be split by time: {error}.", hint=hint) from error
    return ChosenInstants(
        None, found.instants[:1], found.n_immature, (*found.warnings, *random_warning(found.instants[0]))
    )


def _by_time(dataset: Dataset, found: MaturedInstants) -> ChosenInstants:
    dealt = deal_instants([each for each in found.instants if each is not None], label_span(dataset))
    return ChosenInstants(dealt, dealt.test + dealt.development, found.n_immature, found.warnings)


def random_warning(newest: datetime | None) -> list[str]:
    """What a split at random does not show, where the data are dated."""
    if newest is None:
        return []
    return [
        f"Split at random among the accounts of one instant, {newest.isoformat()}: the figures do not show how the "
        "model ages, and flatter one whose world changes."
    ]


def make_training_rows(
    dataset: Dataset, source: RowSource, labelled: LabelledRows, chosen: ChosenInstants, by_account: Sides | None
) -> TrainingRows:
    """Put sides, warnings and description to the rows."""
    frame = labelled.frame
    churned = np.zeros(len(frame)) if frame.churned is None else frame.churned
    sides = row_sides(frame, chosen, by_account)
    newest = max(chosen.development, default=None)
    rows = TrainingRows(
        frame=frame,
        sides=sides,
        features=tuple(source.features),
        profile_rows=profile_marks(frame, sides, newest),
        as_of=chosen.instants[0],
        information_end=None if newest is None else newest + label_span(dataset),
        source=source,
        warnings=[*chosen.warnings, *_left_out(dataset, labelled, chosen)],
        split={},
    )
    rows.split.update(_describe(dataset, rows, chosen, churned, labelled.n_unlabelled))
    return rows


def among(accounts: pa.Array, some: pa.Array) -> Bools:
    """Which accounts are some of these: boolean, of shape (n,)."""
    return np.asarray(pc.is_in(accounts, value_set=some).to_numpy(zero_copy_only=False))


def row_instants(frame: Frame) -> Instants:
    """The instant of each row as datetime64[us] in UTC, of shape (n,); NaT in undated data."""
    found = frame.instants
    return np.full(len(frame), np.datetime64("NaT"), dtype="datetime64[us]") if found is None else found


def _moment(instant: datetime) -> np.datetime64:
    return np.datetime64(instant.astimezone(UTC).replace(tzinfo=None), "us")


def profile_marks(frame: Frame, sides: Sides, newest: datetime | None) -> Bools:
    """Development rows that look like those that are scored: boolean, of shape (n,).

    Of dated data those of `newest`, the newest instant of development; of undated data those that stayed.
    """
    if newest is not None:
        return np.asarray((sides != "test") & (row_instants(frame) == _moment(newest)))
    churned = np.zeros(len(frame)) if frame.churned is None else frame.churned
    return np.asarray((sides != "test") & (churned == 0))


def row_sides(frame: Frame, chosen: ChosenInstants, by_account: Sides | None) -> Sides:
    """By instant; where there is none to spare for validation, by account among those that teach."""
    if chosen.dealt is None:
        return np.full(len(frame), "train", dtype="<U10") if by_account is None else by_account
    at = row_instants(frame)
    sides = np.full(len(frame), "train", dtype="<U10")
    sides[_at_instants(at, chosen.dealt.test)] = "test"
    sides[_at_instants(at, chosen.dealt.validation)] = "validation"
    if by_account is not None:
        sides[(sides == "train") & (by_account == "validation")] = "validation"
    return sides


def _at_instants(at: Instants, instants: Sequence[datetime]) -> npt.NDArray[np.bool_]:
    return np.isin(at, np.array([_moment(each) for each in instants], dtype="datetime64[us]"))


def _left_out(dataset: Dataset, labelled: LabelledRows, chosen: ChosenInstants) -> list[str]:
    found = []
    if chosen.n_immature:
        found.append(f"{chosen.n_immature} rows are younger than the horizon of {dataset.horizon_days} days: not used.")
    if labelled.n_unlabelled:
        n_rows = len(labelled.frame) + labelled.n_unlabelled
        found.append(f"{labelled.n_unlabelled} of {n_rows} rows have no label yet: not used.")
    if chosen.dealt is not None and chosen.dealt.gap:
        days = ", ".join(each.date().isoformat() for each in chosen.dealt.gap)
        found.append(f"Instants whose horizon reaches into the side after them, used for nothing: {days}.")
    return found


def _describe(
    dataset: Dataset, rows: TrainingRows, chosen: ChosenInstants, churned: Floats, n_unlabelled: int
) -> dict[str, Any]:
    """The split as plain data: which instants went where, and how many rows, accounts and churners each side has."""
    accounts = rows.frame.accounts
    sides = {side: _describe_side(accounts, churned, rows.sides == side) for side in SIDE_NAMES}
    described: dict[str, Any] = {
        "kind": "random" if chosen.dealt is None else "temporal",
        "seed": dataset.split_seed,
        "as_of": None if rows.as_of is None else rows.as_of.isoformat(),
        "information_end": None if rows.information_end is None else rows.information_end.isoformat(),
        "sides": sides,
        "matured_at": _matured_at(dataset, chosen),
        "left_out": {"n_immature": chosen.n_immature, "n_unlabelled": n_unlabelled},
    }
    if chosen.dealt is not None:
        on_test = rows.sides == "test"
        described["gap_days"] = label_span(dataset).days
        described["instants"] = {
            side: [each.isoformat() for each in getattr(chosen.dealt, side)] for side in (*SIDE_NAMES, "gap")
        }
        sides["test"]["n_known"] = int((on_test & rows.known).sum())
        sides["test"]["n_new"] = int((on_test & ~rows.known).sum())
    return described


def _matured_at(dataset: Dataset, chosen: ChosenInstants) -> dict[str, str]:
    """By instant: when the labels of its rows became final."""
    dated = sorted(each for each in chosen.instants if each is not None)
    if dataset.horizon_days is None:
        return {}
    return {each.isoformat(): (each + label_span(dataset)).isoformat() for each in dated}


def _describe_side(accounts: pa.Array, churned: Floats, on_side: Bools) -> dict[str, Any]:
    labels = churned[on_side]
    return {
        "n_rows": int(labels.size),
        "n_accounts": pc.count_distinct(accounts.filter(pa.array(on_side))).as_py(),
        "n_churned": int(labels.sum()),
        "churn_rate": float(labels.mean()) if labels.size else None,
    }
