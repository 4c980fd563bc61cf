"""Labels met with sorted rows, chunk by chunk, as a dictionary would meet them."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import UnreadableFile
from app.services.query_labels import SortedLabels

NAMES = st.text(alphabet="ab0é😀z", min_size=1, max_size=3)


def cut(items: list[str], size: int) -> list[list[str]]:
    return [items[at : at + size] for at in range(0, len(items), size)]


def labels_of(pairs: dict[str, str], size: int) -> SortedLabels:
    chunks = cut(sorted(pairs), size)
    return SortedLabels((pa.array(ids), pa.array([pairs[name] for name in ids])) for ids in chunks)


@given(st.sets(NAMES), st.dictionaries(NAMES, st.sampled_from(["true", "false"])), st.integers(1, 4), st.integers(1, 4))
def test_each_row_meets_its_label(rows: set[str], pairs: dict[str, str], row_size: int, label_size: int) -> None:
    labels = labels_of(pairs, label_size)
    found = [label for ids in cut(sorted(rows), row_size) for label in labels.of(pa.array(ids)).to_pylist()]
    labels.finish()
    assert found == [pairs.get(name) for name in sorted(rows)]
    assert labels.n_found == len(rows & pairs.keys())


@pytest.mark.parametrize("chunks", [[["a", "a"]], [["a", "b"], ["b", "c"]], [["a"], ["x"], ["z", "z"]]])
def test_an_account_twice_is_refused_wherever_it_is(chunks: list[list[str]]) -> None:
    labels = SortedLabels((pa.array(ids), pa.array(ids)) for ids in chunks)
    with pytest.raises(UnreadableFile, match="an account twice"):
        meet(labels, ["a"])


@pytest.mark.parametrize(
    ("rows", "ids"), [(["b", "a"], ["a"]), (["a"], ["b", "a"]), (["é", "z"], ["z"]), (["a", "b"], ["z", "é", "f"])]
)
def test_another_order_is_refused(rows: list[str], ids: list[str]) -> None:
    labels = SortedLabels(iter([(pa.array(ids), pa.array(ids))]))
    with pytest.raises(UnreadableFile, match="byte for byte"):
        meet(labels, rows)


def meet(labels: SortedLabels, rows: list[str]) -> None:
    labels.of(pa.array(rows))
    labels.finish()
