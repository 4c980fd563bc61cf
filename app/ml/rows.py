"""Rows made ready for training: sorted by account, encoded, dealt to folds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.ml.encoding import FittedEncoder, Matrix, find_column, fit_encoder
from app.ml.fingerprint import training_data_hash
from app.ml.frame import Feature, Floats, Frame, account_codes
from app.ml.profile import FeatureProfile, profile_features
from app.ml.split import SIDE_NAMES, Sides, deal_folds


class TrainingError(ValueError):
    """These rows can't be trained on; the message says what is missing."""


@dataclass(frozen=True)
class Rows:
    """Rows sorted by account and encoded.

    Attributes
    ----------
    frame, y, sides : the n rows with their labels and sides
    fitted : the encoder and what it left out
    X : ndarray of shape (n, d)
    in_profile : boolean ndarray of shape (n,); the rows that make the drift profile
    folds : ndarray of shape (development rows,)
    order : ndarray of shape (n,); where each row stands in the caller's frame
    data_hash : SHA-256 of the rows
    """

    frame: Frame
    y: Floats
    sides: Sides
    fitted: FittedEncoder
    X: Matrix
    in_profile: npt.NDArray[np.bool_]
    folds: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    data_hash: str

    @cached_property
    def development(self) -> npt.NDArray[np.bool_]:
        """The rows a model may learn from: boolean, of shape (n,)."""
        return np.asarray(self.sides != "test")

    @cached_property
    def known(self) -> npt.NDArray[np.bool_]:
        """The rows whose account a model may have learned from, at whatever instant: boolean, of shape (n,)."""
        learned = self.frame.accounts.filter(pa.array(self.development)).unique()
        return np.asarray(pc.is_in(self.frame.accounts, value_set=learned).to_numpy(zero_copy_only=False))

    @cached_property
    def feature_profiles(self) -> tuple[FeatureProfile, ...]:
        """How the features look that the encoder kept, in the rows that make the drift profile."""
        profiled = self.frame.take(np.flatnonzero(self.in_profile))
        return profile_features(profiled, [each.feature for each in self.fitted.encoder.features])

    @cached_property
    def account_codes(self) -> npt.NDArray[np.int64]:
        """A number for each account, the same on all of its rows: shape (n,)."""
        return account_codes(self.frame.accounts)

    def in_caller_order(self, values: Floats, some: npt.NDArray[np.bool_]) -> Floats:
        """Values of some of the rows, in the order those rows have in the caller's frame."""
        return values[self._caller_order(some)]

    def from_caller_order(self, values: Floats, some: npt.NDArray[np.bool_]) -> Floats:
        """The way back: values of some of the caller's rows, in the order those rows have here."""
        found = np.empty_like(values)
        found[self._caller_order(some)] = values
        return found

    def _caller_order(self, some: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        return np.argsort(self.order[some], kind="stable")

    @property
    def churn_rate(self) -> float:
        """Of the development rows, 0..1."""
        return float(self.y[self.development].mean())


def require_usable(frame: Frame, sides: Sides, profile_rows: npt.NDArray[np.bool_]) -> None:
    """Refuse rows without a label, and sides without churners or without others.

    Raises
    ------
    TrainingError
        With the side that lacks them.
    """
    if len(sides) != len(frame) or len(profile_rows) != len(frame):
        raise TrainingError(f"{len(frame)} rows need as many sides and profile marks")
    if frame.churned is None or not np.isin(frame.churned, (0.0, 1.0)).all():
        raise TrainingError("every row needs a label: churned or stayed")
    for side in SIDE_NAMES:
        n_churned, n = int(frame.churned[sides == side].sum()), int((sides == side).sum())
        if n_churned in (0, n):
            raise TrainingError(f"the {side} side has {n_churned} churners in {n} rows: it needs both kinds")


def prepare(
    frame: Frame,
    sides: Sides,
    features: Sequence[Feature],
    profile_rows: npt.NDArray[np.bool_],
    *,
    n_folds: int,
    seed: int,
) -> Rows:
    """Sort by account, freeze the encoder on the development rows, deal these to folds.

    Raises
    ------
    app.ml.encoding.EncodingError, app.ml.split.SplitError
        Where no feature is left, or an account can't be dealt.
    """
    order = _sorted_order(frame, sides)
    rows, sides = frame.take(order), sides[order]
    development = sides != "test"
    fitted = fit_encoder(rows.features.filter(pa.array(development)), features)
    y = np.asarray(rows.churned, dtype=np.float64)
    in_profile = profile_rows[order] & development
    return Rows(
        frame=rows,
        y=y,
        sides=sides,
        fitted=fitted,
        X=fitted.encoder.encode(rows.features),
        in_profile=in_profile if in_profile.any() else development,
        folds=deal_folds(rows.accounts.filter(pa.array(development)), y[development], n_folds, seed=seed),
        order=order,
        data_hash=training_data_hash(rows, sides, features),
    )


def _sorted_order(frame: Frame, sides: Sides) -> npt.NDArray[np.int64]:
    """The order of rows by account, byte for byte, then by instant; rows that share both, by all that they hold."""
    keys = [frame.accounts] if frame.as_of is None else [frame.accounts, frame.as_of.cast(pa.int64())]
    if _table(keys).group_by(_names(keys)).aggregate([]).num_rows < len(frame):
        features = [find_column(frame.features, name) for name in sorted(frame.features.column_names)]
        keys += [pa.array(sides), pa.array(frame.churned), *features]
    order = pc.sort_indices(_table(keys), sort_keys=[(name, "ascending") for name in _names(keys)])
    return np.asarray(order.to_numpy(), dtype=np.int64)


def _table(columns: Sequence[pa.Array]) -> pa.Table:
    return pa.table(columns, names=_names(columns))


def _names(columns: Sequence[pa.Array]) -> list[str]:
    return [str(at) for at in range(len(columns))]
