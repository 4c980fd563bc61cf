import numpy as np
import pytest

from app.stats.power import churners_needed, pass_probability, planned_se


@pytest.mark.parametrize(("difference", "churners"), [(0.02, 290), (0.01, 1170)])
def test_churners_needed_are_those_of_the_simulation(difference: float, churners: int) -> None:
    assert churners_needed(difference) == pytest.approx(churners, rel=0.02)


def test_planned_error() -> None:
    assert planned_se(400) == pytest.approx(0.0061)
    assert planned_se(0) == float("inf")


def test_needed_churners_give_the_power_they_promise() -> None:
    n = churners_needed(0.02, power=0.8)
    assert pass_probability(0.02, se=planned_se(n), threshold=0) == pytest.approx(0.8, abs=0.005)


def test_pass_probability_is_that_of_drawn_estimates() -> None:
    estimates = np.random.default_rng(1).normal(0.015, 0.01, 100_000)
    drawn = np.mean(estimates - 1.959964 * 0.01 >= -0.01)
    assert pass_probability(0.015, se=0.01, threshold=-0.01) == pytest.approx(drawn, abs=0.005)


def test_without_error_the_answer_is_certain() -> None:
    assert pass_probability(0.0, se=0.0, threshold=0.0) == 1.0
    assert pass_probability(-0.001, se=0.0, threshold=0.0) == 0.0
