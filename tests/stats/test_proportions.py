import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from app.stats.proportions import Proportion, proportion, wilson


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (1, 10), (7, 10), (10, 10), (130, 2000)])
def test_wilson_is_that_of_statsmodels(hits: int, n: int) -> None:
    assert wilson(hits, n, 0.95) == pytest.approx(proportion_confint(hits, n, 0.05, "wilson"), abs=1e-9)


def test_nothing_counted_may_be_anything() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_no_trials_have_no_share() -> None:
    assert proportion(np.ones(3, dtype=bool), np.zeros(3, dtype=bool)) is None


def test_one_row_per_account_is_wilson() -> None:
    hits, trials = np.arange(40) < 9, np.arange(40) < 30
    assert proportion(hits, trials, np.arange(40)) == Proportion(0.3, 30, 30.0)


def test_rows_that_repeat_their_account_add_no_evidence() -> None:
    hits = np.arange(50) < 10
    accounts = np.arange(50)
    found = proportion(np.tile(hits, 4), np.ones(200, dtype=bool), np.tile(accounts, 4))
    assert found is not None
    assert found.n == 200
    assert found.n_effective == pytest.approx(49.0)  # 50 accounts, and G / (G - 1) for the mean that was fitted


def test_agreeing_rows_count_an_account_once() -> None:
    found = proportion(np.ones(12, dtype=bool), np.ones(12, dtype=bool), np.repeat(np.arange(3), 4))
    assert found == Proportion(1.0, 12, 3.0)
    assert found.interval(0.95) == pytest.approx(wilson(3, 3))


def test_clustered_interval_covers() -> None:
    rng, covered = np.random.default_rng(2), 0
    accounts = np.repeat(np.arange(80), 5)
    for _ in range(500):
        hits = rng.random(400) < rng.beta(1, 4, 80)[accounts]  # a mean of .2, alike within an account
        found = proportion(hits, np.ones(400, dtype=bool), accounts)
        assert found is not None
        low, high = found.interval(0.95)
        covered += low <= 0.2 <= high
    assert 0.92 <= covered / 500 <= 0.98
