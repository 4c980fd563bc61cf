import numpy as np
import pytest
from scipy.stats import binom
from sklearn.model_selection import StratifiedGroupKFold

from app.ml.split import SplitError, deal_folds, deal_sides

ACCOUNTS = [f"a{number}" for number in range(1000)]
CHURNED = (np.arange(1000) % 4 == 0).astype(np.float64)


def test_sides_are_60_20_20_of_churners_and_of_others() -> None:
    sides = deal_sides(ACCOUNTS, CHURNED, seed=3)
    for label, n in ((1.0, 250), (0.0, 750)):
        counts = [int(np.sum(sides[label == CHURNED] == side)) for side in ("train", "validation", "test")]
        assert counts == pytest.approx([0.6 * n, 0.2 * n, 0.2 * n], abs=1)


def test_the_order_of_accounts_has_no_effect() -> None:
    order = np.random.default_rng(0).permutation(1000)
    shuffled = deal_sides([ACCOUNTS[i] for i in order], CHURNED[order], seed=3)
    assert (shuffled == deal_sides(ACCOUNTS, CHURNED, seed=3)[order]).all()


def test_another_seed_deals_otherwise() -> None:
    assert (deal_sides(ACCOUNTS, CHURNED, seed=3) != deal_sides(ACCOUNTS, CHURNED, seed=4)).any()


def test_accounts_that_come_one_by_one_fall_on_each_side_with_the_right_chance() -> None:
    alone = [deal_sides([account], np.zeros(1), seed=3)[0] for account in ACCOUNTS]
    for side, share in (("train", 0.6), ("validation", 0.2), ("test", 0.2)):
        low, high = binom.interval(0.9999, 1000, share)
        assert low <= alone.count(side) <= high


def test_an_account_is_dealt_once() -> None:
    with pytest.raises(SplitError, match="twice"):
        deal_sides(["a", "a"], np.zeros(2), seed=1)


def test_an_account_without_label_is_not_dealt() -> None:
    with pytest.raises(SplitError, match="label"):
        deal_sides(["a"], np.array([np.nan]), seed=1)


def test_folds_are_stratified_and_of_one_size() -> None:
    folds = deal_folds(ACCOUNTS, CHURNED, 5, seed=1)
    assert np.bincount(folds).tolist() == [200] * 5
    assert np.bincount(folds, weights=CHURNED).tolist() == [50] * 5


def test_rows_of_an_account_share_a_fold() -> None:
    accounts = [f"a{number // 3}" for number in range(300)]
    folds = deal_folds(accounts, (np.arange(300) % 7 == 0).astype(np.float64), 4, seed=1)
    assert (folds.reshape(100, 3) == folds[::3, np.newaxis]).all()


@pytest.mark.parametrize("seed", range(5))
def test_folds_of_accounts_of_many_sizes_are_as_even_as_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    accounts = np.repeat(np.arange(400), rng.integers(1, 12, 400))
    churned = (rng.random(accounts.size) < rng.beta(1, 8, 400)[accounts]).astype(np.float64)
    ours = deal_folds([f"a{account:04}" for account in accounts], churned, 5, seed=seed)
    theirs = np.empty(accounts.size, dtype=np.int64)
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    for fold, (_, out) in enumerate(splitter.split(accounts[:, np.newaxis], churned, accounts)):
        theirs[out] = fold
    for each in np.unique(accounts):
        assert np.unique(ours[accounts == each]).size == 1
    for weights in (None, churned):
        spread = [np.ptp(np.bincount(folds, weights=weights)) / accounts.size for folds in (ours, theirs)]
        assert spread[0] <= spread[1] + 0.015


def test_too_few_churners_for_the_folds_are_refused() -> None:
    with pytest.raises(SplitError, match="5 development accounts that churned, not 1"):
        deal_folds(["a", "b", "c", "d", "e", "f"], np.array([1.0, 0, 0, 0, 0, 0]), 5, seed=1)
