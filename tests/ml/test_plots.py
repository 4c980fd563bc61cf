import numpy as np
import pytest

from app.ml.calibration_report import calibration_figures
from app.ml.plots import draw_comparison, draw_model
from app.ml.trainer import TrainingResult
from tests.ml.planted import Data

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.slow
def test_every_picture_is_a_png(trained: TrainingResult, data: Data) -> None:
    fitted = trained.primary
    found = draw_model(
        data.y_test, fitted.test_probabilities, fitted.importances, fitted.shap_summary, fitted.calibration["test"]
    )
    scores = {"xgboost": fitted.test_probabilities, "baseline": trained.baseline.test_probabilities}
    found |= draw_comparison(data.y_test, scores)
    assert set(found) == {
        "roc_curve.png",
        "precision_recall_curve.png",
        "cumulative_gain.png",
        "lift.png",
        "calibration.png",
        "score_distribution.png",
        "importances.png",
        "shap_importance.png",
        "shap_summary.png",
    }
    assert all(picture.startswith(PNG) for picture in found.values())


def test_scores_that_are_all_equal_and_odd_names_can_be_drawn() -> None:
    y = np.array([0.0, 1.0, 0.0, 1.0])
    calibration = dict.fromkeys(("before", "after"), calibration_figures(y, np.full(4, 0.5), 0.5, None))
    found = draw_model(y, np.full(4, 0.5), {"$a$ ^ {": 1.0}, None, calibration)
    assert len(found) == 3
    assert len(draw_comparison(y, {"model": np.full(4, 0.5)})) == 4
