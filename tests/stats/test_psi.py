import numpy as np
import pytest
from scipy.stats import kstest, norm

from app.stats.arrays import Ints
from app.stats.binning import bin_counts, quantile_edges
from app.stats.psi import Psi, benjamini_hochberg, merge_levels, merge_neighbours, psi


def draw(rng: np.random.Generator, share: list[float], n: int) -> Ints:
    return rng.multinomial(n, share).astype(np.int64)


def test_psi_worked_by_hand() -> None:
    # half a count each: p = 10.5/21, 10.5/21; q = 15.5/21, 5.5/21
    p, q = 0.5, 15.5 / 21
    expected = (q - p) * np.log(q / p) + (1 - q - p) * np.log((1 - q) / p)
    assert psi(np.array([10, 10]), np.array([15, 5])).value == pytest.approx(expected)


def test_bias_worked_by_hand() -> None:
    assert Psi(0.5, 1 / 100 + 1 / 50, 4).corrected == pytest.approx(0.5 - 3 * 0.03)


def test_empty_bins_stay_finite() -> None:
    assert 0 < psi(np.array([0, 50]), np.array([50, 0])).value < 20


@pytest.mark.parametrize(("a", "b"), [([1, 2], [1, 2, 3]), ([0, 0], [1, 2]), ([1, 2], [0, 0])])
def test_samples_that_cannot_be_compared_are_refused(a: list[int], b: list[int]) -> None:
    with pytest.raises(ValueError, match="two samples over the same bins"):
        psi(np.array(a), np.array(b))


def test_one_bin_tells_nothing() -> None:
    one = psi(np.array([20]), np.array([30]))
    assert (one.corrected, one.p_value, one.interval(0.95)) == (0.0, 1.0, (0.0, 0.0))
    assert one.smallest_detectable() == np.inf


def test_null_p_values_are_uniform_and_the_correction_removes_the_bias() -> None:
    rng, share = np.random.default_rng(1), [0.05, 0.1, 0.15, 0.2, 0.5]
    found = [psi(draw(rng, share, 1500), draw(rng, share, 600)) for _ in range(1500)]
    assert kstest([index.p_value for index in found], "uniform").pvalue > 0.01
    assert np.mean([index.corrected for index in found]) == pytest.approx(0, abs=4e-4)
    assert np.mean([index.corrected > index.critical_value(0.05) for index in found]) == pytest.approx(0.05, abs=0.02)


def shifted(sd: float) -> tuple[list[float], float]:
    """Shares of ten equal bins of a normal after a shift by `sd`, and the true index."""
    edges = norm.ppf(np.linspace(0, 1, 11))
    q = np.diff(norm.cdf(edges - sd))
    return q.tolist(), float(np.sum((q - 0.1) * np.log(q / 0.1)))


@pytest.mark.parametrize("sd", [0.2, 0.35, 0.5])
def test_interval_covers_the_true_index_of_a_shift(sd: float) -> None:
    rng, (share, truth), covered = np.random.default_rng(2), shifted(sd), 0
    for _ in range(300):
        low, high = psi(draw(rng, [0.1] * 10, 3000), draw(rng, share, 1000)).interval(0.95)
        covered += low <= truth <= high
    assert covered / 300 >= 0.92


def test_interval_of_twins_is_no_point() -> None:
    low, high = psi(np.array([500, 500]), np.array([500, 500])).interval(0.95)
    assert low == 0.0
    assert high > 0.0


def test_smallest_detectable_index_is_found_four_times_in_five() -> None:
    rng, (share, truth) = np.random.default_rng(3), shifted(0.2)
    # the sample sizes at which the true index of this shift is just detectable
    n = next(n for n in range(100, 5000, 20) if Psi(0.0, 2 / n, 10).smallest_detectable() <= truth)
    found = [psi(draw(rng, [0.1] * 10, n), draw(rng, share, n)).p_value < 0.05 for _ in range(600)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)


def test_interval_holds_at_a_million_rows() -> None:
    share, truth = shifted(0.5)
    rng = np.random.default_rng(4)
    low, high = psi(draw(rng, [0.1] * 10, 1_000_000), draw(rng, share, 1_000_000)).interval(0.95)
    assert low < truth < high < low + 0.01


def test_rare_levels_are_pooled_until_ten_are_expected_in_both() -> None:
    # equal sizes: half of each pooled count is expected; 4 + 8 = 12 rows expect 6, with the next 30 they expect 21
    reference, current = np.array([100, 2, 5, 15, 78]), np.array([100, 2, 3, 15, 80])
    merged = merge_levels(reference, current)
    np.testing.assert_array_equal(np.sort(merged[0]), [22, 78, 100])
    np.testing.assert_array_equal(np.sort(merged[1]), [20, 80, 100])


def test_sparse_neighbours_are_pooled_and_order_kept() -> None:
    reference, current = np.array([50, 3, 60, 1, 86]), np.array([50, 3, 60, 1, 86])
    np.testing.assert_array_equal(merge_neighbours(reference, current)[0], [53, 61, 86])


def test_merging_may_end_in_a_single_bin() -> None:
    assert merge_levels(np.array([2, 3]), np.array([1, 1]))[0].tolist() == [5]
    assert merge_neighbours(np.array([0, 0]), np.array([0, 0]))[0].tolist() == [0]


def test_benjamini_hochberg_worked_by_hand_leaves_nan_out() -> None:
    # of four: .01*4/1, .02*4/2, .03*4/3, .5*4/4, each no larger than the next
    found = benjamini_hochberg(np.array([0.5, 0.01, np.nan, 0.03, 0.02]))
    np.testing.assert_allclose(found, [0.5, 0.04, np.nan, 0.04, 0.04])
    assert benjamini_hochberg(np.empty(0)).size == 0


def test_quantile_bins_are_even_and_keep_ties_together() -> None:
    edges = quantile_edges(np.arange(1000.0))
    assert bin_counts(np.arange(1000.0), edges).tolist() == [100] * 10
    heavy = np.concatenate([np.zeros(700), np.arange(1.0, 301.0)])
    assert bin_counts(heavy, quantile_edges(heavy)).tolist() == [700, 100, 100, 100]


def test_bins_are_open_outside_and_a_constant_is_alone_in_its_bin() -> None:
    edges = quantile_edges(np.full(50, 3.0))
    assert bin_counts(np.array([2.9, 3.0, 3.1]), edges).tolist() == [1, 1, 1]
    assert bin_counts(np.array([-1e9, 1e9]), quantile_edges(np.arange(10.0)))[[0, -1]].tolist() == [1, 1]
    assert quantile_edges(np.empty(0)).size == 0
