"""Probe: values of a feature are instants, and some lie at or after the row's as_of."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.ml.cells import INSTANT, parse_instant
from app.ml.frame import FeatureKind
from app.ml.leaks.columns import Column
from app.ml.leaks.findings import Finding, Level
from app.ml.leaks.number_instants import DAY_US, END_OF_OPEN_US, SECOND_US, Reading, read_numbers
from app.ml.leaks.rows import LabelledRows
from app.stats.arrays import Ints


def probe_instants(column: Column, rows: LabelledRows) -> Finding | None:
    """Judge a column of instants: one value at or after its row's as_of is a leak. Undated data have none.

    Texts are read as ISO 8601 dates or timestamps, cell by cell, in UTC where no zone is given. Numbers are instants
    by the rules of `read_numbers`; the doubtful ones of these are only suspected. A date from 2100 on (9999-12-31)
    means "no end" and is passed over.

    Parameters
    ----------
    column : Column
        Booleans are passed over.
    rows : LabelledRows
        With or without as_of.
    """
    if rows.as_of_us is None or column.feature.kind is FeatureKind.BOOLEAN or not column.n_known:
        return None
    reading = _read(column, rows.as_of_us)
    if reading is None:
        return None
    instants = np.append(reading.instants_us, np.nan)[column.codes]
    late = instants >= rows.as_of_us
    if not late.any():
        return None
    name, n_late, n_instants = column.feature.name, int(late.sum()), int(np.isfinite(instants).sum())
    return Finding(
        feature=name,
        probe="instant_after_as_of",
        level=Level.CERTAIN if reading.is_sure else Level.SUSPECTED,
        evidence={
            "n_at_or_after": n_late,
            "n_at_or_after_churned": int((late & rows.churned).sum()),
            "n_instants": n_instants,
            "latest_days_after": float((instants - rows.as_of_us)[late].max() / DAY_US),
            "n_rows": rows.y.size,
        },
        sentence=f"{n_late:,} of the {n_instants:,} instants in {name} lie at or after the as_of of their row.",
        remedy=f"Leave {name} out, or give it as it was known at as_of; accept it if it is a plan known ahead.",
    )


def _read(column: Column, as_of_us: Ints) -> Reading | None:
    if column.texts is not None:
        return _read_texts(column.texts)
    return read_numbers(column.distinct, column.feature.name, int(as_of_us.min()), int(as_of_us.max()))


def _read_texts(texts: pa.Array) -> Reading | None:
    looks = np.asarray(pc.match_substring_regex(texts, INSTANT).to_numpy(zero_copy_only=False), dtype=bool)
    instants = np.full(len(texts), np.nan)
    for position in np.flatnonzero(looks):
        found = parse_instant(texts[int(position)].as_py())
        if found is not None:
            instants[position] = found.timestamp() * SECOND_US
    instants[instants >= END_OF_OPEN_US] = np.nan
    return Reading(instants, is_sure=True) if np.isfinite(instants).any() else None
