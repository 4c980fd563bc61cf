"""Probe: different accounts with the same values on different sides, so that the test side is known from training."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.ml.leaks.columns import Column
from app.ml.leaks.findings import MIN_CHURNERS, Finding, Level
from app.ml.leaks.rows import LabelledRows
from app.ml.split import Sides
from app.stats.arrays import Bools, Ints

N_PARTS = 3  # of the features; each must tell the twins from everybody else by itself
MAX_TWINS = 3  # accounts that share all values; more are a common kind of account
MIN_TWIN_ACCOUNTS = 10  # our choice; fewer are an oddity
MIN_TWIN_SHARE = 0.01  # of the accounts; our choice
GRID = 1e-3  # of the interquartile range; numbers that agree to it are the same
Words = npt.NDArray[np.uint64]
_FARTHEST = 2.0**60  # steps of the grid; farther values are one
_MISSING = np.int64(-(2**62))
_GOLDEN, _ALL_BITS = 0x9E3779B97F4A7C15, 2**64 - 1


@dataclass
class Fingerprints:
    """64-bit hashes of the rounded values of each row, one for each part of the features, added up column by column.

    Attributes
    ----------
    sums : uint64 ndarray of shape (3, n)
    n_used : features that are not constant
    """

    sums: Words
    n_used: int = 0

    @classmethod
    def empty(cls, n: int) -> "Fingerprints":
        """Of no feature yet."""
        return cls(np.zeros((N_PARTS, n), dtype=np.uint64))

    def add(self, column: Column) -> None:
        """Take a feature in; constant ones say nothing. The parts take turns."""
        if column.n_levels < 2:
            return
        part = self.n_used % N_PARTS
        self.n_used += 1
        salt = np.uint64(self.n_used * _GOLDEN & _ALL_BITS)  # equal values of two features hash unlike
        self.sums[part] += _scramble(rounded(column).view(np.uint64) + salt)


def rounded(column: Column) -> Ints:
    """Numbers in steps of a thousandth of the interquartile range (of the range where that is 0), or texts: (n,)."""
    steps = np.clip(np.rint(column.values / _grid(column)), -_FARTHEST, _FARTHEST)
    return np.where(column.missing, _MISSING, np.nan_to_num(steps).astype(np.int64))


def _grid(column: Column) -> float:
    if column.texts is not None or not column.n_known:
        return 1.0
    low, high = np.percentile(column.values[~column.missing], [25, 75])
    spread = float(high - low) or float(column.distinct[-1] - column.distinct[0])
    return GRID * spread if spread else 1.0


def _scramble(words: Words) -> Words:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014, OOPSLA)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def probe_twins(prints: Fingerprints, sides: Sides, rows: LabelledRows) -> Finding | None:
    r"""Suspect accounts that agree in all features with another account on another side.

    Discreteness brings accounts together too: many have no order at all, or one of the same price. So a pair (or three)
    counts only where each third of the features tells it from everybody else by itself. Two of n accounts share
    what nobody else has in one third with a chance of about 1/n at most, so chance makes fewer than one such pair of
    :math:`n^2/2` where the thirds are independent. It speaks from 10 accounts that are 1 % of all.

    Numbers that differ by less than a thousandth of the interquartile range are equal, but for the few that lie
    on either side of a step of that grid.

    Parameters
    ----------
    prints : Fingerprints
        Of all features.
    sides : ndarray of shape (n,)
        Names of sides.
    rows : LabelledRows
        Their rows.
    """
    if prints.n_used < 2 * N_PARTS or min(rows.n_churners, rows.n_stayers) < MIN_CHURNERS:
        return None
    total = _Groups.of(prints.sums.sum(axis=0, dtype=np.uint64), rows)
    parts = [_Groups.of(sums, rows) for sums in prints.sums]
    side_codes = np.unique(sides, return_inverse=True)[1]
    n_sides = count_distinct(total.codes, side_codes)[total.codes]
    n_together = total.n_accounts[total.codes]
    alone = np.logical_and.reduce([part.n_accounts[part.codes] == n_together for part in parts])
    twins = (n_together > 1) & (n_together <= MAX_TWINS) & (n_sides > 1) & alone
    return _judge(twins, total, rows)


@dataclass(frozen=True)
class _Groups:
    """Rows with equal hashes: the group of each row, of shape (n,), and the distinct accounts in each group."""

    codes: Ints
    n_accounts: Ints

    @classmethod
    def of(cls, hashes: Words, rows: LabelledRows) -> "_Groups":
        codes = np.unique(hashes, return_inverse=True)[1].astype(np.int64)
        return cls(codes, count_distinct(codes, rows.accounts))


def count_distinct(groups: Ints, members: Ints) -> Ints:
    """Distinct members of each group: shape (n groups,)."""
    width = int(members.max()) + 1
    pairs = np.unique(groups * width + members)
    return np.bincount(pairs // width).astype(np.int64)


def _judge(twins: Bools, total: _Groups, rows: LabelledRows) -> Finding | None:
    n_twins = rows.count_accounts(twins)
    share = n_twins / rows.n_accounts
    if n_twins < MIN_TWIN_ACCOUNTS or share < MIN_TWIN_SHARE:
        return None
    return Finding(
        feature="accounts",
        probe="twins_across_sides",
        level=Level.SUSPECTED,
        evidence={
            "n_twin_accounts": n_twins,
            "share_of_accounts": share,
            "n_groups": np.unique(total.codes[twins]).size,
            "n_rows": rows.y.size,
        },
        sentence=f"{n_twins:,} accounts ({share:.1%}) have the same values as another account on another side.",
        remedy="Give one id to accounts that are one customer, so that they fall on one side.",
    )
