import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from app.ml.leaks.risk import best_auc, fit_risk
from tests.ml.leaks.build import column_of, rows_of


@pytest.mark.parametrize("rising", [True, False])
def test_the_upper_bound_is_the_best_of_all_places(rising: bool) -> None:
    rng = np.random.default_rng(1)
    y, x = (rng.random(200) < 0.3).astype(float), np.round(rng.normal(size=200), 1)
    gaps = rng.random(200) < 0.2
    places = np.append(np.unique(x[~gaps]) - 0.05, 99.0)
    tried = [roc_auc_score(y, (1 if rising else -1) * np.where(gaps, place, x)) for place in places]
    assert best_auc(column_of(pa.array(x, mask=gaps)), rows_of(y), rising=rising) == pytest.approx(max(tried))


def test_rates_of_levels_are_those_of_the_other_half() -> None:
    y, levels = np.array([1.0, 1, 0, 0, 1, 0]), ["a", "a", "b", "b", "b", "a"]
    rows = rows_of(y)
    scores = fit_risk(column_of(levels), rows).scores(np.array([0.0, 0, 1, 1, 1, 0]))
    for i, level in enumerate(levels):
        others = [y[j] for j in range(6) if levels[j] == level and rows.halves[j] != rows.halves[i]]
        assert scores[i] == pytest.approx((sum(others) + 0.5) / (len(others) + 1))


def test_missing_numbers_stand_where_the_other_half_puts_them() -> None:
    y = np.repeat([0.0, 1.0, 1.0], 40)
    x = np.concatenate([np.arange(40.0), np.arange(60.0, 100.0), np.full(40, np.nan)])
    rows = rows_of(y)
    scores = fit_risk(column_of(pa.array(x, from_pandas=True)), rows).scores(x)
    for half in (0, 1):
        placed = scores[np.isnan(x) & (rows.halves == half)]
        assert np.unique(placed).size == 1
        others = x[rows.halves != half]
        assert others[others < 50].max() < placed[0] < others[others > 50].min()
