import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from app.stats.arrays import Clusters, Floats
from app.stats.ranking import auc, auc_difference, auc_estimate, auc_interval, delong, pr_auc


def make_scores(n: int, rate: float, seed: int, *, digits: int = 1) -> tuple[Floats, Floats, Floats]:
    """Labels and two related scores with many ties."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < rate).astype(np.float64)
    common = rng.normal(size=n)
    a = np.round(1.0 * y + common + 0.7 * rng.normal(size=n), digits)
    return y, a, np.round(0.8 * y + common + 0.7 * rng.normal(size=n), digits)


def slow_covariance(y: Floats, scores: Floats, clusters: Clusters) -> Floats:
    """Obuchowski (1997), written out: every pair compared, every cluster summed."""
    m, positive, negative = len(scores), np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    names = sorted(set(clusters.tolist()))
    up, down = scores[:, positive, None], scores[:, None, negative]
    pair = (up > down) + 0.5 * (up == down)
    theta, v10, v01 = pair.mean(axis=(1, 2)), pair.mean(axis=2), pair.mean(axis=1)
    n_pos, n_neg = len(positive), len(negative)
    in_pos = [clusters[positive] == name for name in names]
    in_neg = [clusters[negative] == name for name in names]
    i10, i01, i = sum(map(np.any, in_pos)), sum(map(np.any, in_neg)), len(names)
    out = np.zeros((m, m))
    for r in range(m):
        for s in range(m):
            s10 = s01 = s11 = 0.0
            for p, q in zip(in_pos, in_neg, strict=True):
                x_r, x_s = v10[r][p].sum() - p.sum() * theta[r], v10[s][p].sum() - p.sum() * theta[s]
                y_r, y_s = v01[r][q].sum() - q.sum() * theta[r], v01[s][q].sum() - q.sum() * theta[s]
                s10, s01, s11 = s10 + x_r * x_s, s01 + y_r * y_s, s11 + x_r * y_s + x_s * y_r
            s10 *= i10 / ((i10 - 1) * n_pos)
            s01 *= i01 / ((i01 - 1) * n_neg)
            s11 *= i / (i - 1)
            out[r, s] = s10 / n_pos + s01 / n_neg + s11 / (n_pos * n_neg)
    return out


@pytest.mark.parametrize("seed", range(3))
def test_auc_is_scikit_learns_with_ties(seed: int) -> None:
    y, a, _ = make_scores(500, 0.2, seed)
    assert auc(y, a) == pytest.approx(roc_auc_score(y, a), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_pr_auc_is_scikit_learns_average_precision_with_ties(seed: int) -> None:
    y, a, _ = make_scores(500, 0.2, seed)
    assert pr_auc(y, a) == pytest.approx(average_precision_score(y, a), abs=1e-12)


def test_auc_worked_by_hand() -> None:
    # pairs: (.5 v .5) half, (.5 v .1) won, (.9 v both) won: 3.5 of 4
    assert auc(np.array([1.0, 1, 0, 0]), np.array([0.5, 0.9, 0.5, 0.1])) == 0.875


def test_one_class_has_no_auc() -> None:
    assert np.isnan(auc(np.ones(3), np.arange(3.0)))
    assert np.isnan(pr_auc(np.zeros(3), np.arange(3.0)))
    assert np.isnan(auc_estimate(np.ones(3), np.arange(3.0)).interval().low)
    assert np.isnan(auc_difference(np.ones(3), np.arange(3.0), np.arange(3.0)).se)


def test_clustered_covariance_is_that_of_the_slow_oracle() -> None:
    y, a, b = make_scores(150, 0.3, 1)
    accounts = np.array([f"a{i}" for i in np.random.default_rng(5).integers(40, size=150)], dtype=object)
    found = delong(y, np.stack([a, b]), accounts)
    np.testing.assert_allclose(found.covariance, slow_covariance(y, np.stack([a, b]), accounts), rtol=1e-10)


def test_one_row_per_account_is_plain_delong() -> None:
    y, a, b = make_scores(120, 0.3, 2)
    pair = [(s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0]) for s in (a, b)]
    plain = np.cov([p.mean(axis=1) for p in pair]) / (y == 1).sum()
    plain = plain + np.cov([p.mean(axis=0) for p in pair]) / (y == 0).sum()
    for clusters in (None, np.arange(120)):
        np.testing.assert_allclose(delong(y, np.stack([a, b]), clusters).covariance, plain, rtol=1e-10)


def test_difference_is_the_contrast_of_the_covariance() -> None:
    y, a, b = make_scores(300, 0.2, 3)
    accounts = np.random.default_rng(1).integers(90, size=300)
    both, paired = delong(y, np.stack([a, b]), accounts), auc_difference(y, a, b, accounts)
    assert paired.value == pytest.approx(both.auc[0] - both.auc[1], abs=1e-12)
    contrast = np.array([1.0, -1.0])
    assert paired.se**2 == pytest.approx(float(contrast @ both.covariance @ contrast), rel=1e-9)


def test_scores_that_rank_alike_differ_by_exactly_nothing() -> None:
    y, a, _ = make_scores(300, 0.2, 4)
    same = auc_difference(y, a, np.exp(a) + 3, np.arange(300) // 3)
    assert (same.value, same.se) == (0.0, 0.0)
    assert same.interval(0.95) == (0.0, 0.0)


def test_perfect_ranking_keeps_an_honest_interval() -> None:
    few = auc_interval(np.array([0.0, 0, 0, 1, 1]), np.array([1.0, 2, 3, 4, 5]))
    many = auc_interval(np.repeat([0.0, 1.0], 200), np.arange(400.0))
    assert few.high == many.high == 1.0
    assert few.low < 0.6 < 0.95 < many.low
    upside_down = auc_interval(np.array([1.0, 1, 0, 0, 0]), np.array([1.0, 2, 3, 4, 5]))
    assert upside_down == pytest.approx((0.0, 1 - few.low))


def test_constant_score_is_exactly_a_half() -> None:
    assert auc_interval(np.array([0.0, 1, 0, 1]), np.ones(4)) == (0.5, 0.5)


def test_clusters_must_match_the_rows() -> None:
    with pytest.raises(ValueError, match="need 4 clusters"):
        auc_estimate(np.array([0.0, 1, 0, 1]), np.arange(4.0), np.arange(3))


def draw_accounts(rng: np.random.Generator) -> tuple[Floats, Floats, Floats, Clusters]:
    """Six rows for each of 150 accounts, which share their propensity and most of each score: two equal models."""
    n_accounts = 150
    accounts = np.repeat(np.arange(n_accounts), 6)
    trait = rng.normal(size=n_accounts)[accounts]
    y = (trait + rng.normal(size=accounts.size) > 1.4).astype(np.float64)
    shared = rng.normal(size=(2, n_accounts))[:, accounts]
    a, b = trait + shared + rng.normal(size=(2, accounts.size)) * 0.5
    return y, a, b, accounts


@pytest.mark.slow
def test_clustered_intervals_of_equal_models_cover_where_plain_ones_do_not() -> None:
    rng = np.random.default_rng(11)
    covered = np.zeros(2)
    for _ in range(400):
        y, a, b, accounts = draw_accounts(rng)
        for i, clusters in enumerate((accounts, None)):
            low, high = auc_difference(y, a, b, clusters).interval(0.95)
            covered[i] += low <= 0 <= high
    clustered, plain = covered / 400
    assert 0.91 <= clustered <= 0.98
    assert plain < 0.88


def test_logit_interval_covers_the_planted_auc_with_thirty_churners() -> None:
    rng, shift, covered = np.random.default_rng(12), 1.2, 0
    truth = norm.cdf(shift / np.sqrt(2))
    y = np.repeat([0.0, 1.0], [270, 30])
    for _ in range(500):
        low, high = auc_interval(y, rng.normal(size=300) + shift * y)
        covered += low <= truth <= high
    assert 0.925 <= covered / 500 <= 0.975
