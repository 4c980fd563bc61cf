"""A small version of the study in `benchmarks/calibration`: what the recipe promises, and what the usual way gives."""

import numpy as np
import pytest

from app.ml.kinds.models import ModelKind
from benchmarks.calibration import draw, study


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_the_planted_truth_has_the_rate_asked_for_and_is_what_labels_follow(rate: float) -> None:
    sample = draw(40_000, rate, seed=1)
    assert sample.truth.mean() == pytest.approx(rate, abs=1e-9)
    for low, high in ((0, rate), (rate, 1)):
        rows = (sample.truth >= low) & (sample.truth < high)
        error = np.sqrt((sample.truth[rows] * (1 - sample.truth[rows])).sum()) / rows.sum()
        assert sample.y[rows].mean() == pytest.approx(sample.truth[rows].mean(), abs=3.5 * error)


@pytest.mark.slow
def test_probabilities_are_right_on_average_and_neither_too_extreme_nor_too_timid() -> None:
    found = study(ModelKind.LIGHTGBM, 5_000, 0.2, n_seeds=4)
    assert abs(found["recipe"].errors.mean()) < 1
    assert found["recipe"].slopes.mean() == pytest.approx(1, abs=0.15)
    assert found["usual"].slopes.mean() > found["recipe"].slopes.mean() + 0.2
