"""Bins of about equal filling, and counting into them."""

import numpy as np

from app.stats.arrays import Floats, Ints


def quantile_edges(values: Floats, n_bins: int = 10) -> Floats:
    """Inner edges of at most `n_bins` bins with about equally many values; equal values are never parted.

    Bin i holds edge[i-1] < x <= edge[i]; the outer bins are open. Where all values are equal, they get a narrow bin
    of their own between two empty ones, so that any other value will show.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Finite; may be empty, then there is one bin and no edge.
    n_bins : int
        2 or more.

    Returns
    -------
    ndarray of shape (at most n_bins - 1,)
        Rising; each is one of the values.
    """
    if not values.size:
        return np.empty(0)
    edges = np.unique(np.quantile(values, np.arange(1, n_bins) / n_bins, method="inverted_cdf"))
    if edges.size == 1 and values.min() == values.max():
        return np.array([np.nextafter(edges[0], -np.inf), edges[0]])
    return np.asarray(edges, dtype=np.float64)


def bin_counts(values: Floats, edges: Floats) -> Ints:
    """Values per bin of `quantile_edges`: shape (len(edges) + 1,); `values` hold no NaN."""
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=edges.size + 1).astype(np.int64)
