"""Numbers that can only be instants: yyyymmdd, or seconds or milliseconds since 1970."""

import re
from dataclasses import dataclass

import numpy as np

from app.ml.frame import Floats

SECOND_US, DAY_US = 1e6, 86_400e6  # microseconds
END_OF_OPEN_US = 4_102_444_800e6  # the year 2100 in microseconds since 1970; later dates mean "no end"
MIN_DISTINCT = 5  # at most one whole number in 27 is a day as yyyymmdd, or (of round ones) a midnight; 27**-5 = 7e-8
NAMED_YEARS = (30.0, 10.0)  # before and after as_of; all numbers of a column that is named like an instant
UNNAMED_YEARS = (15.0, 3.0)  # 1.2e9 to 1.8e9 seconds in 2024, tighter than sums of money are
_FIRST_DAY_US = -2_208_988_800e6  # the year 1900
_MILLI_US = 1e3
_YEAR_US = 365.25 * DAY_US
_WORDS = frozenset({"at", "date", "datetime", "epoch", "time", "timestamp", "ts"})


@dataclass(frozen=True)
class Reading:
    """A column read as instants.

    Attributes
    ----------
    instants_us : ndarray of shape (n distinct values,); microseconds since 1970, NaN where it is none or an open end
    is_sure : no ordinary column looks like this one
    """

    instants_us: Floats
    is_sure: bool


def read_numbers(distinct: Floats, name: str, first_as_of_us: float, last_as_of_us: float) -> Reading | None:
    """The distinct numbers of a column as instants, or None where they may be ordinary numbers.

    All must be whole; zeros count as missing, and so does one value from 2100 on. Then they are instants

    - surely, where all are days written yyyymmdd (1900 to 2099), or all are midnights in seconds or milliseconds
      since 1970, and there are 5 of them or the column is named so (its last word is `at`, `date`, `ts` ...);
    - surely, where the column is named so and all are seconds, or milliseconds, from 30 years before the first as_of
      to 10 after the last;
    - perhaps, where there are 5 of them, all seconds or milliseconds from 15 years before to 3 after.

    Parameters
    ----------
    distinct : ndarray of shape (m,)
        Without NaN.
    name : str
        Of the column.
    first_as_of_us, last_as_of_us : float
        Microseconds since 1970.
    """
    if not (distinct == np.floor(distinct)).all():
        return None
    filled, named, window = distinct != 0, named_like_instant(name), (first_as_of_us, last_as_of_us)
    for instants in (days_us(distinct), distinct * SECOND_US, distinct * _MILLI_US):
        closed = np.where(filled & (instants < END_OF_OPEN_US), instants, np.nan)
        n_open = int((instants >= END_OF_OPEN_US).sum())
        known = closed[np.isfinite(closed)]
        if not known.size or n_open > 1 or known.size + n_open < filled.sum():
            continue
        is_sure = _is_sure(known, named=named, window=window)
        if is_sure is not None:
            return Reading(closed, is_sure)
    return None


def _is_sure(known: Floats, *, named: bool, window: tuple[float, float]) -> bool | None:
    """None where the instants may be ordinary numbers."""
    many = known.size >= MIN_DISTINCT
    if (many or named) and known.min() >= _FIRST_DAY_US and (known % DAY_US == 0).all():
        return True
    if named and _within(known, window, NAMED_YEARS):
        return True
    return False if many and _within(known, window, UNNAMED_YEARS) else None


def _within(known: Floats, window: tuple[float, float], years: tuple[float, float]) -> bool:
    low, high = window[0] - years[0] * _YEAR_US, window[1] + years[1] * _YEAR_US
    return bool(known.min() >= low and known.max() <= high)


def named_like_instant(name: str) -> bool:
    """Whether the last word of a column's name is one for an instant; `revenue_to_date` is none.

    Examples
    --------
    >>> [named_like_instant(name) for name in ("cancelledAt", "last_login_ts", "format", "revenue_to_date")]
    [True, True, False, False]
    """
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower().replace("-", "_").replace(" ", "_").split("_")
    return words[-1] in _WORDS and words[-2:] != ["to", "date"]


def days_us(numbers: Floats) -> Floats:
    """Whole numbers written yyyymmdd as microseconds since 1970: shape (m,), NaN where there is no such day.

    Parameters
    ----------
    numbers : ndarray of shape (m,)
        NaN stays NaN; years 1900 to 9999.

    Examples
    --------
    >>> days_us(np.array([19700102.0, 19700231.0])).tolist()
    [86400000000.0, nan]
    """
    plausible = (numbers >= 1900_01_01) & (numbers <= 9999_12_31)
    whole = np.where(plausible, numbers, 1970_01_01).astype(np.int64)
    year, month, day = whole // 10_000, whole // 100 % 100, whole % 100
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    exists = (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]") == months)
    return np.where(plausible & exists, days.astype(np.int64) * DAY_US, np.nan)
