"""Which accounts learn, which tune and which judge: sides, and the folds of the development rows."""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.ml.frame import Floats

Sides = npt.NDArray[np.str_]

SIDE_NAMES = ("train", "validation", "test")
_UPPER_ENDS = np.array([0.6, 0.8])  # 60 % train, 20 % validation, 20 % test


class SplitError(ValueError):
    """The accounts can't be dealt as asked; the message says what is missing."""


def deal_sides(accounts: Sequence[str], churned: Floats, *, seed: int) -> Sides:
    """Deal accounts 60/20/20 to train, validation and test, stratified by what they did.

    Accounts are sorted byte for byte first, so the order they come in has no effect. Accounts dealt earlier are left
    out by the caller: what is dealt here depends on these accounts, their labels and the seed alone, and even a
    single account falls on each side with the right chance.

    Parameters
    ----------
    accounts : sequence of n str
        Distinct account ids.
    churned : ndarray of shape (n,)
        1 churned, 0 stayed.
    seed : int
        Stored with the dataset.

    Returns
    -------
    ndarray of shape (n,)
        'train', 'validation' or 'test', in the order of `accounts`.

    Raises
    ------
    SplitError
        Where an account comes twice or a label is missing.

    Examples
    --------
    >>> sides = deal_sides([f"a{i}" for i in range(10)], np.zeros(10), seed=1)
    >>> sorted(set(sides.tolist()))
    ['test', 'train', 'validation']
    """
    if len(set(accounts)) != len(accounts):
        raise SplitError("each account is dealt once, but some come twice")
    if not np.isin(churned, (0.0, 1.0)).all():
        raise SplitError("only accounts with a label, 0 or 1, can be dealt")
    order = np.array(sorted(range(len(accounts)), key=accounts.__getitem__), dtype=np.int64)
    rng = _rng([accounts[i] for i in order], seed)
    sides = np.empty(len(accounts), dtype="<U10")
    for label in (0.0, 1.0):
        stratum = rng.permutation(order[churned[order] == label])
        places = (np.arange(stratum.size) + rng.random()) / max(stratum.size, 1)
        sides[stratum] = np.array(SIDE_NAMES)[np.searchsorted(_UPPER_ENDS, places, side="right")]
    return sides


def _rng(accounts: Sequence[str], seed: int) -> np.random.Generator:
    """A generator of these accounts and this seed: one that knew only the seed would deal all latecomers alike."""
    digest = hashlib.sha256("\0".join(accounts).encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])


def deal_folds(
    accounts: Sequence[str] | pa.Array, churned: Floats, n_folds: int, *, seed: int
) -> npt.NDArray[np.int64]:
    """Deal rows to folds 0..n_folds-1, stratified, all rows of an account in one fold.

    Accounts are dealt to and fro, those with most churned rows first, among equal ones those with most rows: so neither
    rows nor churners of two folds differ by more than a few accounts have. The rest is chance.

    Parameters
    ----------
    accounts : sequence of n str, or pyarrow array
        Account ids; one may come in several rows.
    churned : ndarray of shape (n,)
        1 churned, 0 stayed.
    n_folds : int
        2 or more.
    seed : int
        Another seed deals otherwise.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    SplitError
        Where fewer accounts than folds churned, or stayed.
    """
    codes = _number_accounts(pa.array(accounts, pa.string()))
    n_churned, n_rows = np.bincount(codes, weights=churned), np.bincount(codes)
    rng = np.random.default_rng(seed)
    fold_of_account = np.empty(n_rows.size, dtype=np.int64)
    first = 0  # where one stratum ends the next goes on, so that fold sizes differ by one at most
    for stratum, verb in ((n_churned > 0, "churned"), (n_churned == 0, "stayed")):
        members = rng.permutation(np.flatnonzero(stratum))
        members = members[np.lexsort((-n_rows[members], -n_churned[members]))]  # keeps the order of equal ones
        if members.size < n_folds:
            raise SplitError(f"{n_folds} folds need {n_folds} development accounts that {verb}, not {members.size}")
        turn, place = np.divmod(first + np.arange(members.size), n_folds)
        fold_of_account[members] = np.where(turn % 2, n_folds - 1 - place, place)
        first += members.size
    folds: npt.NDArray[np.int64] = fold_of_account[codes]
    return folds


def _number_accounts(accounts: pa.Array) -> npt.NDArray[np.int64]:
    """The place of each row's account among the distinct ones, in the order of their bytes: shape (n,)."""
    coded = accounts.dictionary_encode()
    places = np.empty(len(coded.dictionary), dtype=np.int64)
    places[pc.sort_indices(coded.dictionary).to_numpy()] = np.arange(len(places))
    numbered: npt.NDArray[np.int64] = places[coded.indices.to_numpy()]
    return numbered
