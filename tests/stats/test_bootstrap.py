import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from app.stats import bootstrap
from app.stats.arrays import Clusters, Floats
from app.stats.bootstrap import bootstrap_auc, bootstrap_aucs, bootstrap_difference
from app.stats.ranking import auc_difference, auc_estimate


def make(n: int, rate: float, seed: int, *, digits: int = 1, rows: int = 1) -> tuple[Floats, Floats, Floats, Clusters]:
    """Labels, two related scores with ties, and accounts of `rows` rows that are much alike."""
    rng = np.random.default_rng(seed)
    y = np.repeat((rng.random(n) < rate).astype(np.float64), rows)
    common = np.repeat(rng.normal(size=n), rows)
    a, b = (np.round(y + common + 0.7 * np.repeat(rng.normal(size=n), rows), digits) for _ in range(2))
    return y, a, b, np.repeat(np.arange(n), rows)


def slow_draws(y: Floats, scores: Floats, clusters: Clusters, n_draws: int, seed: int) -> Floats:
    """Rows copied as often as their cluster is drawn, then scikit-learn."""
    rng, n = np.random.default_rng(seed), int(clusters.max()) + 1
    drawn = rng.integers(0, n, size=(n_draws, n))
    found = np.full((len(scores), n_draws), np.nan)
    for at, draw in enumerate(drawn):
        rows = np.concatenate([np.flatnonzero(clusters == cluster) for cluster in draw])
        if np.unique(y[rows]).size == 2:
            found[:, at] = [roc_auc_score(y[rows], score[rows]) for score in scores]
    return found


@pytest.mark.parametrize("rows", [1, 3])
def test_a_draw_is_rows_copied_as_often_as_their_account_is_drawn(rows: int) -> None:
    y, a, b, accounts = make(60, 0.2, seed=1, rows=rows)
    scores = np.stack([a, b])
    fast = bootstrap_aucs(y, scores, accounts, n_draws=40, seed=9)
    np.testing.assert_allclose(fast, slow_draws(y, scores, accounts, 40, 9), atol=1e-12)


def test_draws_of_one_class_are_left_out() -> None:
    y, score = np.array([1.0, 0.0, 0.0]), np.array([0.9, 0.1, 0.4])
    found = bootstrap_aucs(y, score[np.newaxis], n_draws=200, seed=1)[0]
    np.testing.assert_array_equal(found, slow_draws(y, score[np.newaxis], np.arange(3), 200, 1)[0])
    assert 20 < np.isnan(found).sum() < 100  # (2/3)^3 + (1/3)^3 of the time: 33 %
    assert bootstrap_auc(y, score, n_draws=200, seed=1).values.size == np.isfinite(found).sum()


@pytest.mark.parametrize("y", [np.empty(0), np.zeros(5), np.ones(4)])
def test_without_both_classes_nothing_is_known(y: Floats) -> None:
    found = bootstrap_auc(y, np.arange(float(y.size)), n_draws=10, seed=1)
    assert found.values.size == 0
    assert np.isnan([found.se, *found.interval()]).all()


def test_the_seed_decides_and_memory_is_bounded_without_changing_a_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    y, a, b, accounts = make(100, 0.3, seed=2)
    whole = bootstrap_difference(y, a, b, accounts, n_draws=50, seed=4).values
    np.testing.assert_array_equal(whole, bootstrap_difference(y, a, b, accounts, n_draws=50, seed=4).values)
    assert not np.array_equal(whole, bootstrap_difference(y, a, b, accounts, n_draws=50, seed=5).values)
    monkeypatch.setattr(bootstrap, "_CELLS", 700)
    np.testing.assert_array_equal(whole, bootstrap_difference(y, a, b, accounts, n_draws=50, seed=4).values)


def test_equal_scores_differ_by_exactly_nothing() -> None:
    y, a, _, accounts = make(200, 0.3, seed=3)
    found = bootstrap_difference(y, a, a.copy(), accounts, n_draws=100, seed=1)
    assert (found.se, found.interval()) == (0.0, (0.0, 0.0))


@pytest.mark.parametrize("rows", [1, 5])
def test_it_agrees_with_delong_and_with_what_new_samples_do(rows: int) -> None:
    """Over 40 samples the mean standard errors agree, and are the spread of the estimates themselves."""
    booted, delong, estimates = [], [], []
    for seed in range(40):
        y, a, b, accounts = make(500, 0.2, seed=100 + seed, digits=6, rows=rows)
        booted.append(bootstrap_difference(y, a, b, accounts, n_draws=200, seed=seed).se)
        found = auc_difference(y, a, b, accounts)
        delong.append(found.se)
        estimates.append(found.value)
    assert np.mean(booted) == pytest.approx(np.mean(delong), rel=0.04)
    assert np.mean(booted) == pytest.approx(np.std(estimates, ddof=1), rel=0.35)  # a sd of 40 is good to 11 %


def test_the_interval_of_one_auc_is_near_the_logit_interval() -> None:
    y, a, _, accounts = make(2000, 0.2, seed=5, digits=6)
    found = bootstrap_auc(y, a, accounts, n_draws=2000, seed=1)
    assert found.interval() == pytest.approx(auc_estimate(y, a, accounts).interval(), abs=0.004)
