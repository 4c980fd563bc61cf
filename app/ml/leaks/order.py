"""Probe: account ids or the rows' places in the source foretell the outcome."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.ml.frame import Floats
from app.ml.leaks.findings import MIN_CHURNERS, Finding, Level
from app.ml.leaks.rows import LabelledRows
from app.ml.leaks.single_feature import estimate_auc, lower_bound
from app.stats.arrays import Ints
from app.stats.ranking import auc

ORDER_AUC = 0.75  # as a 99 % lower bound; ids dealt in order are the age of an account, whose AUC on telco is .74
_LAST_DIGITS = r"(?P<number>\d+)\D*$"


def probe_id_order(accounts: pa.Array, rows: LabelledRows) -> Finding | None:
    """Suspect ids whose order ranks churners: by the last number in them where all have one, and byte for byte.

    The better of the two orders, in the better direction, must reach .75 as a 99 % lower bound (so the rule of .90 for
    a single feature is within this one): choosing among four can't lift an AUC of .5 as far.

    Parameters
    ----------
    accounts : pyarrow string array of shape (n,)
        Account ids.
    rows : LabelledRows
        Their rows.
    """
    return _probe("account_id", "order_of_ids", id_orders(accounts), rows)


def probe_row_order(positions: Ints, rows: LabelledRows) -> Finding | None:
    """Suspect a source that is sorted so that its rows' places rank churners, with the same bound of .75.

    Parameters
    ----------
    positions : ndarray of shape (n,)
        Where each row stands in the source.
    rows : LabelledRows
        These rows.
    """
    return _probe("row_number", "order_of_rows", [positions.astype(np.float64)], rows)


def id_orders(accounts: pa.Array) -> list[Floats]:
    """The ranks of ids byte for byte, and the last number in each where all have one: arrays of shape (n,)."""
    encoded = accounts.dictionary_encode()
    codes = np.asarray(encoded.indices.to_numpy(zero_copy_only=False))
    by_byte = np.asarray(pc.array_sort_indices(encoded.dictionary).to_numpy(zero_copy_only=False))
    ranks = np.empty(by_byte.size)
    ranks[by_byte] = np.arange(by_byte.size)
    numbers = pc.struct_field(pc.extract_regex(encoded.dictionary, _LAST_DIGITS), "number")
    if numbers.null_count:
        return [ranks[codes]]
    return [ranks[codes], np.asarray(numbers.cast(pa.float64()).to_numpy(zero_copy_only=False))[codes]]


def _probe(feature: str, probe: str, orders: list[Floats], rows: LabelledRows) -> Finding | None:
    if min(rows.n_churners, rows.n_stayers) < MIN_CHURNERS:
        return None
    scores = max((each if auc(rows.y, each) >= 0.5 else -each for each in orders), key=lambda each: auc(rows.y, each))
    found = estimate_auc(rows, scores, np.zeros_like(rows.accounts))
    bound = lower_bound(found)
    if not bound >= ORDER_AUC:
        return None
    subject = "The order of account ids" if feature == "account_id" else "The place of a row in the source"
    return Finding(
        feature=feature,
        probe=probe,
        level=Level.SUSPECTED,
        evidence={"auc": found.value, "auc_lower_99": bound, "n_churners": rows.n_churners, "n_rows": rows.y.size},
        sentence=f"{subject} ranks churners with an AUC of {found.value:.3f} (at least {bound:.3f} at 99 %).",
        remedy="Find out how the rows were put together: churners and others may come from different sources or times.",
    )
