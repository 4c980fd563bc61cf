"""What the words of a label mean: expected values by hand."""

import numpy as np
import pyarrow as pa
import pytest

from app.ml.labels import label_word, read_labels


@pytest.mark.parametrize(
    ("text", "word"), [("1.0", "1"), ("01", "1"), ("True", "true"), (" Yes ", "Yes"), ("yes", "yes"), ("1.5", "1.5")]
)
def test_a_label_has_one_spelling(text: str, word: str) -> None:
    assert label_word(text) == word


@pytest.mark.parametrize(
    ("cells", "positive", "labels", "others"),
    [
        (pa.array(["Yes", "No", "", None, "nan"]), "Yes", [1, 0, np.nan, np.nan, np.nan], {"No"}),
        (pa.array([1, 0, None]), "1", [1, 0, np.nan], {"0"}),
        (pa.array([1.0, 0.0, float("nan")]), "1", [1, 0, np.nan], {"0"}),
        (pa.array([True, False, None]), "True", [1, 0, np.nan], {"false"}),
        (pa.array(["yes", "no"]), "Yes", [0, 0], {"yes", "no"}),
        (pa.array(["none", "left"]), "none", [1, 0], {"left"}),
        (pa.nulls(2), "1", [np.nan, np.nan], set()),
    ],
)
def test_labels_are_read_by_the_positive_value(
    cells: pa.Array, positive: str, labels: list[float], others: set[str]
) -> None:
    found, words = read_labels(cells, positive)
    np.testing.assert_array_equal(found, labels)
    assert words == others
