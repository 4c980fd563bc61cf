"""The label column of an uploaded file: whatever words it uses, who churned and who stayed."""

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.ml.cells import MISSING_WORDS, ColumnKind, Unfit, blank_to_null, declared_kind, decode, to_text


def label_word(text: str) -> str:
    """One spelling for the ways to write a label: `1`, `1.0` and `01` are the same, so are `true` and `TRUE`.

    Examples
    --------
    >>> label_word("1.0"), label_word("True"), label_word(" Yes ")
    ('1', 'true', 'Yes')
    """
    word = text.strip()
    if word.lower() in ("true", "false"):
        return word.lower()
    if re.fullmatch(r"[+-]?\d{1,15}(\.0*)?", word):
        return str(int(float(word)))
    return word


def read_labels(values: pa.Array, positive: str) -> tuple[npt.NDArray[np.float64], set[str]]:
    """Labels as numbers, and the words other than the positive one.

    Parameters
    ----------
    values : pyarrow array of shape (n,)
        Text, numbers or booleans.
    positive : str
        What a churned account's cell says.

    Returns
    -------
    ndarray of shape (n,): 1 churned, 0 any other word, NaN not known yet
    set of str: the other words

    Raises
    ------
    Unfit
        Where the column is of a type that can't be a label.
    """
    positions, words = _label_words(values)
    wanted = label_word(positive)
    known = [word for word in words if word == wanted or word.lower() not in MISSING_WORDS]
    of_word = [1.0 if word == wanted else 0.0 if word in known else np.nan for word in words]
    lookup = np.array([*of_word, np.nan])
    at = positions.fill_null(len(words)).to_numpy(zero_copy_only=False)
    return lookup[at], set(known) - {wanted}


def _label_words(values: pa.Array) -> tuple[pa.Array, list[str]]:
    """Positions into the list of distinct words, null where a cell is blank; and the list."""
    values = decode(values)
    if not pa.types.is_string(values.type):
        if declared_kind(values.type) in (ColumnKind.UNSUPPORTED, ColumnKind.TIMESTAMP):
            raise Unfit(0, f"is of type {values.type}; text, numbers or booleans are needed")
        values = to_text(values)
    encoded = blank_to_null(values).dictionary_encode()
    words = [label_word(each) for each in encoded.dictionary.to_pylist()]
    return encoded.indices, words
