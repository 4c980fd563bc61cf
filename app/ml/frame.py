"""Account rows as columns: what every step of the pipeline takes and gives."""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats = npt.NDArray[np.float64]
Instants = npt.NDArray[np.datetime64]


class FeatureKind(StrEnum):
    """How a feature is stored in a frame: float64, bool or string, each nullable."""

    NUMERIC = "numeric"
    BOOLEAN = "boolean"
    CATEGORICAL = "categorical"


@dataclass(frozen=True)
class Feature:
    """One input of a model: its name in the dataset, its kind, and what reasons call it."""

    name: str
    kind: FeatureKind
    words: str = field(default="", compare=False)  # empty: the name's own


@dataclass(frozen=True)
class Frame:
    """Rows of accounts at an instant.

    Attributes
    ----------
    accounts : pyarrow string array of shape (n,)
    features : pyarrow table of n rows; float64, bool or string columns, nulls are missing values
    churned : ndarray of shape (n,) or None; 1 churned, 0 stayed, NaN not known yet
    as_of : pyarrow timestamp[us, UTC] array of shape (n,) or None where the dataset has no dates
    """

    accounts: pa.Array
    features: pa.Table
    churned: Floats | None = None
    as_of: pa.Array | None = None

    def __len__(self) -> int:
        return len(self.accounts)

    @property
    def instants(self) -> Instants | None:
        """The instant of each row as datetime64[us] in UTC, of shape (n,); None in undated data."""
        if self.as_of is None:
            return None
        micros = self.as_of.cast(pa.int64()).to_numpy(zero_copy_only=False)
        return np.asarray(micros).astype("datetime64[us]")

    def take(self, rows: npt.NDArray[np.integer]) -> "Frame":
        """The rows at these positions, in this order."""
        at = pa.array(rows)
        return Frame(
            accounts=self.accounts.take(at),
            features=self.features.take(at),
            churned=None if self.churned is None else self.churned[rows],
            as_of=None if self.as_of is None else self.as_of.take(at),
        )


def account_codes(accounts: pa.Array) -> npt.NDArray[np.int64]:
    """Number the accounts 0, 1, ... as they first come: shape (n,)."""
    return np.asarray(accounts.dictionary_encode().indices.to_numpy(zero_copy_only=False), dtype=np.int64)
