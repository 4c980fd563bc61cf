import numpy as np
import pytest

from app.ml.metrics import side_intervals, side_metrics, spread


def test_figures_by_hand() -> None:
    y = np.array([1.0, 0.0, 1.0, 0.0, 0.0])
    p = np.array([0.9, 0.8, 0.4, 0.3, 0.1])
    found = side_metrics(y, p, top_share=0.4)
    assert (found["n"], found["n_churners"]) == (5, 2)
    assert (found["precision"], found["recall"], found["f1"]) == (0.5, 0.5, 0.5)
    assert found["roc_auc"] == pytest.approx(5 / 6)
    assert found["brier"] == pytest.approx((0.01 + 0.64 + 0.36 + 0.09 + 0.01) / 5)


def test_what_one_class_can_not_tell_is_none() -> None:
    found = side_metrics(np.zeros(4), np.array([0.1, 0.2, 0.3, 0.4]), top_share=0.25)
    assert found["roc_auc"] is None
    assert found["recall"] is None
    assert found["calibration_slope"] is None
    assert found["precision"] == 0.0


def test_spread_by_hand() -> None:
    found = spread({"auc": [0.7, None, 0.9], "slope": [1.0], "skill": [None]})
    assert found["mean"] == {"auc": pytest.approx(0.8), "slope": 1.0, "skill": None}
    assert found["sd"] == {"auc": pytest.approx(0.02**0.5), "slope": None, "skill": None}


def test_intervals_lie_about_the_figures() -> None:
    rng = np.random.default_rng(1)
    p = rng.beta(1, 4, 800)
    y = (rng.random(800) < p).astype(np.float64)
    figures, found = side_metrics(y, p, 0.2), side_intervals(y, p, 0.2, None)
    for name in ("roc_auc", "precision", "recall", "f1"):
        assert found[name][0] < figures[name] < found[name][1]
    assert found["lift"][0] < figures["precision"] / y.mean() < found["lift"][1]
    unknown = side_intervals(np.zeros(4), np.array([0.1, 0.2, 0.3, 0.4]), 0.25, None)
    assert (unknown["roc_auc"], unknown["recall"], unknown["lift"]) == (None, None, None)
