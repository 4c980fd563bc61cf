"""Quantiles that all intervals share."""

import numpy as np
import pytest
from scipy.stats import norm

from app.stats.arrays import normal_quantile, student_quantile


@pytest.mark.parametrize("confidence", [1.0, float(np.nextafter(1, 0))])
def test_no_quantile_is_infinite(confidence: float) -> None:
    assert normal_quantile(confidence) == pytest.approx(-norm.ppf(2**-53), abs=1e-6)
    assert np.isfinite(student_quantile(confidence, 19))
