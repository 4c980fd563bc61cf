from collections.abc import Sequence

import numpy as np
import pytest

from app.stats.arrays import Ints, normal_quantile
from app.stats.looks import count_looks, look_confidence


def rows(*numbers: int) -> Ints:
    return np.array(numbers, dtype=np.int64)


SIDE = rows(1, 2, 3, 4)


def count(side: Ints, looks: Sequence[tuple[str, Ints | None]], own: str) -> tuple[int, int]:
    """Of looks that are named in the order of time."""
    numbered = [(candidate, number, keys) for number, (candidate, keys) in enumerate(looks)]
    return count_looks(side, sorted(numbered, key=lambda each: (each[0] != own, each[:2])), own)


def test_the_first_looks_take_the_confidences_that_were_agreed() -> None:
    assert [round(look_confidence(look), 4) for look in (1, 2, 3, 5)] == [0.95, 0.9833, 0.9917, 0.9967]
    assert look_confidence(2, 0.9) == pytest.approx(1 - 0.2 / 6)


def test_the_errors_of_all_looks_add_up_to_that_of_one() -> None:
    assert sum(1 - look_confidence(look) for look in range(1, 100_000)) == pytest.approx(2 * 0.05, rel=1e-4)
    # A candidate passes by one side of its interval, half of its error: .05 in all.


def test_other_candidates_make_it_a_later_look() -> None:
    assert count(SIDE, [], "a") == (1, 1)
    assert count(SIDE, [("a", SIDE)], "b") == (2, 2)
    assert count(SIDE, [("a", SIDE), ("b", SIDE), ("a", SIDE)], "c") == (3, 3)


def test_the_same_candidate_again_keeps_its_look() -> None:
    looks = [("a", SIDE), ("b", SIDE), ("c", SIDE)]
    assert [count(SIDE, looks, own)[0] for own in "abcd"] == [1, 2, 3, 4]
    assert [count(SIDE, looks, own)[1] for own in "abcd"] == [3, 3, 3, 4]


def test_a_candidate_that_saw_a_part_counts_by_that_part_rounded_up() -> None:
    quarter, half = rows(1), rows(1, 2)
    assert count(SIDE, [("a", quarter)], "x") == (2, 2)
    assert count(SIDE, [("a", quarter), ("b", quarter), ("c", half)], "x") == (2, 4)  # 1/4 + 1/4 + 1/2
    assert count(SIDE, [("a", SIDE), ("b", quarter)], "x") == (3, 3)  # 1 1/4


def test_parts_seen_at_different_times_count_once() -> None:
    assert count(SIDE, [("a", rows(1, 2)), ("a", rows(2, 3, 4))], "x") == (2, 2)


def test_others_count_only_on_rows_they_saw_first() -> None:
    """Look 1 was on rows 1 and 2; b has then seen all four; on rows 3 and 4 it was before."""
    looks = [("x", rows(1, 2)), ("b", SIDE)]
    assert count(rows(1, 2), looks, "x") == (1, 2)
    assert count(rows(3, 4), looks, "x") == (2, 2)
    assert count(SIDE, looks, "x") == (2, 2)  # half a candidate, rounded up


def test_fresh_rows_are_a_first_look() -> None:
    assert count(rows(8, 9), [("a", SIDE), ("b", SIDE)], "c") == (1, 1)


def test_rows_that_are_not_known_are_taken_to_be_these() -> None:
    assert count(SIDE, [("a", None), ("b", None)], "c") == (3, 3)


def test_without_churners_there_is_nothing_to_count() -> None:
    assert count(rows(), [("a", rows()), ("b", None)], "c") == (1, 1)


def test_the_best_of_twenty_equal_candidates_seldom_passes() -> None:
    """The best is submitted last, after a look at all of them: it keeps the look it had."""
    rng = np.random.default_rng(1)
    z = rng.normal(size=(20_000, 20))
    bars = np.array([normal_quantile(look_confidence(look)) for look in range(1, 21)])
    assert np.mean((z > bars).any(axis=1)) < 0.052
    assert np.mean((z > normal_quantile(0.95)).any(axis=1)) > 0.35
