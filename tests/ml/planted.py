"""Rows with a planted truth, and the telco data, for the tests of training and scoring."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from app.ml.frame import Feature, FeatureKind, Floats, Frame
from app.ml.split import Sides, deal_sides
from app.ml.trainer import TrainingResult, train
from app.schemas.config import ModelConfig, ModelType, TrainingConfig

TELCO = Path(__file__).parents[3] / "shared" / "data" / "telco_ibm" / "telco_ibm.csv"

FEATURES = (
    Feature("usage", FeatureKind.NUMERIC),
    Feature("spend", FeatureKind.NUMERIC),
    Feature("paperless", FeatureKind.BOOLEAN),
    Feature("contract", FeatureKind.CATEGORICAL),
)


def quick(model_type: ModelType) -> ModelConfig:
    """This kind with so few rounds that a test can wait for it."""
    return ModelConfig(
        model_type=model_type,
        random_forest_params={"n_estimators": 20, "max_depth": 6},
        mlp_params={"n_epochs": 10, "learning_rate": 0.01},
        blend_params={"shallow_n_estimators": 40},
    )


@dataclass(frozen=True)
class Data:
    """A frame with all that `train` wants beside it."""

    frame: Frame
    sides: Sides
    features: tuple[Feature, ...]

    def train(
        self,
        model: ModelConfig,
        *,
        n_threads: int = 2,
        shap: bool = False,
        n_folds: int = 5,
        gap: timedelta | None = None,
    ) -> TrainingResult:
        assert self.frame.churned is not None
        return train(
            self.frame,
            self.sides,
            self.features,
            model,
            TrainingConfig(shap=shap, n_folds=n_folds),
            profile_rows=self.frame.churned == 0,
            progress=lambda _step, _share: None,
            n_threads=n_threads,
            gap=gap,
        )

    @property
    def y_test(self) -> Floats:
        assert self.frame.churned is not None
        labels: Floats = self.frame.churned[self.sides == "test"]
        return labels


def planted(n: int = 1500, seed: int = 0) -> Data:
    """Usage lowers the risk on monthly contracts and raises it on annual ones; spend is mere noise, and skewed."""
    rng = np.random.default_rng(seed)
    usage, spend = rng.normal(size=n), rng.lognormal(3, 1, n)
    paperless, monthly = rng.random(n) < 0.5, rng.random(n) < 0.5
    log_odds = -0.8 + usage * np.where(monthly, -1.6, 1.2) + 0.8 * monthly + 0.5 * paperless
    churned = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(np.float64)
    table = pa.table(
        {
            "usage": pa.array(usage, mask=rng.random(n) < 0.1),
            "spend": pa.array(spend),
            "paperless": pa.array(paperless, mask=rng.random(n) < 0.05),
            "contract": pa.array(np.where(monthly, "monthly", "annual"), mask=rng.random(n) < 0.05),
        }
    )
    accounts = [f"a{number}" for number in rng.permutation(n)]
    sides = deal_sides(accounts, churned, seed=seed)
    return Data(Frame(pa.array(accounts), table, churned), sides, FEATURES)


def telco(seed: int = 1) -> Data:
    """IBM's telco churn data, blanks in TotalCharges read as missing."""
    if not TELCO.exists():
        pytest.skip("the telco data set is not beside the project: ../shared/data")
    options = pyarrow.csv.ConvertOptions(
        strings_can_be_null=True, null_values=["", " "], column_types={"TotalCharges": pa.float64()}
    )
    table = pyarrow.csv.read_csv(TELCO, convert_options=options)
    churned = np.array([float(label == "Yes") for label in table["Churn"].to_pylist()])
    columns, features = {}, []
    for name in table.column_names[1:-1]:
        is_text = pa.types.is_string(table[name].type)
        columns[name] = table[name] if is_text else table[name].cast(pa.float64())
        features.append(Feature(name, FeatureKind.CATEGORICAL if is_text else FeatureKind.NUMERIC))
    accounts = table["customerID"].combine_chunks()
    sides = deal_sides(accounts.to_pylist(), churned, seed=seed)
    return Data(Frame(accounts, pa.table(columns), churned), sides, tuple(features))
