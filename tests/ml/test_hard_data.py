"""Columns that no book has in it: train, score and explain must survive them."""

import numpy as np
import pyarrow as pa
import pytest

from app.ml.bundle import Bundle
from app.ml.frame import Feature, FeatureKind, Frame
from app.ml.kinds.boosters import FitError
from app.ml.scorer import Scorer, score_table
from app.ml.split import deal_sides
from app.schemas.config import ModelConfig, ModelType
from tests.ml.planted import Data, quick

TEXTS = {"identifier", "many", "odd text", "null text", "one level"}


def hard_data(n: int = 400) -> Data:
    rng = np.random.default_rng(0)
    churned = (rng.random(n) < 0.25).astype(np.float64)
    columns = {
        "huge": rng.choice([1e38, -1e38, np.inf, 0.0, 1e300], n),
        "tiny": rng.normal(size=n) * 1e-40,
        "null": pa.nulls(n, pa.float64()),
        "constant": np.ones(n),
        "nearly null": pa.array(rng.normal(size=n), mask=rng.random(n) < 0.98),
        'we"ird, [name]<': rng.normal(size=n) + churned,
        "yes or nothing": pa.array([True] * n, mask=rng.random(n) < 0.3),
        "identifier": [f"x{i}" for i in range(n)],
        "many": rng.choice([f"c{i}" for i in range(80)], n),
        "odd text": rng.choice(["ä", "$x$", "", "a\nb"], n),
        "null text": pa.nulls(n, pa.string()),
        "one level": pa.array(["k"] * n, mask=rng.random(n) < 0.5),
    }
    kinds = {name: FeatureKind.CATEGORICAL if name in TEXTS else FeatureKind.NUMERIC for name in columns}
    kinds["yes or nothing"] = FeatureKind.BOOLEAN
    accounts = [f"a{i}" for i in range(n)]
    frame = Frame(pa.array(accounts), pa.table(columns), churned)
    features = tuple(Feature(name, kind) for name, kind in kinds.items())
    return Data(frame, deal_sides(accounts, churned, seed=1), features)


@pytest.mark.parametrize("model_type", list(ModelType))
def test_hard_columns_are_trained_on_scored_and_explained(model_type: ModelType) -> None:
    data = hard_data()
    result = data.train(quick(model_type), shap=True)
    assert {warning.split(" was left out")[0] for warning in result.warnings} == {
        "null",
        "constant",
        "identifier",
        "null text",
    }
    scorer = Scorer(Bundle.from_bytes(result.primary.bundle.to_bytes()))
    scorer.probe()
    scored = score_table(scorer, data.frame.features, 3)
    assert np.isfinite(scored["churn_probability"].to_numpy()).all()
    assert all(np.isfinite(reason["contribution"]) for reasons in scored["reasons"].to_pylist() for reason in reasons)


@pytest.mark.parametrize(
    ("model_type", "params"),
    [
        (ModelType.LIGHTGBM, {"min_child_weight": 0, "min_child_samples": 2, "learning_rate": 1}),
        (ModelType.XGBOOST, {"min_child_weight": 0, "reg_lambda": 1e-300, "learning_rate": 1}),
    ],
)
def test_what_a_library_refuses_is_a_refusal_of_ours(model_type: ModelType, params: dict[str, float]) -> None:
    extreme = {"model_type": model_type, f"{model_type.value}_params": {"scale_pos_weight": 1e4, **params}}
    with pytest.raises(FitError, match="with these parameters the model can't be fitted"):
        hard_data().train(ModelConfig.model_validate(extreme))
