import numpy as np
import pyarrow as pa

from app.ml.segments import cut_segments


def named(table: pa.Table, feature: str) -> list[str]:
    """What each row's segment is called."""
    found = cut_segments(table, [feature])
    return [found.names[code] for code in found.codes[0]]


def test_categories_part_by_level_and_keep_the_missing_apart() -> None:
    table = pa.table({"plan": ["a", "b", None, "a"]})
    assert named(table, "plan") == ["plan: a", "plan: b", "plan: missing", "plan: a"]


def test_rare_levels_are_taken_together() -> None:
    levels = [f"l{at}" for at in range(12) for _ in range(12 - at)]
    found = cut_segments(pa.table({"city": levels}), ["city"])
    assert len(found.names) == 9
    other = found.names.index("city: other levels")
    assert (found.codes == other).sum() == 4 + 3 + 2 + 1


def test_yes_and_no() -> None:
    assert named(pa.table({"auto": [True, None, False]}), "auto") == ["auto: yes", "auto: missing", "auto: no"]


def test_numbers_part_into_four_equal_bins() -> None:
    table = pa.table({"tenure": pa.array([*np.arange(1.0, 101.0), None, np.inf])})
    found = cut_segments(table, ["tenure"])
    counts = dict(zip(found.names, np.bincount(found.codes[0]), strict=True))
    assert counts == {
        "tenure: up to 25": 25,
        "tenure: 25 to 50": 25,
        "tenure: 50 to 75": 25,
        "tenure: above 75": 25,
        "tenure: missing": 2,
    }


def test_a_number_that_never_varies_and_one_that_is_never_there() -> None:
    table = pa.table({"same": [2.0, 2.0], "none": pa.array([None, None], pa.float64())})
    assert len(set(named(table, "same"))) == 1
    assert named(table, "none") == ["none: missing", "none: missing"]


def test_several_features_share_the_names_and_absent_ones_are_left_out() -> None:
    found = cut_segments(pa.table({"a": ["x", "y"], "b": [True, True]}), ["b", "gone", "a"])
    assert found.features == ("b", "a")
    assert found.names == ("b: yes", "a: x", "a: y")
    assert found.codes.tolist() == [[0, 0], [1, 2]]
    assert cut_segments(pa.table({"a": ["x"]}), []).codes.shape == (0, 1)


def test_numbers_that_differ_in_late_digits_are_parted_all_the_same() -> None:
    table = pa.table({"at": 1_700_000_000.0 + np.arange(1000)})
    found = cut_segments(table, ["at"])
    assert len(set(found.names)) == 4
    assert np.bincount(found.codes[0]).tolist() == [250] * 4


def test_a_level_that_is_called_missing_is_not() -> None:
    table = pa.table({"city": pa.array(["missing", "missing", None, "other levels", "Rome"])})
    found = cut_segments(table, ["city"])
    named = [found.names[code] for code in found.codes[0]]
    assert named == ['city: "missing"', 'city: "missing"', "city: missing", 'city: "other levels"', "city: Rome"]
