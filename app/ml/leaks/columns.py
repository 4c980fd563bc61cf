"""One feature as the probes read it: each row's level among the distinct values, missing being a level of its own."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.ml.encoding import as_levels, as_numbers, find_column
from app.ml.frame import Feature, FeatureKind, Floats
from app.stats.arrays import Bools, Ints


@dataclass(frozen=True)
class Column:
    """The values of one feature.

    Attributes
    ----------
    feature : the feature
    values : ndarray of shape (n,); numbers, or the positions of texts in `texts`; NaN is missing
    codes : ndarray of shape (n,); the position of each value in `distinct`, `n_known` where missing
    distinct : ndarray of shape (n_known,); rising
    texts : pyarrow array of shape (n_known,) or None for numbers
    """

    feature: Feature
    values: Floats
    codes: Ints
    distinct: Floats
    texts: pa.Array | None

    @property
    def n_known(self) -> int:
        """Distinct values; missing is none of them."""
        return int(self.distinct.size)

    @property
    def missing(self) -> Bools:
        """Of shape (n,)."""
        return np.asarray(self.codes == self.n_known)

    @property
    def n_levels(self) -> int:
        """Distinct values, one more where some are missing."""
        return self.n_known + bool(self.missing.any())


def read_column(table: pa.Table, feature: Feature) -> Column:
    """Read one feature; infinite numbers are missing, as they are to the models.

    Raises
    ------
    app.ml.encoding.EncodingError
        Where the column is missing or of another kind.
    """
    column = find_column(table, feature.name)
    if feature.kind is FeatureKind.CATEGORICAL:
        encoded = as_levels(column, feature.name).dictionary_encode()
        values = np.asarray(encoded.indices.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False))
        n_known = len(encoded.dictionary)
        codes = np.where(np.isnan(values), n_known, values).astype(np.int64)
        return Column(feature, values, codes, np.arange(n_known, dtype=np.float64), encoded.dictionary)
    values = as_numbers(column, feature.name)
    distinct, codes = np.unique(values, return_inverse=True)
    return Column(feature, values, codes.astype(np.int64), distinct[~np.isnan(distinct)], None)


def read_like(table: pa.Table, column: Column) -> Floats:
    """The same feature of another table as values that compare with `column`'s: shape (n,).

    A text that `column` does not know is -1.
    """
    found = find_column(table, column.feature.name)
    if column.texts is None:
        return as_numbers(found, column.feature.name)
    texts = as_levels(found, column.feature.name)
    positions = pc.index_in(texts, column.texts, skip_nulls=True).cast(pa.float64()).fill_null(-1.0)
    return np.asarray(pc.if_else(texts.is_null(), np.nan, positions).to_numpy(zero_copy_only=False), dtype=np.float64)
