"""The cells of a column of an uploaded file as values of the kind that the column is."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MISSING_WORDS = ("nan", "na", "n/a", "null", "none")  # read as missing, in any case, where all else has a type
MAX_ID_LENGTH = 200
NUMBER = r"^[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|[iI][nN][fF]([iI][nN][iI][tT][yY])?)$"
INSTANT = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?( ?(Z|[+-]\d{2}(:?\d{2})?))?)?$"
_LONG_FRACTION = re.compile(r"([.,]\d{6})\d+")  # datetime knows microseconds
_INSTANT_TYPE = pa.timestamp("us", "UTC")
_FIRST_INSTANT, _END_OF_TIME = -62_135_596_800_000_000, 253_402_300_800_000_000  # years 1 and 10000, in microseconds
_MAX_EXACT = 2**53  # above it a float no longer tells whole numbers apart


class ColumnKind(StrEnum):
    """What the cells of a column are; the first three can be features, the label is what they are to foretell."""

    NUMERIC = "numeric"
    BOOLEAN = "boolean"
    CATEGORICAL = "categorical"
    TIMESTAMP = "timestamp"
    UNSUPPORTED = "unsupported"
    LABEL = "label"


class Unfit(ValueError):
    """A cell is not what it should be.

    Attributes
    ----------
    position : int, 0 for the first cell of the array
    """

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.reason = reason


def to_kind(values: pa.Array, kind: ColumnKind) -> pa.Array:
    """Cells as values of a kind: float64, bool, string or timestamp[us, UTC]; missing ones are null.

    Parameters
    ----------
    values : pyarrow array of shape (n,)
        Text or typed.
    kind : ColumnKind
        One of the first four. Infinite numbers stay infinite, NaN becomes null.

    Raises
    ------
    Unfit
        At the first cell that is not of this kind.

    Examples
    --------
    >>> to_kind(pa.array(["1.5", "NA", " "]), ColumnKind.NUMERIC).to_pylist()
    [1.5, None, None]
    """
    values = decode(values)
    if pa.types.is_null(values.type):
        return values.cast(_TYPES[kind])
    if pa.types.is_string(values.type):
        text = blank_to_null(values)
        return text if kind is ColumnKind.CATEGORICAL else TEXT_READERS[kind](text)
    declared = declared_kind(values.type)
    if kind is ColumnKind.CATEGORICAL and declared in (ColumnKind.NUMERIC, ColumnKind.BOOLEAN):
        return to_text(values)
    if declared is not kind:
        raise Unfit(0, f"is of type {values.type}, which is not {kind}")
    return _typed(values, kind)


def _typed(values: pa.Array, kind: ColumnKind) -> pa.Array:
    if kind is ColumnKind.NUMERIC:
        return _nan_to_null(values.cast(pa.float64(), safe=False))
    if kind is ColumnKind.TIMESTAMP:
        return _to_microseconds(values)
    return values


def _to_microseconds(values: pa.Array) -> pa.Array:
    """Naive timestamps and dates are meant in UTC."""
    of_type = values.type
    aware = pa.types.is_timestamp(of_type) and of_type.tz is not None
    found = values if aware else values.cast(pa.timestamp("us"), safe=False)
    found = found.cast(_INSTANT_TYPE, safe=False)
    micros = found.cast(pa.int64())
    within = pc.and_(pc.greater_equal(micros, _FIRST_INSTANT), pc.less(micros, _END_OF_TIME))
    _require(within, "is not between the years 1 and 9999")
    return found


def to_text(values: pa.Array) -> pa.Array:
    """Cells as text: text as written, integers in decimal, whole floats without a point, booleans in lower case."""
    values = decode(values)
    if pa.types.is_floating(values.type):
        values = _nan_to_null(values.cast(pa.float64()))
        whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), float(_MAX_EXACT)))
        if pc.all(whole).as_py() is not False:
            values = values.cast(pa.int64())
    return values.cast(pa.string())


def account_ids(values: pa.Array) -> pa.Array:
    """The cells of the id column, never inferred: text as written, integers in decimal, floats only where whole.

    Raises
    ------
    Unfit
        At the first cell that is missing, blank, too long, holds a NUL, or is no whole number.
    """
    values = decode(values)
    if pa.types.is_null(values.type):
        raise Unfit(0, "is empty")
    if values.null_count:
        raise Unfit(_first_false(values.is_valid()), "is empty")
    ids = values if pa.types.is_string(values.type) else _whole_numbers(values).cast(pa.string())
    _require(pc.not_equal(pc.utf8_trim_whitespace(ids), ""), "is empty")
    _require(pc.less_equal(pc.utf8_length(ids), MAX_ID_LENGTH), f"is longer than {MAX_ID_LENGTH} characters")
    _require(pc.invert(pc.match_substring(ids, "\0")), "holds a NUL")
    return ids


def _whole_numbers(values: pa.Array) -> pa.Array:
    """Numbers as integers; a float above 2^53 no longer tells accounts apart."""
    if pa.types.is_integer(values.type):
        return values
    if pa.types.is_decimal(values.type):
        _require(pc.equal(pc.floor(values), values), "is not a whole number")
        return values.cast(pa.decimal128(38, 0), safe=False)
    if not pa.types.is_floating(values.type):
        raise Unfit(0, f"is of type {values.type}; text or whole numbers are needed")
    values = values.cast(pa.float64())
    _require(pc.equal(pc.floor(values), values), "is not a whole number")
    _require(pc.less(pc.abs(values), float(_MAX_EXACT)), "is a float too large to be exact")
    return values.cast(pa.int64())


def declared_kind(of_type: pa.DataType) -> ColumnKind | None:
    """What the type of typed cells says; None where all of them are missing."""
    types = pa.types
    if types.is_null(of_type):
        return None
    if types.is_integer(of_type) or types.is_floating(of_type) or types.is_decimal(of_type):
        return ColumnKind.NUMERIC
    if types.is_boolean(of_type):
        return ColumnKind.BOOLEAN
    if types.is_timestamp(of_type) or types.is_date(of_type):
        return ColumnKind.TIMESTAMP
    return ColumnKind.UNSUPPORTED


def decode(values: pa.Array) -> pa.Array:
    """Dictionaries, large and view strings as plain ones."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
        values = values.cast(pa.string())
    return values


def blank_to_null(text: pa.Array) -> pa.Array:
    """Cells without the blanks around them; null where nothing is left."""
    trimmed = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)


def _without_words(text: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_in(pc.utf8_lower(text), pa.array(MISSING_WORDS)), None, text)


def _text_to_numbers(text: pa.Array) -> pa.Array:
    try:
        numbers = pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        text = _without_words(text)
        holds = pc.match_substring_regex(text, NUMBER)
        if pc.all(holds).as_py() is False:
            raise Unfit(_first_false(holds), "is not a number") from None
        numbers = pc.cast(text, pa.float64())
    return _nan_to_null(numbers)


def _nan_to_null(numbers: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_nan(numbers), None, numbers)


def _text_to_booleans(text: pa.Array) -> pa.Array:
    lower = _without_words(pc.utf8_lower(text))
    holds = pc.is_in(lower, pa.array(["true", "false", None]))
    if pc.all(holds).as_py() is False:
        raise Unfit(_first_false(holds), "is neither true nor false")
    return pc.equal(lower, "true")


def _text_to_instants(text: pa.Array) -> pa.Array:
    text = _without_words(text)
    holds = pc.match_substring_regex(text, INSTANT)
    if pc.all(holds).as_py() is False:
        raise Unfit(_first_false(holds), "is not an ISO 8601 date or timestamp")
    encoded = text.dictionary_encode()
    parsed = [parse_instant(each) for each in encoded.dictionary.to_pylist()]
    if None in parsed:
        holds = pa.array([each is not None for each in parsed]).take(encoded.indices)
        raise Unfit(_first_false(holds), "is not a date that exists")
    return pa.array(parsed, _INSTANT_TYPE).take(encoded.indices)


def parse_instant(text: str) -> datetime | None:
    """In UTC; where no zone is given, UTC is meant."""
    try:
        found = datetime.fromisoformat(_LONG_FRACTION.sub(r"\1", text).replace(" Z", "Z").replace(" +", "+"))
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _require(holds: pa.Array, reason: str) -> None:
    if pc.all(holds).as_py() is False:
        raise Unfit(_first_false(holds), reason)


def _first_false(holds: pa.Array) -> int:
    """The position of the first cell that is known and false."""
    return int(np.flatnonzero(~holds.fill_null(True).to_numpy(zero_copy_only=False))[0])


TEXT_READERS: dict[ColumnKind, Callable[[pa.Array], pa.Array]] = {
    ColumnKind.NUMERIC: _text_to_numbers,
    ColumnKind.BOOLEAN: _text_to_booleans,
    ColumnKind.TIMESTAMP: _text_to_instants,
}


_TYPES = {
    ColumnKind.NUMERIC: pa.float64(),
    ColumnKind.BOOLEAN: pa.bool_(),
    ColumnKind.CATEGORICAL: pa.string(),
    ColumnKind.TIMESTAMP: _INSTANT_TYPE,
}
