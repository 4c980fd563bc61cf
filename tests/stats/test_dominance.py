import numpy as np
import pytest
from scipy.stats import t

from app.stats.dominance import leading_share


def test_the_share_and_its_interval_are_those_of_the_folds() -> None:
    importances = np.array([[6.0, 2.0, 2.0], [5.0, 5.0, 0.0], [14.0, 4.0, 2.0]])
    found = leading_share(importances)
    assert found is not None
    shares = np.array([0.6, 0.5, 0.7])
    assert (found.feature, found.n_folds) == (0, 3)
    assert found.value == pytest.approx(0.6)
    expected = t.interval(0.95, 2, loc=0.6, scale=shares.std(ddof=1) / np.sqrt(3))
    assert found.interval(0.95) == pytest.approx(expected)


def test_the_interval_stays_inside_of_all_and_nothing() -> None:
    found = leading_share(np.array([[9.0, 1.0], [5.0, 5.0]]))
    assert found is not None
    assert found.interval() == (0.0, 1.0)


def test_the_only_feature_that_counts_leads_for_sure() -> None:
    found = leading_share(np.array([[3.0, 0.0], [7.0, 0.0]]))
    assert found is not None
    assert (found.value, found.interval()) == (1.0, (1.0, 1.0))


def test_folds_in_which_nothing_counts_tell_nothing() -> None:
    assert leading_share(np.array([[0.0, 0.0], [1.0, 0.0]])) is None
