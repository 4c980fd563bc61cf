"""What a column of an uploaded file holds, judged over all of its cells."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from app.ml.cells import NUMBER, TEXT_READERS, ColumnKind, Unfit, blank_to_null, declared_kind, decode

_MOSTLY = 0.5  # of a chunk's cells being numbers makes the others worth a remark


class ColumnObserver:
    """Looks at a column chunk by chunk and remembers what it can still be.

    Text cells decide by what is written in them: numbers where every cell that is not missing is one; booleans where
    all are `true` or `false` in any case (Yes and No stay text, as written); timestamps where all are ISO 8601;
    else categories. Typed cells (Parquet) are what their type says. Missing are blank cells, and in columns that
    turn out to have a type also `MISSING_WORDS`.

    Examples
    --------
    >>> observer = ColumnObserver()
    >>> observer.observe(pa.array(["1", " ", "2.5"]), first_row=0)
    >>> observer.kind.value
    'numeric'
    """

    def __init__(self) -> None:
        self._declared: ColumnKind | None = None
        self._possible = dict(TEXT_READERS)
        self._seen: set[ColumnKind] = set()
        self.first_text_row: int | None = None

    def observe(self, values: pa.Array, *, first_row: int) -> None:
        """Look at the next cells; `first_row` is the number of the first one in the file, from 0."""
        values = decode(values)
        if not pa.types.is_string(values.type):
            self._declared = declared_kind(values.type)
            return
        text = blank_to_null(values) if self._possible else values
        if text.null_count == len(text):
            return
        for kind, read in list(self._possible.items()):
            self._try(kind, read, text, first_row)

    def _try(self, kind: ColumnKind, read: Callable[[pa.Array], pa.Array], text: pa.Array, first_row: int) -> None:
        try:
            found = read(text)
        except Unfit as misfit:
            del self._possible[kind]
            if kind is ColumnKind.NUMERIC:
                self.first_text_row = first_row + misfit.position
                if _share_of_numbers(text) >= _MOSTLY:
                    self._seen.add(kind)
            return
        if found.null_count < len(found):
            self._seen.add(kind)

    @property
    def kind(self) -> ColumnKind | None:
        """What the column is; None where every cell was missing."""
        if self._declared is not None:
            return self._declared
        left = [kind for kind in self._possible if kind in self._seen]
        if left:
            return left[0]
        return None if len(self._possible) == len(TEXT_READERS) else ColumnKind.CATEGORICAL

    @property
    def was_numeric(self) -> bool:
        """Whether it held numbers, most of all, until the first cell that is none was met."""
        return self.first_text_row is not None and ColumnKind.NUMERIC in self._seen


def _share_of_numbers(text: pa.Array) -> float:
    return float(pc.mean(pc.match_substring_regex(text, NUMBER).cast(pa.float64())).as_py())
