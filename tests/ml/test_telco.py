"""What a sound service reaches on real data: the figures of the data's own description."""

import numpy as np
import pytest

from app.ml.trainer import TrainingResult
from app.schemas.config import ModelConfig, ModelType
from tests.ml.planted import Data, telco

pytestmark = pytest.mark.slow

# The first three by the description of the data; the others by the kinds they are akin to.
FOLD_AUC = {"xgboost": 0.845, "lightgbm": 0.843, "logistic": 0.845, "random_forest": 0.845, "mlp": 0.845, "blend": 0.85}


@pytest.fixture(scope="module")
def telco_data() -> Data:
    return telco()


@pytest.fixture(scope="module", params=list(ModelType))
def found(request: pytest.FixtureRequest, telco_data: Data) -> TrainingResult:
    return telco_data.train(ModelConfig(model_type=request.param), shap=True)


def test_mean_auc_of_the_folds(found: TrainingResult) -> None:
    mean = np.mean([fold["roc_auc"] for fold in found.metrics["folds"]])
    assert mean == pytest.approx(FOLD_AUC[found.primary.bundle.kind.value], abs=0.015)


def test_auc_of_the_test_side(found: TrainingResult) -> None:
    assert found.metrics["auc"] == pytest.approx(FOLD_AUC[found.primary.bundle.kind.value], abs=0.03)


def test_calibration(found: TrainingResult) -> None:
    """One test side of 1,409 rows: the slope has a standard error of about .07, the mean of 1 point."""
    test = found.metrics["test"]
    assert test["calibration_slope"] == pytest.approx(1, abs=0.2)
    assert test["mean_probability"] == pytest.approx(test["churn_rate"], abs=0.03)


def test_tiers_are_as_large_as_they_were_in_trials(found: TrainingResult) -> None:
    if found.primary.bundle.kind.value not in {"xgboost", "lightgbm", "logistic"}:
        pytest.skip("the trials were of boosters and logistic regression")
    high, medium, _ = found.primary.tiers
    assert high.share == pytest.approx(0.066, abs=0.03)
    assert high.share + medium.share == pytest.approx(0.29, abs=0.04)


def test_rounds_are_few(telco_data: Data, found: TrainingResult) -> None:
    """Trials found 28 and 35 on average; 100 rounds overfit, 5-8 come from raw log-loss."""
    if found.primary.bundle.kind.value in {"xgboost", "lightgbm"}:
        assert 10 <= found.primary.n_rounds <= 60


def test_contract_and_tenure_matter_most(found: TrainingResult) -> None:
    assert found.primary.shap_summary is not None
    assert set(list(found.primary.shap_summary.mean_absolute)[:4]) & {"Contract", "tenure"}
