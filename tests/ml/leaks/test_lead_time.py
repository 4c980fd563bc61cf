import numpy as np
import pyarrow as pa
import pytest

from app.ml.frame import Floats
from app.ml.leaks.findings import Finding, Level
from app.ml.leaks.lead_time import Lagged, probe_lead_time, steepest_ratio
from benchmarks.leaks import draw_binormal, draw_decay, draw_labels, study_cliff
from tests.ml.leaks.build import column_of, rows_of


@pytest.mark.parametrize(
    ("auc", "plateau", "half_life_days"), [(0.75, 0.5, 60), (0.85, 0.5, 30), (0.85, 0.6, 15), (0.95, 0.5, 30)]
)
def test_an_honest_decay_is_not_flagged(auc: float, plateau: float, half_life_days: float) -> None:
    assert study_cliff(auc, plateau, half_life_days, 300, runs=40, seed=1) == 0


def test_a_feature_that_moves_after_the_decision_is_found() -> None:
    assert study_cliff(0.95, 0.6, 0.5, 300, runs=40, seed=2) == 1


def judge(now: Floats, *earlier: tuple[float, pa.Array], y: Floats, seen: Floats | None = None) -> Finding | None:
    known = None if seen is None else seen == 1
    lagged = [Lagged(days, pa.table({"x": values}), known) for days, values in earlier]
    return probe_lead_time(column_of(now), rows_of(y), lagged)


def cliff(n_churners: int) -> tuple[Floats, list[Floats]]:
    rng = np.random.default_rng(1)
    y = draw_labels(rng, n_churners)
    return y, draw_decay(rng, y, 0.95, 0.6, 0.5)


def test_the_evidence_holds_the_planted_aucs() -> None:
    y, (now, month, two) = cliff(2000)
    found = judge(now, (60, pa.array(two)), (30, pa.array(month)), y=y)  # the order does not matter
    assert found is not None
    assert (found.name, found.level) == ("x:cliff_against_lead_time", Level.SUSPECTED)
    assert found.evidence["auc"] == pytest.approx(0.95, abs=0.01)
    assert found.evidence["auc_30_days_earlier"] == pytest.approx(0.6, abs=0.02)


def test_a_value_that_was_not_there_earlier_is_a_cliff() -> None:
    y, (now, _, _) = cliff(200)
    never = pa.nulls(y.size, pa.float64())
    assert judge(now, (7, never), (14, never), y=y) is not None


def test_texts_are_followed_through_their_levels() -> None:
    rng = np.random.default_rng(1)
    y = draw_labels(rng, 200)
    now, before = np.where(y == 1, "closing", "open"), np.where(rng.random(y.size) < 0.1, "old", "open")
    lagged = [Lagged(days, pa.table({"x": before})) for days in (7.0, 14.0)]
    found = probe_lead_time(column_of(pa.array(now)), rows_of(y), lagged)
    assert found is not None
    assert found.evidence["auc"] == 1


def test_only_rows_seen_earlier_are_compared() -> None:
    y, (now, month, two) = cliff(200)
    seen = (np.cumsum(y) <= 15).astype(float)  # fifteen churners were there
    assert judge(now, (30, pa.array(month)), (60, pa.array(two)), y=y, seen=seen) is None


def test_one_lead_needs_a_deeper_fall() -> None:
    rng = np.random.default_rng(2)
    y = draw_labels(rng, 1000)
    now, weak, none = (draw_binormal(rng, y, auc) for auc in (0.85, 0.62, 0.5))
    assert judge(now, (30, pa.array(weak)), y=y) is None
    assert judge(now, (30, pa.array(none)), y=y) is not None


def test_under_twenty_churners_it_says_nothing() -> None:
    y, (now, month, two) = cliff(19)
    assert judge(now, (30, pa.array(month)), (60, pa.array(two)), y=y) is None


def test_the_steepest_ratio_worked_by_hand() -> None:
    # half-life t/2: 1, 1/4 at t, 1/16 at 2t, 1/64 at 3t
    assert steepest_ratio(2) == pytest.approx((1 - 1 / 4) / (1 / 4 - 1 / 16))
    assert steepest_ratio(3) == pytest.approx((1 - 1 / 4) / (1 / 4 - 1 / 64))


def test_lagged_rows_are_taken_together() -> None:
    lagged = Lagged(7, pa.table({"x": [1.0, 2, 3]}), np.array([True, False, True])).take(np.array([2, 1]))
    assert lagged.features["x"].to_pylist() == [3, 2]
    assert lagged.seen is not None
    assert lagged.seen.tolist() == [True, False]
