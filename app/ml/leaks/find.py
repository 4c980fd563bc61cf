"""All leak probes over all features of a frame."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from app.ml.frame import Feature, Frame
from app.ml.leaks.columns import Column, read_column
from app.ml.leaks.filling import probe_filling
from app.ml.leaks.findings import Finding, sort_findings
from app.ml.leaks.instants import probe_instants
from app.ml.leaks.lead_time import Lagged, probe_lead_time
from app.ml.leaks.order import probe_id_order, probe_row_order
from app.ml.leaks.recoding import probe_recoding
from app.ml.leaks.rows import MAX_ROWS, LabelledRows, labelled_positions, prepare_rows
from app.ml.leaks.single_feature import probe_single_feature
from app.ml.leaks.twins import Fingerprints, probe_twins
from app.ml.split import Sides
from app.stats.arrays import Ints


def find_leaks(
    frame: Frame,
    features: Sequence[Feature],
    *,
    seed: int,
    sides: Sides | None = None,
    lagged: Sequence[Lagged] = (),
    source_positions: Ints | None = None,
    max_rows: int = MAX_ROWS,
) -> tuple[Finding, ...]:
    """Look for features, ids and rows that know the outcome.

    The levels are those of STATISTICS.md section 7. Every figure takes the account as the unit of evidence.

    Parameters
    ----------
    frame : Frame
        n rows, of one or several instants per account; those without a label are passed over.
    features : sequence of Feature
        Those to look at; the logical probes share their error over them.
    seed : int
        Of the folds, and of the sample of accounts taken above `max_rows`; each sentence then says so.
    sides : ndarray of shape (n,) or None
        'train', 'validation' or 'test'; without them no twins are looked for.
    lagged : sequence of Lagged
        The same n rows seen earlier; without them no cliff is looked for.
    source_positions : ndarray of shape (n,) or None
        Where each row stands in the source; without them its order is not judged.
    max_rows : int
        The most rows looked at.

    Returns
    -------
    tuple of Finding
        Certain ones first, then by name.

    Raises
    ------
    ValueError
        Where the frame has no labels, or something is not aligned to its rows.
    app.ml.encoding.EncodingError
        Where a column is missing or of another kind.
    """
    _require_aligned(len(frame), sides, lagged, source_positions)
    kept = labelled_positions(frame, seed=seed, max_rows=max_rows)
    if not kept.size:
        return ()
    everything = kept.size == len(frame)  # then a copy is spared
    taken = frame if everything else frame.take(kept)
    rows = prepare_rows(taken, n_features=max(len(features), 1), seed=seed)
    earlier = lagged if everything else [each.take(kept) for each in lagged]
    prints = Fingerprints.empty(kept.size)
    findings: list[Finding] = []
    for feature in features:
        column = read_column(taken.features, feature)
        findings += _probe_feature(column, rows, earlier)
        if sides is not None:
            prints.add(column)
    findings += _probe_rows(taken.accounts, rows, None if source_positions is None else source_positions[kept])
    twins = None if sides is None else probe_twins(prints, sides[kept], rows)
    findings += [twins] if twins else []
    return sort_findings(_say_sample(findings, n=kept.size, n_labelled=_count_labelled(frame)))


def find_twins(frame: Frame, features: Sequence[Feature], sides: Sides, *, seed: int) -> tuple[Finding, ...]:
    """Look only for accounts that have a twin on another side; labels say no more than that there are enough.

    Parameters
    ----------
    frame : Frame
        n rows.
    features : sequence of Feature
        By which twins are alike.
    sides : ndarray of shape (n,)
        'train', 'validation' or 'test'.
    seed : int
        Of the sample of accounts.

    Returns
    -------
    tuple of Finding
        One at most.
    """
    kept = labelled_positions(frame, seed=seed, max_rows=MAX_ROWS)
    if not kept.size:
        return ()
    taken, prints = frame.take(kept), Fingerprints.empty(kept.size)
    for feature in features:
        prints.add(read_column(taken.features, feature))
    found = probe_twins(prints, sides[kept], prepare_rows(taken, n_features=max(len(features), 1), seed=seed))
    return (found,) if found else ()


def _probe_feature(column: Column, rows: LabelledRows, lagged: Sequence[Lagged]) -> Iterator[Finding]:
    yield from probe_filling(column, rows)
    single = (
        probe_single_feature(column, rows),
        probe_recoding(column, rows),
        probe_instants(column, rows),
        probe_lead_time(column, rows, lagged),
    )
    yield from (found for found in single if found)


def _probe_rows(accounts: pa.Array, rows: LabelledRows, positions: Ints | None) -> Iterator[Finding]:
    found = [probe_id_order(accounts, rows), None if positions is None else probe_row_order(positions, rows)]
    yield from (each for each in found if each)


def _require_aligned(n: int, sides: Sides | None, lagged: Sequence[Lagged], positions: Ints | None) -> None:
    lengths = {"sides": sides, "source_positions": positions}
    for name, given in lengths.items():
        if given is not None and given.shape != (n,):
            raise ValueError(f"{n} rows need {n} {name}, not an array of shape {given.shape}")
    for each in lagged:
        if each.lead_days <= 0 or each.features.num_rows != n or (each.seen is not None and each.seen.shape != (n,)):
            raise ValueError(f"the features seen {each.lead_days:g} days earlier are not those of the {n} rows")
    if len({each.lead_days for each in lagged}) < len(lagged):
        raise ValueError("two of the lead times are equal")


def _count_labelled(frame: Frame) -> int:
    return int(np.isin(np.asarray(frame.churned), (0.0, 1.0)).sum())


def _say_sample(findings: list[Finding], *, n: int, n_labelled: int) -> list[Finding]:
    if n == n_labelled:
        return findings
    told = f" Seen in a sample of {n:,} of {n_labelled:,} rows."
    return [replace(each, sentence=each.sentence + told) for each in findings]
