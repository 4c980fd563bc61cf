"""The labelled rows that the probes share: labels, accounts, instants, and halves."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from app.ml.frame import Floats, Frame, account_codes
from app.stats.arrays import Bools, Ints

MAX_ROWS = 200_000  # more are sampled by account: 20,000 churners tell an AUC to .002, and time stays bounded
N_HALVES = 2  # what is learned from the labels of one is measured on the other


@dataclass(frozen=True)
class LabelledRows:
    """Rows whose outcome is known.

    Attributes
    ----------
    y : ndarray of shape (n,); 1 churned, 0 stayed
    accounts : ndarray of shape (n,); 0..n_accounts-1, the same number for rows of one account
    halves : ndarray of shape (n,); 0 or 1, the same for rows of one account; churners are dealt evenly
    one_each : ndarray of shape (n_accounts,); the position of one random row of each account
    as_of_us : ndarray of shape (n,) or None; microseconds since 1970, None in undated data
    n_features : features looked at, over which the logical probes share their error
    """

    y: Floats
    accounts: Ints
    halves: Ints
    one_each: Ints
    as_of_us: Ints | None
    n_features: int

    @cached_property
    def churned(self) -> Bools:
        """Of shape (n,)."""
        return np.asarray(self.y == 1)

    @property
    def n_accounts(self) -> int:
        """Distinct accounts."""
        return int(self.one_each.size)

    @cached_property
    def n_churners(self) -> int:
        """Accounts with a row that churned."""
        return self.count_accounts(self.churned)

    @cached_property
    def n_stayers(self) -> int:
        """Accounts with a row that stayed."""
        return self.count_accounts(~self.churned)

    @property
    def churner_share(self) -> float:
        """The larger of the churn rate of rows and the share of accounts that ever churned, 0..1."""
        return max(float(self.y.mean()), self.n_churners / self.n_accounts)

    def count_accounts(self, rows: Bools) -> int:
        """Distinct accounts among these rows."""
        return int(np.count_nonzero(np.bincount(self.accounts[rows], minlength=self.n_accounts)))


def labelled_positions(frame: Frame, *, seed: int, max_rows: int = MAX_ROWS) -> Ints:
    """Positions of the rows with a label; above `max_rows`, those of a random sample of accounts, kept whole.

    Parameters
    ----------
    frame : Frame
        Labels may be NaN (not known yet).
    seed : int
        Of the sample.
    max_rows : int
        The sample holds at most this many rows, or the rows of one account.

    Returns
    -------
    ndarray of shape (at most n,)
        Rising.

    Raises
    ------
    ValueError
        Where the frame has no labels at all.
    """
    if frame.churned is None:
        raise ValueError("leaks are looked for in labelled rows; this frame has no labels")
    known = np.flatnonzero(np.isin(frame.churned, (0.0, 1.0)))
    if known.size <= max_rows:
        return known
    codes = account_codes(frame.accounts.take(pa.array(known)))
    drawn = np.random.default_rng(seed).permutation(int(codes.max()) + 1)
    row_ends = np.cumsum(np.bincount(codes)[drawn])
    n_drawn = max(int(np.searchsorted(row_ends, max_rows, side="right")), 1)
    chosen: Ints = known[np.isin(codes, drawn[:n_drawn])]
    return chosen


def prepare_rows(frame: Frame, *, n_features: int, seed: int) -> LabelledRows:
    """Labels, accounts and halves of a frame whose rows all have a label."""
    codes = account_codes(frame.accounts)
    rng = np.random.default_rng(seed)
    n_accounts = int(codes.max()) + 1 if codes.size else 0
    shuffled = rng.permutation(codes.size)
    one_each = np.empty(n_accounts, dtype=np.int64)
    one_each[codes[shuffled]] = shuffled  # the last one written stays: a random row of the account
    as_of = None if frame.as_of is None else frame.as_of.cast(pa.int64()).to_numpy(zero_copy_only=False)
    y = np.asarray(frame.churned, dtype=np.float64)
    return LabelledRows(
        y=y,
        accounts=codes,
        halves=_deal_halves(np.bincount(codes, weights=y, minlength=n_accounts) > 0, rng)[codes],
        one_each=one_each,
        as_of_us=None if as_of is None else np.asarray(as_of, dtype=np.int64),
        n_features=n_features,
    )


def _deal_halves(ever_churned: Bools, rng: np.random.Generator) -> Ints:
    """The half of each account; churners and others are dealt apart, each evenly."""
    halves = np.empty(ever_churned.size, dtype=np.int64)
    for members in (np.flatnonzero(ever_churned), np.flatnonzero(~ever_churned)):
        halves[rng.permutation(members)] = np.arange(members.size) % N_HALVES
    return halves
