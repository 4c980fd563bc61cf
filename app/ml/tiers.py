"""Risk tiers: which probabilities are high, medium or low, and what each tier catches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.ml.frame import Floats
from app.schemas.config import CapacityTiers, ProbabilityTiers, RelativeTiers, Tiers
from app.stats.arrays import Interval
from app.stats.proportions import wilson
from app.stats.thresholds import top_cut

TIERS = ("high", "medium", "low")
SMALL_HIGH_SHARE = 0.01  # a high tier below this share of the accounts is hardly a list to work on
LARGE_RISK_SHARE = 0.50  # high and medium above this share no longer choose
RELATIVE_BELOW_RATE = 0.25  # at a higher churn rate three times the rate is no probability any more


@dataclass(frozen=True)
class TierRow:
    """One tier.

    Attributes
    ----------
    tier : 'high', 'medium' or 'low'
    n : accounts
    share : of all accounts, 0..1
    mean_probability : 0..1; None in an empty tier
    n_labelled : accounts whose outcome is known
    churn_rate : of the labelled ones, 0..1, with its 95 % Wilson interval; None without labelled ones
    share_of_churners : of all known churners, 0..1; None where none is known
    """

    tier: str
    n: int
    share: float
    mean_probability: float | None
    n_labelled: int
    churn_rate: float | None
    interval: Interval | None
    share_of_churners: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**self.__dict__, "interval": None if self.interval is None else list(self.interval)}


@dataclass(frozen=True)
class TierWarning:
    """A tier policy that does not choose, and policies that would."""

    sentence: str
    alternatives: tuple[CapacityTiers | RelativeTiers, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data; each alternative can be sent as `tiers`."""
        return {"sentence": self.sentence, "alternatives": [policy.model_dump() for policy in self.alternatives]}


def tier_cutoffs(p: Floats, policy: Tiers, base_rate: float) -> tuple[float, float]:
    """The probabilities at or above which an account is high, and at least medium.

    Under `capacity` a group of equal probabilities that does not fit whole goes to the tier below: high never holds
    more accounts than asked for, nor do high and medium together. A share of the accounts is rounded down.

    Parameters
    ----------
    p : ndarray of shape (n,)
        Calibrated probabilities of the whole run; read by `capacity` only.
    policy : Tiers
        Probability, capacity or relative.
    base_rate : float
        Churn rate of the development rows, 0..1; read by `relative` only.
    """
    if isinstance(policy, ProbabilityTiers):
        return policy.high, policy.medium
    if isinstance(policy, RelativeTiers):
        return policy.high * base_rate, policy.medium * base_rate
    unit = p.size if policy.high < 1 else 1
    n_high = int(policy.high * unit + 1e-9)  # a share of .29 of 100 accounts is 29 accounts, not 28.999...
    n_risky = int((policy.high + policy.medium) * unit + 1e-9)
    return top_cut(p, n_high), top_cut(p, n_risky)


def tiers_at(p: Floats, high_cut: float, medium_cut: float) -> npt.NDArray[np.str_]:
    """The tier of each probability under cut-offs that are known: shape (n,)."""
    return np.where(p >= high_cut, "high", np.where(p >= medium_cut, "medium", "low"))


def assign_tiers(p: Floats, policy: Tiers, base_rate: float) -> npt.NDArray[np.str_]:
    """The tier of each account of a whole run: shape (n,); see `tier_cutoffs`."""
    return tiers_at(p, *tier_cutoffs(p, policy, base_rate))


def tier_table(p: Floats, y: Floats | None, tiers: npt.NDArray[np.str_]) -> tuple[TierRow, ...]:
    """Size, churn rate and catch of each tier, high first.

    Parameters
    ----------
    p : ndarray of shape (n,)
        Calibrated probabilities, one row per account.
    y : ndarray of shape (n,) or None
        1 churned, 0 stayed, NaN not known yet.
    tiers : ndarray of shape (n,)
        'high', 'medium' or 'low'.
    """
    known = np.full(p.size, np.nan) if y is None else y
    return tuple(_tier_row(tier, p, known, tiers == tier) for tier in TIERS)


def _tier_row(tier: str, p: Floats, y: Floats, inside: npt.NDArray[np.bool_]) -> TierRow:
    n, n_labelled = int(inside.sum()), int((inside & ~np.isnan(y)).sum())
    n_churners, n_all_churners = int((y[inside] == 1).sum()), int((y == 1).sum())
    return TierRow(
        tier=tier,
        n=n,
        share=n / p.size if p.size else 0.0,
        mean_probability=float(p[inside].mean()) if n else None,
        n_labelled=n_labelled,
        churn_rate=n_churners / n_labelled if n_labelled else None,
        interval=wilson(n_churners, n_labelled) if n_labelled else None,
        share_of_churners=n_churners / n_all_churners if n_all_churners else None,
    )


def tier_warnings(table: Sequence[TierRow], base_rate: float) -> tuple[TierWarning, ...]:
    """Say where a policy does not choose: a high tier under 1 %, or high and medium over 50 % of the accounts."""
    share = {row.tier: row.share for row in table}
    if not sum(row.n for row in table):
        return ()
    alternatives = _alternatives(base_rate)
    sentences = []
    if share["high"] < SMALL_HIGH_SHARE:
        sentences.append(
            f"Only {share['high']:.2%} of the accounts are in the high tier (churn rate {base_rate:.1%}): "
            f"calibrated probabilities of rare churn seldom reach its limit."
        )
    if share["high"] + share["medium"] > LARGE_RISK_SHARE:
        sentences.append(
            f"{share['high'] + share['medium']:.0%} of the accounts are in the high or medium tier: "
            f"that is hardly a choice."
        )
    return tuple(TierWarning(sentence, alternatives) for sentence in sentences)


def _alternatives(base_rate: float) -> tuple[CapacityTiers | RelativeTiers, ...]:
    """Lists of half and of once the churn rate; below 25 % churn also multiples of it."""
    high = float(np.clip(round(base_rate / 2, 3), 0.01, 0.2))
    medium = float(np.clip(round(base_rate, 3), 0.01, 0.3))
    capacity = CapacityTiers(high=high, medium=medium)
    return (capacity, RelativeTiers()) if base_rate < RELATIVE_BELOW_RATE else (capacity,)
