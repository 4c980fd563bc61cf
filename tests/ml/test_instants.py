"""The split by time and which rows are fair: worked by hand from STATISTICS section 4."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ml.instants import DealtInstants, Knowledge, deal_instants, fair_rows
from app.ml.split import SplitError

START = datetime(2024, 1, 1, tzinfo=UTC)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def days(instants: tuple[datetime, ...]) -> list[int]:
    return [(each - START).days for each in instants]


def deal(numbers: list[int], gap_days: int) -> dict[str, list[int]]:
    dealt = deal_instants([day(number) for number in numbers], timedelta(days=gap_days))
    return {side: days(getattr(dealt, side)) for side in ("test", "validation", "train", "gap")}


@pytest.mark.parametrize(
    ("numbers", "gap_days", "expected"),
    [
        # Two instants just far enough apart: nothing is left for validation.
        ([0, 30], 30, ([30], [], [0], [])),
        ([0, 30, 60], 30, ([60], [30], [0], [])),
        # Day 30 ends too late for a test on day 60, so that day 0 alone teaches.
        ([0, 30, 60], 31, ([60], [], [0], [30])),
        # The same before validation: day 30 ends after day 60 begins, and day 60 may tune.
        ([0, 30, 60, 120], 60, ([120], [60], [0], [30])),
        # Two of ten judge and one of the seven before their gap tunes; a gap lies before each.
        (list(range(0, 300, 30)), 60, ([270, 240], [180], [120, 90, 60, 30, 0], [210, 150])),
        # Close instants: of a daily series with a gap of 5 days, 4 judge.
        (list(range(20)), 5, ([19, 18, 17, 16], [11, 10], [5, 4, 3, 2, 1, 0], [15, 14, 13, 12, 9, 8, 7, 6])),
        # Where as many as a fifth would leave nobody to learn from, fewer judge.
        ([0, 25, 26, 27, 28, 29, 30, 31, 32, 33], 33, ([33], [], [0], [32, 31, 30, 29, 28, 27, 26, 25])),
        # Labels that tell of no time need no gap; the instants that judge teach nothing all the same.
        ([0, 30, 60], 0, ([60], [30], [0], [])),
        ([0, 30], 0, ([30], [], [0], [])),
        # In any order, and each once.
        ([60, 0, 30, 0], 30, ([60], [30], [0], [])),
    ],
)
def test_instants_are_dealt_as_by_hand(
    numbers: list[int], gap_days: int, expected: tuple[list[int], list[int], list[int], list[int]]
) -> None:
    assert tuple(deal(numbers, gap_days).values()) == expected


@pytest.mark.parametrize("numbers", [[], [0], [0, 29], [0, 10, 20, 29]])
def test_instants_that_are_too_close_are_refused(numbers: list[int]) -> None:
    with pytest.raises(SplitError, match=f"at least 30 days apart; there are {len(numbers)}"):
        deal(numbers, 30)


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.sets(st.integers(0, 400), min_size=1, max_size=30), st.integers(1, 200))
def test_what_is_learned_has_ended_before_it_is_tuned_or_judged(numbers: set[int], gap_days: int) -> None:
    gap = timedelta(days=gap_days)
    instants = [day(number) for number in numbers]
    can_be_split = max(numbers) - min(numbers) >= gap_days
    if not can_be_split:
        with pytest.raises(SplitError):
            deal_instants(instants, gap)
        return
    dealt = deal_instants(instants, gap)
    assert dealt.test
    assert dealt.train
    assert max(dealt.development) + gap <= min(dealt.test)
    if dealt.validation:
        assert max(dealt.train) + gap <= min(dealt.validation)
    sides = (dealt.test, dealt.validation, dealt.train, dealt.gap)
    assert sorted(each for side in sides for each in side) == sorted(instants)
    assert all(list(side) == sorted(side, reverse=True) for side in sides)
    assert max(dealt.test) == max(instants)
    ordered = [each for side in (dealt.train, dealt.validation, dealt.test) for each in sorted(side)]
    assert ordered == sorted(ordered)
    assert len(dealt.test) <= max(1, round(0.2 * len(instants)))


def test_an_instant_of_the_gap_would_have_ended_too_late() -> None:
    """Nothing that could be learned from is thrown away."""
    gap = timedelta(days=45)
    dealt = deal_instants([day(number) for number in range(0, 360, 30)], gap)
    assert dealt == DealtInstants(
        test=(day(330), day(300)),
        validation=(day(240), day(210)),
        train=tuple(day(number) for number in range(150, -1, -30)),
        gap=(day(270), day(180)),
    )
    for each in dealt.gap:
        begins = min(dealt.test) if each > max(dealt.development) else min(dealt.validation)
        assert each + gap > begins


AS_OF = np.array([day(number).replace(tzinfo=None) for number in (0, 59, 60, 61)], dtype="datetime64[us]")
AT_ONCE = AS_OF[2] - np.timedelta64(1, "us")


def fair(information_end: datetime | None, used: list[int], *, by_account: bool, dated: bool = True) -> list[int]:
    knowledge = Knowledge(information_end, by_account=by_account)
    found = fair_rows(AS_OF if dated else None, np.array(used, dtype=bool), knowledge)
    assert found.dtype == np.bool_
    return [int(each) for each in found]


def test_after_a_split_by_time_rows_from_the_information_end_on_are_fair() -> None:
    """Whoever they are of: an account that was learned from is known, not unfair."""
    assert fair(day(60), [0, 0, 0, 0], by_account=False) == [0, 0, 1, 1]
    assert fair(day(60), [1, 1, 1, 1], by_account=False) == [0, 0, 1, 1]
    assert fair(day(62), [0, 0, 0, 0], by_account=False) == [0, 0, 0, 0]


def test_after_a_split_at_random_so_are_rows_of_accounts_that_were_not_used() -> None:
    assert fair(day(60), [1, 0, 1, 0], by_account=True) == [0, 1, 1, 1]


def test_in_undated_data_only_accounts_tell() -> None:
    assert fair(None, [1, 0, 1, 0], by_account=True, dated=False) == [0, 1, 0, 1]
    assert fair(None, [1, 0, 1, 0], by_account=True) == [0, 1, 0, 1]  # a version of undated rows, judged on dated ones
    assert fair(day(0), [1, 0, 1, 0], by_account=True, dated=False) == [0, 1, 0, 1]


def test_an_instant_is_compared_to_the_microsecond() -> None:
    just_before = np.array([AT_ONCE, AS_OF[2]])
    found = fair_rows(just_before, np.zeros(2, dtype=bool), Knowledge(day(60), by_account=False))
    assert found.tolist() == [False, True]
    elsewhere = day(60).astimezone(timezone(timedelta(hours=2)))  # the same instant, told in another zone
    found = fair_rows(just_before, np.zeros(2, dtype=bool), Knowledge(elsewhere, by_account=False))
    assert found.tolist() == [False, True]
