"""Labels met with their rows: both come by account, byte for byte, so that neither is ever in memory as a whole."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from app.errors import UnreadableFile
from app.ml.cells import Unfit, account_ids

_NONE = pa.nulls(0, pa.string())  # an array of a list would import pandas


class SortedLabels:
    """Gives the labels of ever later accounts, out of chunks of accounts and labels.

    Attributes
    ----------
    n_found : rows that have met a label so far
    """

    def __init__(self, chunks: Iterator[tuple[pa.Array, pa.Array]]) -> None:
        self._chunks = chunks
        self._ids, self._labels = _NONE, _NONE
        self._last_label: str | None = None
        self._last_row: str | None = None
        self.n_found = 0

    def of(self, accounts: pa.Array) -> pa.Array:
        """The labels of the next accounts, of shape (n,), null where there is none."""
        self._last_row = require_order(accounts, self._last_row, what="features")
        while self._last_label is None or self._last_label < self._last_row:
            if not self._read():
                break
        at = pc.index_in(accounts, value_set=self._ids)
        found = self._labels.take(at)
        self.n_found += len(at) - at.null_count
        passed = pc.sum(pc.less(self._ids, self._last_row)).as_py() or 0
        self._ids, self._labels = self._ids.slice(passed), self._labels.slice(passed)
        return found

    def finish(self) -> None:
        """Look at the labels that are left, of accounts behind the last row."""
        while self._read():
            self._ids, self._labels = _NONE, _NONE

    def _read(self) -> bool:
        """Take the next chunk in; False where there is none."""
        ids, labels = next(self._chunks, (_NONE, _NONE))
        if not len(ids):
            return False
        try:
            account_ids(ids)
        except Unfit as misfit:
            raise UnreadableFile(f"The id of a label {misfit.reason}.") from misfit
        before, self._last_label = self._last_label, require_order(ids, self._last_label, what="labels")
        if ids[0].as_py() == before or pc.any(pc.equal(ids[1:], ids[:-1])).as_py():
            raise UnreadableFile("The labels have an account twice.")
        self._ids, self._labels = pa.concat_arrays([self._ids, ids]), pa.concat_arrays([self._labels, labels])
        return True


def require_order(ids: pa.Array, before: str | None, *, what: str) -> str:
    """The last of these accounts, none of which is less than the one before it.

    Raises
    ------
    UnreadableFile
        Where the warehouse sorts otherwise: labels would silently be lost.
    """
    first, last = ids[0].as_py(), ids[-1].as_py()
    if (before is not None and first < before) or pc.any(pc.less(ids[1:], ids[:-1])).as_py():
        raise UnreadableFile(f"The ids of the {what} do not come byte for byte; is the warehouse encoded in UTF8?")
    return str(last)
