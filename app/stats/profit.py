"""What contacting accounts earns: by cut-off, at the best one, and how much of that best is luck."""

from dataclasses import dataclass

import numpy as np

from app.stats.arrays import Bools, Clusters, Estimate, Floats, Interval, Ints, cluster_codes, cluster_sums


@dataclass(frozen=True)
class Payoffs:
    """The cost matrix: what an account brings, in units of money, by what was done and what it would do.

    Attributes
    ----------
    hit : contacted, and it would have churned
    false_alarm : contacted, and it would have stayed
    missed : left alone, and it churns
    left : left alone, and it stays
    """

    hit: float
    false_alarm: float
    missed: float = 0.0
    left: float = 0.0

    @classmethod
    def of_contacting(cls, value_per_account: float, contact_cost: float, save_rate: float) -> "Payoffs":
        """A contact costs, and keeps a share of those who would churn; what it does to the others is left out."""
        return cls(hit=save_rate * value_per_account - contact_cost, false_alarm=-contact_cost)

    @property
    def break_even(self) -> float:
        """The churn probability from which on a contact pays: 0..1, above 1 where it never does, below 0 always.

        Infinite where it makes no difference whether an account churns.
        """
        gain_if_churning, loss_if_staying = self.hit - self.missed, self.left - self.false_alarm
        both = gain_if_churning + loss_if_staying
        return loss_if_staying / both if both else float("inf")

    def of(self, y: Floats, flagged: Bools) -> Floats:
        """What each row brings: shape (n,)."""
        churned = y == 1
        return np.where(
            flagged, np.where(churned, self.hit, self.false_alarm), np.where(churned, self.missed, self.left)
        ).astype(np.float64)


def profit_at(y: Floats, flagged: Bools, payoffs: Payoffs, clusters: Clusters | None = None) -> Estimate:
    """Profit per row of contacting these rows, with its standard error clustered by account.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed; n above 0.
    flagged : boolean ndarray of shape (n,)
        Those that are contacted.
    payoffs : Payoffs
        In units of money.
    clusters : ndarray of shape (n,) or None
        Rows of one account carry the same value.

    Returns
    -------
    Estimate
        Units of money per row; the error is NaN with one account only.

    Examples
    --------
    >>> pays = Payoffs.of_contacting(100, 10, 0.3)
    >>> profit_at(np.array([1.0, 0.0]), np.array([True, True]), pays).value
    5.0
    """
    return mean_estimate(payoffs.of(y, flagged), cluster_codes(clusters, y.size))


def mean_estimate(values: Floats, codes: Ints) -> Estimate:
    """The mean of `values`, shape (n,), and its standard error between the accounts that `codes` number."""
    sums = cluster_sums((values - values.mean())[np.newaxis], codes)[0]
    if sums.size < 2:
        return Estimate(float(values.mean()), float("nan"))
    return Estimate(float(values.mean()), float(np.sqrt(sums.size / (sums.size - 1) * (sums @ sums)) / values.size))


def candidate_cuts(score: Floats, n_cuts: int = 100) -> Floats:
    """Cut-offs that flag about 1/n, 2/n ... all of the rows, and one that flags nobody: increasing, none twice."""
    at = np.quantile(score, np.arange(n_cuts) / n_cuts, method="lower")
    return np.append(np.unique(at), np.nextafter(score.max(), np.inf))


@dataclass(frozen=True)
class BestCut:
    """The cut-off with the highest profit on the rows it was looked for on.

    Attributes
    ----------
    cut : the lowest score that is contacted; above all scores where it is best to contact nobody
    profit : there, per row; flattered, for the cut-off was chosen on the same rows
    optimism : by how much, on average over the resamples: what the best cut-off of a resample earns there, less what it
        earns on the rows themselves
    cut_interval : the middle share, `confidence`, of the best cut-offs of the resamples
    """

    cut: float
    profit: Estimate
    optimism: float
    cut_interval: Interval


def best_cut(
    y: Floats,
    score: Floats,
    payoffs: Payoffs,
    *,
    cuts: Floats,
    rng: np.random.Generator,
    clusters: Clusters | None = None,
    n_resamples: int = 200,
    confidence: float = 0.95,
) -> BestCut:
    """Look for the best of the `cuts`, and say by resampling accounts how much of its profit is luck.

    Parameters
    ----------
    y, score : ndarray of shape (n,)
        1 churned, 0 stayed; larger means more at risk. n above 0.
    payoffs : Payoffs
        In units of money.
    cuts : ndarray of shape (k,)
        Increasing; of equally good ones the highest is taken, which contacts the fewest.
    rng : numpy.random.Generator
        Draws the resamples.
    clusters : ndarray of shape (n,) or None
        Rows of one account carry the same value, and are resampled together.
    n_resamples : int
        1 or more.
    confidence : float
        0..1.

    References
    ----------
    Efron, Gong (1983), The American Statistician 37, 36-48: the optimism of an apparent figure.
    """
    codes = cluster_codes(clusters, y.size)
    gained = payoffs.of(y, np.ones(y.size, dtype=np.bool_)) - payoffs.of(y, np.zeros(y.size, dtype=np.bool_))
    below = np.searchsorted(cuts, score, side="right")  # how many cuts flag the row

    def gains(weights: Floats) -> Floats:
        """Gain over contacting nobody at each cut, per weighted row: shape (k,)."""
        by_cut = np.bincount(below, weights=weights * gained, minlength=cuts.size + 1)
        found: Floats = np.cumsum(by_cut[::-1])[::-1][1:] / weights.sum()
        return found

    apparent = gains(np.ones(y.size))
    chosen, luck = [], []
    n_clusters = int(codes.max()) + 1
    for _ in range(n_resamples):
        drawn = np.bincount(rng.integers(n_clusters, size=n_clusters), minlength=n_clusters)
        resampled = gains(drawn[codes].astype(np.float64))
        best = _last_best(resampled)
        chosen.append(cuts[best])
        luck.append(resampled[best] - apparent[best])
    cut = float(cuts[_last_best(apparent)])
    ends = np.quantile(chosen, [(1 - confidence) / 2, (1 + confidence) / 2])
    return BestCut(
        cut, mean_estimate(payoffs.of(y, score >= cut), codes), float(np.mean(luck)), Interval(*map(float, ends))
    )


def _last_best(gains: Floats) -> int:
    """The position of the highest gain; of equal ones, but for rounding, the last."""
    return int(np.flatnonzero(gains >= gains.max() - 1e-12 * np.abs(gains).max())[-1])
