"""Paired bootstrap of AUCs: whole accounts drawn again with replacement, all scores on the same draws."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from app.stats.arrays import Bools, Clusters, Floats, Interval, Ints, cluster_codes

_CELLS = 1_000_000  # rows times draws that are held at a time: 8 MB an array


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

    A draw is a weight for each row: how often its cluster was drawn. Scores are sorted once, so that a draw costs a
    few passes over the rows; memory is bounded whatever the number of rows and draws.

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
    ranked = [_Ranked.of(score, y == 1) for score in scores]
    parts = [np.stack([each.weighted_auc(weights) for each in ranked]) for weights in _draw(codes, n_draws, rng)]
    return np.concatenate(parts, axis=1)


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


def _draw(codes: Ints, n_draws: int, rng: np.random.Generator) -> Iterator[Floats]:
    """How often each row is drawn: arrays of shape (at most so many draws as fit, n)."""
    n_clusters = int(codes.max()) + 1 if codes.size else 0
    at_a_time = max(1, _CELLS // max(codes.size, 1))
    for begin in range(0, n_draws, at_a_time):
        n = min(at_a_time, n_draws - begin)
        drawn = rng.integers(0, max(n_clusters, 1), size=(n, n_clusters)) + n_clusters * np.arange(n)[:, np.newaxis]
        counts = np.bincount(drawn.ravel(), minlength=n * n_clusters).reshape(n, n_clusters)
        yield counts[:, codes].astype(np.float64)


@dataclass(frozen=True)
class _Ranked:
    """One score, sorted: where each group of equal scores begins, and which of the sorted rows churned."""

    order: Ints
    starts: Ints
    positive: Bools

    @classmethod
    def of(cls, score: Floats, positive: Bools) -> "_Ranked":
        order = np.argsort(score, kind="stable")
        ranked = score[order]
        starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1])) if score.size else np.empty(0, np.int64)
        return cls(order, starts, positive[order])

    def weighted_auc(self, weights: Floats) -> Floats:
        """Of rows that count so often: shape (draws,)."""
        if not self.order.size:
            return np.full(len(weights), np.nan)
        sorted_weights = weights[:, self.order]
        churned = np.add.reduceat(np.where(self.positive, sorted_weights, 0.0), self.starts, axis=1)
        stayed = np.add.reduceat(np.where(self.positive, 0.0, sorted_weights), self.starts, axis=1)
        below = np.cumsum(stayed, axis=1) - stayed / 2
        pairs = churned.sum(axis=1) * stayed.sum(axis=1)
        with np.errstate(invalid="ignore"):
            found: Floats = (churned * below).sum(axis=1) / pairs
        return found
