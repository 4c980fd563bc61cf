"""Paired bootstrap of AUCs: whole accounts drawn again with replacement, all scores on the same draws."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from app.stats.arrays import Bools, Clusters, Floats, Interval, Ints, cluster_codes

_CELLS = 100_000  # rows times draws that are held at a time: so few stay in the cache of a core


@dataclass(frozen=True)
class Resampled:
    """What a figure was on each draw.

    Attributes
    ----------
    values : ndarray of shape (b,)
        Draws that hold one class only are left out.
    """

    values: Floats

    @property
    def se(self) -> float:
        """Standard deviation over the draws; NaN with fewer than two."""
        return float(self.values.std(ddof=1)) if self.values.size > 1 else float("nan")

    def interval(self, confidence: float = 0.95) -> Interval:
        """The percentile interval; it can't be told beyond what the number of draws resolves."""
        if not self.values.size:
            return Interval(float("nan"), float("nan"))
        low, high = np.quantile(self.values, [(1 - confidence) / 2, (1 + confidence) / 2])
        return Interval(float(low), float(high))


def bootstrap_aucs(y: Floats, scores: Floats, clusters: Clusters | None = None, *, n_draws: int, seed: int) -> Floats:
    """AUCs of m scores on `n_draws` draws of whole clusters, paired: each draw is the same rows for all scores.

    A draw is a whole number for each cluster: how often it was drawn. Scores are sorted once, so that a draw costs a
    running sum over the rows that stayed, and the churners look up what they passed; memory is bounded whatever the
    number of rows and draws.

    Parameters
    ----------
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    scores : ndarray of shape (m, n)
        Larger means more at risk; ties count half.
    clusters : ndarray of shape (n,) or None
        Rows of one account carry the same value.
    n_draws : int
        1 or more.
    seed : int
        The same seed draws the same.

    Returns
    -------
    ndarray of shape (m, n_draws)
        NaN where a draw holds one class only.

    References
    ----------
    Field, Welsh (2007), Journal of the Royal Statistical Society B 69, 369-390: the randomised cluster bootstrap.
    """
    codes, rng = cluster_codes(clusters, y.size), np.random.default_rng(seed)
    n_clusters = int(codes.max()) + 1 if codes.size else 0
    ranked = [_Ranked.of(score, y == 1, codes) for score in scores]
    draws = _draw(n_clusters, n_draws, max(1, _CELLS // max(y.size, 1)), rng)
    return np.concatenate([np.stack([each.weighted_auc(counts) for each in ranked]) for counts in draws], axis=1)


def bootstrap_auc(y: Floats, score: Floats, clusters: Clusters | None = None, *, n_draws: int, seed: int) -> Resampled:
    """One AUC on each draw; see `bootstrap_aucs`."""
    return _known(bootstrap_aucs(y, score[np.newaxis], clusters, n_draws=n_draws, seed=seed)[0])


def bootstrap_difference(
    y: Floats, a: Floats, b: Floats, clusters: Clusters | None = None, *, n_draws: int, seed: int
) -> Resampled:
    """AUC of `a` minus AUC of `b` on each draw; see `bootstrap_aucs`."""
    found = bootstrap_aucs(y, np.stack([a, b]), clusters, n_draws=n_draws, seed=seed)
    return _known(found[0] - found[1])


def _known(values: Floats) -> Resampled:
    return Resampled(values[np.isfinite(values)])


def _draw(n_clusters: int, n_draws: int, at_a_time: int, rng: np.random.Generator) -> Iterator[Ints]:
    """How often each cluster is drawn: arrays of shape (at most `at_a_time`, clusters)."""
    for begin in range(0, n_draws, at_a_time):
        n = min(at_a_time, n_draws - begin)
        drawn = rng.integers(0, max(n_clusters, 1), size=(n, n_clusters)) + n_clusters * np.arange(n)[:, np.newaxis]
        yield np.bincount(drawn.ravel(), minlength=n * n_clusters).reshape(n, n_clusters)


@dataclass(frozen=True)
class _Ranked:
    """One score's rows by cluster: those that stayed, in the order of the score, and the churners among them.

    Attributes
    ----------
    stayed : ndarray of shape (stayed,), the cluster of each
    churned : ndarray of shape (churned,), the cluster of each
    below, not_above : ndarray of shape (churned,), how many of those that stayed score less, and at most as much
    """

    stayed: Ints
    churned: Ints
    below: Ints
    not_above: Ints

    @classmethod
    def of(cls, score: Floats, positive: Bools, codes: Ints) -> "_Ranked":
        order, churners = np.argsort(score[~positive], kind="stable"), score[positive]
        ranked = score[~positive][order]
        below, not_above = (np.searchsorted(ranked, churners, side) for side in ("left", "right"))
        return cls(codes[~positive][order], codes[positive], below, not_above)

    def weighted_auc(self, counts: Ints) -> Floats:
        """Where the clusters count so often, shape (draws, clusters): shape (draws,)."""
        passed = np.zeros((len(counts), self.stayed.size + 1), dtype=np.int64)
        np.cumsum(counts.take(self.stayed, axis=1), axis=1, out=passed[:, 1:])
        churned = counts.take(self.churned, axis=1)
        won_twice = (churned * (passed.take(self.below, axis=1) + passed.take(self.not_above, axis=1))).sum(axis=1)
        with np.errstate(invalid="ignore"):
            found: Floats = won_twice / (2 * churned.sum(axis=1) * passed[:, -1])
        return found
