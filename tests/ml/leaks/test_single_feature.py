import numpy as np
import pyarrow as pa
import pytest

from app.ml.leaks.findings import Level
from app.ml.leaks.single_feature import probe_single_feature
from benchmarks.leaks import (
    draw_binormal,
    draw_flipped_copy,
    draw_flipped_text,
    draw_honest,
    draw_honest_levels,
    draw_labels,
    study_single,
)
from tests.ml.leaks.build import column_of, rows_of


def test_an_honest_feature_is_never_certain() -> None:
    certain, found = study_single(draw_honest, 200, runs=150, seed=3)
    assert certain == 0
    assert found > 0.95  # its lower bound is above .90: suspected


def test_an_honest_text_is_never_certain() -> None:
    assert study_single(draw_honest_levels, 200, runs=60, seed=4)[0] == 0


def test_copies_with_one_flip_in_a_hundred_are_certain_with_500_churners() -> None:
    assert study_single(draw_flipped_copy, 500, runs=100, seed=5)[0] >= 0.99
    assert study_single(draw_flipped_text, 500, runs=40, seed=6)[0] >= 0.97


def test_few_churners_make_it_suspected() -> None:
    y = draw_labels(np.random.default_rng(1), 40, rate=0.01)
    found = probe_single_feature(column_of(y + np.random.default_rng(2).normal(0, 0.2, y.size)), rows_of(y))
    assert found is not None
    assert found.evidence["auc_lower_99"] > 0.97
    assert found.level is Level.SUSPECTED
    assert found.name == "x:single_feature_auc"


def test_under_twenty_churners_it_says_nothing() -> None:
    y = draw_labels(np.random.default_rng(1), 19)
    assert probe_single_feature(column_of(y), rows_of(y)) is None


@pytest.mark.parametrize("sign", [1, -1])
def test_the_direction_does_not_matter(sign: int) -> None:
    rng = np.random.default_rng(1)
    y = draw_labels(rng, 300)
    found = probe_single_feature(column_of(sign * draw_binormal(rng, y, 0.99)), rows_of(y))
    assert found is not None
    assert found.evidence["auc"] == pytest.approx(0.99, abs=0.008)
    assert found.level is Level.CERTAIN


def test_missing_values_that_tell_are_found_between_the_others() -> None:
    """Churners are missing; the others have numbers around the few churners that have one."""
    rng = np.random.default_rng(1)
    y = draw_labels(rng, 300)
    gaps = (y == 1) & (rng.random(y.size) < 0.98)
    found = probe_single_feature(column_of(pa.array(rng.normal(size=y.size), mask=gaps)), rows_of(y))
    assert found is not None
    assert found.level is Level.CERTAIN


def test_names_of_accounts_are_no_finding() -> None:
    rng = np.random.default_rng(1)
    y = draw_labels(rng, 100)
    names = [f"name {i}" for i in range(y.size)]
    assert probe_single_feature(column_of(names), rows_of(y)) is None
    twice = [name for name in names for _ in range(2)]
    assert probe_single_feature(column_of(twice), rows_of(np.repeat(y, 2), twice)) is None


def test_repeated_rows_of_an_account_are_no_further_evidence() -> None:
    rng = np.random.default_rng(1)
    y = draw_labels(rng, 60)
    x = draw_binormal(rng, y, 0.96)
    once = probe_single_feature(column_of(x), rows_of(y))
    many = probe_single_feature(
        column_of(np.repeat(x, 8)), rows_of(np.repeat(y, 8), np.repeat(np.arange(y.size), 8).tolist())
    )
    assert once is not None
    assert many is not None
    assert many.evidence["auc_lower_99"] == pytest.approx(once.evidence["auc_lower_99"], abs=1e-3)
