import numpy as np
import pytest
from scipy import stats

from app.stats.gains import cumulative_gain, lift


def test_gain_by_hand() -> None:
    y = np.array([1.0, 0.0, 1.0, 0.0, 0.0])
    score = np.array([0.9, 0.8, 0.4, 0.3, 0.1])
    found = cumulative_gain(y, score, np.array([0.0, 0.2, 0.4, 0.6, 1.0]))
    assert found == pytest.approx([0, 0.5, 0.5, 1, 1])


def test_gain_among_ties_is_the_mean_over_all_orders() -> None:
    rng = np.random.default_rng(1)
    y, score = (rng.random(40) < 0.4).astype(np.float64), rng.integers(0, 4, 40).astype(np.float64)
    shares = np.array([0.1, 0.35, 0.5, 0.9])
    seen = []
    for _ in range(4000):
        order = np.lexsort((rng.random(40), -score))
        seen.append(np.cumsum(y[order])[(shares * 40).astype(int) - 1] / y.sum())
    assert cumulative_gain(y, score, shares) == pytest.approx(np.mean(seen, axis=0), abs=0.01)


def test_without_churners_there_is_no_gain() -> None:
    assert np.isnan(cumulative_gain(np.zeros(3), np.arange(3.0), np.array([0.5]))).all()


def test_lift_by_hand() -> None:
    y = np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    found = lift(y, np.array([True, False, True, False, False, False]))
    assert found.value == pytest.approx(0.5 / (2 / 6))
    # influences: 1 - 1/2 - 1/2 + 1/6, -1/2 + 1/6, -1/2 + 1/6, 1/6 three times
    assert found.log_se**2 == pytest.approx((1 / 36 + 4 / 36 + 4 / 36 + 3 / 36) * 6 / 5)


def test_an_account_that_repeats_tells_no_more() -> None:
    rng = np.random.default_rng(2)
    y, flagged = (rng.random(200) < 0.3).astype(np.float64), rng.random(200) < 0.2
    thrice = lift(np.tile(y, 3), np.tile(flagged, 3), np.tile(np.arange(200), 3))
    assert thrice.value == pytest.approx(lift(y, flagged).value)
    assert thrice.log_se == pytest.approx(lift(y, flagged).log_se)


@pytest.mark.parametrize("n_instants", [1, 4])
def test_lift_interval_covers_the_truth(n_instants: int) -> None:
    """Accounts flagged at 20 % churn 40 % of the time, the others 10 %: a lift of .4 / .16, also clustered."""
    rng, covered, runs = np.random.default_rng(3), 0, 600
    for _ in range(runs):
        accounts = np.repeat(np.arange(400), n_instants)
        flagged = (rng.random(400) < 0.2)[accounts]
        # One draw per account in common with each row's own, so that rows of an account go together.
        common = stats.norm.cdf((rng.normal(size=400)[accounts] + rng.normal(size=accounts.size)) / np.sqrt(2))
        y = (common < np.where(flagged, 0.4, 0.1)).astype(np.float64)
        low, high = lift(y, flagged, accounts).interval()
        covered += low <= 0.4 / 0.16 <= high
    assert 0.925 <= covered / runs <= 0.975


def test_what_nobody_shows_is_unknown() -> None:
    y = np.array([1.0, 0.0, 0.0])
    assert np.isnan(lift(y, np.zeros(3, dtype=np.bool_)).value)
    missed = lift(y, np.array([False, True, False]))
    assert missed.value == 0
    assert np.isnan(missed.interval()).all()
