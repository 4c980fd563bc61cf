"""From typed columns to the one float32 matrix that every kind of model reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.ml.frame import Feature, FeatureKind

Matrix = npt.NDArray[np.float32]
Value = float | str | bool | None

MAX_LEVELS = 50  # of one feature; rarer levels share the row of zeros with unseen ones
MIN_LEVEL_COUNT = 5  # a level seen less often can't be learned
_MAX_DISTINCT_SHARE = 0.5  # text that is mostly distinct names accounts, it doesn't describe them
_FLOAT32_MAX = float(np.finfo(np.float32).max)


class EncodingError(ValueError):
    """The rows can't be encoded; the message names the column."""


@dataclass(frozen=True)
class EncodedFeature:
    """How one feature becomes columns.

    Attributes
    ----------
    feature : the feature
    levels : for a categorical feature, a column each, 1 where the value is this level
    has_missing : whether development rows had missing values
        A categorical feature then has one more column, 1 where missing. Otherwise a missing value, which no
        model has seen, becomes `fill` (numbers) or zeros (levels).
    fill : the median of the development rows; 0 for a categorical feature
    """

    feature: Feature
    levels: tuple[str, ...] = ()
    has_missing: bool = False
    fill: float = 0.0

    @property
    def width(self) -> int:
        """How many columns it has."""
        if self.feature.kind is FeatureKind.CATEGORICAL:
            return len(self.levels) + self.has_missing
        return 1

    def to_json(self) -> dict[str, Any]:
        """Plain data for the bundle."""
        return {
            "name": self.feature.name,
            "kind": self.feature.kind.value,
            "levels": list(self.levels),
            "has_missing": self.has_missing,
            "fill": self.fill,
            **({"words": self.feature.words} if self.feature.words else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "EncodedFeature":
        """Read what `to_json` wrote."""
        feature = Feature(str(data["name"]), FeatureKind(data["kind"]), str(data.get("words", "")))
        levels = tuple(str(level) for level in data["levels"])
        return cls(feature, levels, bool(data["has_missing"]), float(data["fill"]))


@dataclass(frozen=True)
class Encoder:
    """Frozen at training: features in, float32 columns out.

    Numbers stay numbers, infinite ones and those beyond float32 become missing (NaN). Booleans become 0, 1 or NaN.
    A categorical feature becomes one column of 0 and 1 for each level known at training; a level unseen then has
    zeros in all of them.
    """

    features: tuple[EncodedFeature, ...]

    @property
    def width(self) -> int:
        """How many columns the matrix has."""
        return sum(each.width for each in self.features)

    @property
    def owners(self) -> npt.NDArray[np.int64]:
        """For each column, the position of the feature it came from: shape (d,)."""
        return np.repeat(np.arange(len(self.features)), [each.width for each in self.features])

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features, in order."""
        return tuple(each.feature.name for each in self.features)

    def encode(self, table: pa.Table) -> Matrix:
        """The matrix of shape (n, d), C-contiguous, of a table that holds these features and maybe more.

        Raises
        ------
        EncodingError
            Where a column is missing or of another kind.
        """
        matrix = np.zeros((table.num_rows, self.width), dtype=np.float32)
        at = 0
        for each in self.features:
            _encode_into(matrix[:, at : at + each.width], each, find_column(table, each.feature.name))
            at += each.width
        return matrix

    def encode_row(self, row: Mapping[str, Value]) -> Matrix:
        """The matrix of shape (1, d) of one account; a feature that is left out is missing."""
        matrix = np.zeros((1, self.width), dtype=np.float32)
        at = 0
        for each in self.features:
            _encode_value(matrix[0, at : at + each.width], each, row.get(each.feature.name))
            at += each.width
        return matrix

    def to_json(self) -> list[dict[str, Any]]:
        """Plain data for the bundle."""
        return [each.to_json() for each in self.features]

    @classmethod
    def from_json(cls, data: Sequence[Mapping[str, Any]]) -> "Encoder":
        """Read what `to_json` wrote."""
        return cls(tuple(EncodedFeature.from_json(each) for each in data))


def find_column(table: pa.Table, name: str) -> pa.Array:
    """One column as one array, plain values instead of a dictionary.

    Raises
    ------
    EncodingError
        Where the table has no such column, or two.
    """
    if table.column_names.count(name) != 1:
        raise EncodingError(f"the column {name!r} is needed once")
    column = table.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def as_numbers(column: pa.Array, name: str) -> npt.NDArray[np.float64]:
    """A numeric or boolean column as float64 of shape (n,), NaN where missing, infinite or beyond float32."""
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or kind == pa.null()):
        raise EncodingError(f"the column {name!r} must hold numbers, not {kind}")
    numbers = pc.cast(column, pa.float64(), safe=False)
    values = np.array(numbers.fill_null(np.nan).to_numpy(zero_copy_only=False), dtype=np.float64)
    values[~(np.abs(values) <= _FLOAT32_MAX)] = np.nan
    return values


def as_levels(column: pa.Array, name: str) -> pa.Array:
    """A text column as large strings.

    Raises
    ------
    EncodingError
        Where the column holds something else.
    """
    kind = column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.null()):
        raise EncodingError(f"the column {name!r} must hold text, not {kind}")
    return pc.cast(column, pa.large_string())


def _encode_into(columns: Matrix, each: EncodedFeature, values: pa.Array) -> None:
    if each.feature.kind is not FeatureKind.CATEGORICAL:
        numbers = as_numbers(values, each.feature.name)
        columns[:, 0] = numbers if each.has_missing else np.where(np.isnan(numbers), each.fill, numbers)
        return
    levels = as_levels(values, each.feature.name)
    codes = pc.index_in(levels, pa.array(each.levels, pa.large_string()), skip_nulls=True)
    codes = np.asarray(codes.fill_null(-1).to_numpy(zero_copy_only=False))
    if each.has_missing:
        codes = np.where(levels.is_null().to_numpy(zero_copy_only=False), len(each.levels), codes)
    known = np.flatnonzero(codes >= 0)
    columns[known, codes[known]] = 1


def _encode_value(columns: Matrix, each: EncodedFeature, value: Value) -> None:
    if each.feature.kind is FeatureKind.CATEGORICAL:
        if value is None and each.has_missing:
            columns[-1] = 1
        elif isinstance(value, str) and value in each.levels:
            columns[each.levels.index(value)] = 1
        elif value is not None and not isinstance(value, str):
            raise EncodingError(f"the feature {each.feature.name!r} must be text, not {value!r}")
        return
    if isinstance(value, str):
        raise EncodingError(f"the feature {each.feature.name!r} must be a number, not text")
    usable = value is not None and abs(value) <= _FLOAT32_MAX
    columns[0] = value if usable else (np.nan if each.has_missing else each.fill)


@dataclass(frozen=True)
class FittedEncoder:
    """An encoder, and a sentence for each feature that was left out."""

    encoder: Encoder
    warnings: tuple[str, ...]


def fit_encoder(table: pa.Table, features: Sequence[Feature]) -> FittedEncoder:
    """Freeze levels, medians and missingness on the development rows; labels play no part.

    Features that say nothing (one value only) or name accounts (text mostly distinct) are left out, with a warning.

    Raises
    ------
    EncodingError
        Where no feature is left.
    """
    kept: list[EncodedFeature] = []
    warnings: list[str] = []
    for feature in features:
        fit = _fit_levels if feature.kind is FeatureKind.CATEGORICAL else _fit_numbers
        found = fit(feature, find_column(table, feature.name))
        if isinstance(found, str):
            warnings.append(found)
        else:
            kept.append(found)
    if not kept:
        raise EncodingError("no feature is left to learn from: " + "; ".join(warnings))
    return FittedEncoder(Encoder(tuple(kept)), tuple(warnings))


def _fit_numbers(feature: Feature, column: pa.Array) -> EncodedFeature | str:
    numbers = as_numbers(column, feature.name)
    present = numbers[~np.isnan(numbers)]
    has_missing = present.size < numbers.size
    if not present.size or (not has_missing and present.min() == present.max()):
        return f"{feature.name} was left out: it has the same value in every development row"
    return EncodedFeature(feature, (), has_missing, float(np.median(present)))


def _fit_levels(feature: Feature, column: pa.Array) -> EncodedFeature | str:
    levels = as_levels(column, feature.name)
    n_present = len(levels) - levels.null_count
    counts = sorted(((c["counts"], c["values"]) for c in levels.drop_null().value_counts().to_pylist()), key=_by_count)
    if n_present >= 20 and len(counts) > _MAX_DISTINCT_SHARE * n_present:
        return f"{feature.name} was left out: {len(counts)} different texts in {n_present} rows name accounts"
    frequent = [level for count, level in counts if count >= MIN_LEVEL_COUNT][:MAX_LEVELS]
    has_missing = 0 < n_present < len(levels)
    if not frequent or (len(counts) == 1 and not has_missing):
        return f"{feature.name} was left out: it has no two values frequent enough to learn from"
    return EncodedFeature(feature, tuple(sorted(frequent)), has_missing)


def _by_count(pair: tuple[int, str]) -> tuple[int, str]:
    """Most frequent first; equals by text, so that the order of rows has no effect."""
    return -pair[0], pair[1]
