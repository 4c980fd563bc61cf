import numpy as np
import pytest

from app.stats.arrays import Ints
from app.stats.bootstrap import cluster_bootstrap, percentile_interval
from app.stats.ranking import auc, auc_difference


def test_paired_bootstrap_agrees_with_clustered_delong() -> None:
    rng = np.random.default_rng(1)
    accounts = np.repeat(np.arange(200), 3)
    trait = rng.normal(size=200)[accounts]
    y = (trait + rng.normal(size=600) > 1).astype(np.float64)
    a, b = trait + rng.normal(size=(2, 200))[:, accounts]
    values = cluster_bootstrap(lambda rows: auc(y[rows], a[rows]) - auc(y[rows], b[rows]), accounts, rng)
    assert values.std() == pytest.approx(auc_difference(y, a, b, accounts).se, rel=0.1)


def test_accounts_are_drawn_whole_and_as_many_as_there_are() -> None:
    accounts = np.array(["b", "a", "b", "c", "b"], dtype=object)
    seen: list[list[str]] = []

    def remember(rows: Ints) -> float:
        seen.append(accounts[rows].tolist())
        return 0.0

    cluster_bootstrap(remember, accounts, np.random.default_rng(2))
    for drawn in seen:
        assert drawn.count("b") % 3 == 0
        assert drawn.count("a") + drawn.count("c") + drawn.count("b") // 3 == 3


def test_same_seed_same_draws() -> None:
    first, again = (
        cluster_bootstrap(lambda rows: float(rows.sum()), np.arange(9), np.random.default_rng(3), n_resamples=5)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


def test_percentile_interval_leaves_nan_out() -> None:
    values = np.append(np.arange(101.0), np.nan)
    assert percentile_interval(values, 0.9) == pytest.approx((5, 95))
    assert np.isnan(percentile_interval(np.array([np.nan]))).all()
