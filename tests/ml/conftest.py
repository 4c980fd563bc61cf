"""Models that several tests look at, trained once."""

import pytest

from app.ml.trainer import TrainingResult
from app.schemas.config import ModelConfig, ModelType
from tests.ml.planted import Data, planted, quick


@pytest.fixture(scope="session")
def data() -> Data:
    return planted()


@pytest.fixture(scope="session", params=list(ModelType))
def trained(request: pytest.FixtureRequest, data: Data) -> TrainingResult:
    """Each kind of model with its baseline, SHAP values included."""
    return data.train(quick(request.param), shap=True)


@pytest.fixture(scope="session", params=[ModelType.XGBOOST, ModelType.LIGHTGBM])
def boosted(request: pytest.FixtureRequest, data: Data) -> TrainingResult:
    """The two boosters."""
    return data.train(ModelConfig(model_type=request.param))
