"""Rows made ready: their order, and what their hash is made of."""

import dataclasses
import hashlib

import numpy as np
import pyarrow as pa
import pytest

from app.ml.fingerprint import training_data_hash
from app.ml.frame import Feature, FeatureKind, Frame
from app.ml.rows import Rows, prepare
from app.ml.split import deal_folds
from tests.ml.planted import FEATURES, Data, planted


def ready(data: Data, order: np.ndarray[tuple[int], np.dtype[np.int64]] | None = None) -> Rows:
    at = np.arange(len(data.frame)) if order is None else order
    everyone = np.ones(at.size, dtype=np.bool_)
    return prepare(data.frame.take(at), data.sides[at], data.features, everyone, n_folds=5, seed=1)


def test_rows_come_by_the_bytes_of_their_account_then_by_instant() -> None:
    names = ["b", "é", "a", "Z", "b", "a10", "a9", "￿", "😀"]
    days = pa.array([2, 1, 1, 1, 1, 1, 1, 1, 1], pa.timestamp("us", "UTC"))
    few = planted(9)
    again = dataclasses.replace(few.frame, accounts=pa.array(names), as_of=days)
    rows = Data(many_times(again, 20), np.tile(few.sides, 20), few.features)
    found = ready(rows).frame
    assert found.as_of is not None
    told = list(zip(found.accounts.to_pylist(), found.as_of.cast(pa.int64()).to_pylist(), strict=True))
    assert told == sorted(told, key=lambda row: (row[0].encode(), row[1]))


def many_times(frame: Frame, n: int) -> Frame:
    """Other accounts each time."""
    accounts = [f"{name}{at}" for at in range(n) for name in frame.accounts.to_pylist()]
    tiled = frame.take(np.tile(np.arange(len(frame)), n))
    assert tiled.churned is not None
    return dataclasses.replace(tiled, accounts=pa.array(accounts), churned=np.arange(len(accounts)) % 3 == 0.0)


def test_rows_of_one_account_and_instant_have_one_order_too() -> None:
    """In an undated frame an account may come twice; what the rows hold then decides."""
    data = planted(400)
    twice = Data(
        dataclasses.replace(data.frame, accounts=pa.array([f"a{at // 2}" for at in range(400)])),
        data.sides,
        data.features,
    )
    one = ready(twice)
    other = ready(twice, np.random.default_rng(0).permutation(400))
    np.testing.assert_array_equal(one.X, other.X)
    np.testing.assert_array_equal(one.y, other.y)
    assert one.data_hash == other.data_hash


def test_folds_are_dealt_by_the_order_of_names_however_they_come() -> None:
    rng = np.random.default_rng(0)
    names = np.array([f"a{number}" for number in rng.integers(0, 120, 300)])
    churned = (rng.random(300) < 0.4).astype(np.float64)
    folds = deal_folds(names.tolist(), churned, 4, seed=3)
    at = rng.permutation(300)
    np.testing.assert_array_equal(deal_folds(pa.array(names[at]), churned[at], 4, seed=3), folds[at])


def hashed(texts: list[str | None]) -> str:
    frame = Frame(pa.array(["a", "b", "c"]), pa.table({"t": pa.array(texts, pa.string())}), np.zeros(3))
    return training_data_hash(frame, np.array(["train"] * 3), [Feature("t", FeatureKind.CATEGORICAL)])


@pytest.mark.parametrize(
    "texts",
    [["ab", "c", "d"], ["a", "bc", "d"], ["", "abc", "d"], [None, "abc", "d"], [None, None, None], ["", "", ""]],
)
def test_texts_that_differ_have_different_hashes(texts: list[str | None]) -> None:
    others: list[list[str | None]] = [["ab", "c", None], ["abc", "", "d"], ["abc", None, "d"], [None, None, ""]]
    assert hashed(texts) not in set(map(hashed, others))


def test_how_arrow_holds_a_text_has_no_effect() -> None:
    padded = pa.array(["xx", "ab", None, "c", "yy"]).slice(1, 3)
    blanked = pa.array(["ab", "payload", "c"], mask=np.array([False, True, False]))
    found = {
        training_data_hash(
            Frame(pa.array(["a", "b", "c"]), pa.table({"t": column}), np.zeros(3)),
            np.array(["train"] * 3),
            [Feature("t", FeatureKind.CATEGORICAL)],
        )
        for column in (padded, blanked, padded.dictionary_encode(), padded.cast(pa.large_string()))
    }
    assert found == {hashed(["ab", None, "c"])}


def test_the_hash_of_rows_is_the_same_on_every_machine_and_release() -> None:
    """Worked out from the description in the docstring, byte by byte, with hashlib alone."""
    frame = Frame(pa.array(["a", "bc"]), pa.table({"usage": pa.array([1.5, None])}), np.array([1.0, 0.0]))
    found = training_data_hash(frame, np.array(["train", "test"]), FEATURES[:1])
    lengths = np.array([1, 2], "<i8").tobytes() + b"abc" + np.array([5, 4], "<i8").tobytes() + b"traintest"
    numbers = np.array([1.0, 0.0]).tobytes() + b"numeric:usage\0" + np.array([1.5, np.nan]).tobytes()
    assert found == hashlib.sha256(lengths + numbers).hexdigest()
