from math import sqrt

import numpy as np
import pytest
import scipy.stats

from app.stats.resampling import corrected_mean


def test_the_variance_is_nadeau_and_bengios() -> None:
    values = np.random.default_rng(1).normal(0.75, 0.04, 20)
    found = corrected_mean(values, test_share=0.2)
    assert found.value == pytest.approx(values.mean())
    assert found.degrees == 19
    assert found.se == pytest.approx(sqrt((1 / 20 + 1 / 4) * values.var(ddof=1)))
    low, high = scipy.stats.t.interval(0.95, 19, loc=values.mean(), scale=found.se)
    assert found.interval(0.95) == pytest.approx((low, high))


def test_equal_folds_have_no_error() -> None:
    assert corrected_mean(np.zeros(20), test_share=0.2).interval(0.99) == (0.0, 0.0)


def test_an_interval_ends_where_the_measure_does() -> None:
    found = corrected_mean(np.array([0.9, 1.0, 0.95, 1.0]), test_share=0.25, least=0.0, most=1.0)
    assert found.interval().high == 1.0


def test_folds_that_cannot_tell_are_left_out_up_to_half() -> None:
    nan = float("nan")
    found = corrected_mean(np.array([0.6, nan, 0.8, nan]), test_share=0.2)
    assert found.value == pytest.approx(0.7)
    assert found.degrees == 1
    for values in ([nan, nan, nan, 0.7], [0.7], []):
        lost = corrected_mean(np.array(values), test_share=0.2)
        assert np.isnan(lost.value)
        assert np.isnan(lost.interval().low)
