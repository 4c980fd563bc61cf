import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests

from app.stats.multiplicity import step_down


@pytest.mark.parametrize("seed", range(8))
def test_holm_rejects_what_statsmodels_rejects(seed: int) -> None:
    z = np.random.default_rng(seed).normal(1.5, 1.5, 8)
    p_values = 2 * norm.sf(np.abs(z))
    rejected = step_down(lambda at, confidence: abs(z[at]) > norm.isf((1 - confidence) / 2), z.size, 0.05)
    expected = np.flatnonzero(multipletests(p_values, 0.05, method="holm")[0])
    assert sorted(rejected) == expected.tolist()


def test_nothing_to_test_rejects_nothing() -> None:
    assert step_down(lambda at, confidence: True, 0, 0.05) == frozenset()


def test_true_hypotheses_are_seldom_rejected_however_many() -> None:
    rng, wrong = np.random.default_rng(1), 0
    for _ in range(2000):
        z = rng.normal(size=20)
        wrong += bool(step_down(lambda at, c, z=z: abs(z[at]) > norm.isf((1 - c) / 2), 20, 0.05))  # type: ignore[misc]
    assert 0.03 < wrong / 2000 < 0.065
