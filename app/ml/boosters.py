"""XGBoost and LightGBM: fit, walk round by round, predict on plain float32 matrices, explain, store.

Both take seconds to import, and most of what the service does needs neither: they are imported where they are used.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from app.ml.encoding import Matrix
from app.ml.frame import Floats
from app.ml.one_file import OneFile


@dataclass(frozen=True)
class XGBoostModel(OneFile):
    """A fitted XGBoost booster; `base_margin` is its constant, in log-odds."""

    booster: Any
    n_rounds: int
    base_margin: float
    file_name: ClassVar[str] = "model.ubj"

    def margins(self, X: Matrix) -> Floats:
        """Log-odds of shape (n,)."""
        return np.asarray(self.booster.inplace_predict(X, predict_type="margin"), dtype=np.float64)

    def round_margins(self, X: Matrix, at: int) -> Floats:
        """What round `at` adds to the log-odds: shape (n,); the first also holds the constant."""
        margins = self.booster.inplace_predict(X, iteration_range=(at, at + 1), predict_type="margin")
        return np.asarray(margins, dtype=np.float64) - (self.base_margin if at else 0.0)

    def native_contributions(self, X: Matrix) -> Floats:
        """Exact path-dependent SHAP values by the booster's own code: shape (n, d), log-odds."""
        import xgboost as xgb

        found = self.booster.predict(xgb.DMatrix(X, nthread=1 if len(X) == 1 else 0), pred_contribs=True)
        return np.asarray(found[:, :-1], dtype=np.float64)

    def gains(self, n_columns: int, n_rounds: int) -> Floats:
        """Total loss reduction by column over the first rounds: shape (d,)."""
        scores = self.booster[:n_rounds].get_score(importance_type="total_gain")
        return np.array([scores.get(f"f{i}", 0.0) for i in range(n_columns)])

    def to_bytes(self) -> bytes:
        """The booster's own binary JSON."""
        return bytes(self.booster.save_raw("ubj"))

    @classmethod
    def from_bytes(cls, data: bytes, *, n_threads: int) -> "XGBoostModel":
        """Load what `to_bytes` wrote, to predict with so many threads."""
        import xgboost as xgb

        booster = xgb.Booster({"nthread": n_threads}, model_file=bytearray(data))
        return cls(booster, booster.num_boosted_rounds(), float("nan"))


@dataclass(frozen=True)
class XGBoostLearner:
    """Fits XGBoost with the parameters of the config."""

    params: dict[str, Any]
    seed: int

    @property
    def n_rounds(self) -> int:
        """The most rounds it may be fitted with."""
        return int(self.params["n_estimators"])

    def fit(self, X: Matrix, y: Floats, *, n_rounds: int, n_threads: int) -> XGBoostModel:
        """Fit so many rounds, no early stopping; the same on any number of threads."""
        import xgboost as xgb

        params = {name: value for name, value in self.params.items() if name != "n_estimators"}
        base = _weighted_rate(y, params["scale_pos_weight"])
        params |= {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "disable_default_eval_metric": 1,
            "verbosity": 0,
            "base_score": base,
            "seed": self.seed,
            "nthread": n_threads,
        }
        data = xgb.QuantileDMatrix(X, y, nthread=n_threads, max_bin=params.get("max_bin", 256))
        booster = xgb.train(params, data, n_rounds)
        return XGBoostModel(booster, n_rounds, float(np.log(base / (1 - base))))


def _weighted_rate(y: Floats, weight: float) -> float:
    churned = weight * float(y.sum())
    return float(np.float32(churned / (churned + float((1 - y).sum()))))


@dataclass(frozen=True)
class LightGBMModel(OneFile):
    """A fitted LightGBM booster."""

    booster: Any
    n_rounds: int
    n_threads: int
    file_name: ClassVar[str] = "model.txt"

    def margins(self, X: Matrix) -> Floats:
        """Log-odds of shape (n,)."""
        found = self.booster.predict(X, raw_score=True, num_threads=self.n_threads)
        return np.asarray(found, dtype=np.float64)

    def round_margins(self, X: Matrix, at: int) -> Floats:
        """What round `at` adds to the log-odds, 0 after the fit ended by itself: shape (n,)."""
        if at >= self.booster.num_trees():
            return np.zeros(len(X))
        found = self.booster.predict(X, start_iteration=at, num_iteration=1, raw_score=True, num_threads=self.n_threads)
        return np.asarray(found, dtype=np.float64)

    def native_contributions(self, X: Matrix) -> Floats:
        """Exact path-dependent SHAP values by the booster's own code: shape (n, d), log-odds."""
        found = self.booster.predict(X, pred_contrib=True, num_threads=self.n_threads)
        return np.asarray(found, dtype=np.float64)[:, :-1]

    def gains(self, n_columns: int, n_rounds: int) -> Floats:
        """Total loss reduction by column over the first rounds: shape (d,)."""
        return np.asarray(self.booster.feature_importance("gain", iteration=n_rounds), dtype=np.float64)

    def to_bytes(self) -> bytes:
        """LightGBM's text without its block of parameters, which names threads."""
        text = self.booster.model_to_string(num_iteration=self.n_rounds)
        start, end = text.index("\nparameters:"), text.index("end of parameters\n") + len("end of parameters\n")
        return bytes((text[:start] + "\n" + text[end:]).encode())

    @classmethod
    def from_bytes(cls, data: bytes, *, n_threads: int) -> "LightGBMModel":
        """Load what `to_bytes` wrote, to predict with so many threads."""
        import lightgbm as lgb

        booster = lgb.Booster(model_str=data.decode())
        return cls(booster, booster.num_trees(), n_threads)


@dataclass(frozen=True)
class LightGBMLearner:
    """Fits LightGBM with the parameters of the config."""

    params: dict[str, Any]
    seed: int

    @property
    def n_rounds(self) -> int:
        """The most rounds it may be fitted with."""
        return int(self.params["n_estimators"])

    def fit(self, X: Matrix, y: Floats, *, n_rounds: int, n_threads: int) -> LightGBMModel:
        """Fit so many rounds, no early stopping; the same on any number of threads."""
        import lightgbm as lgb

        params = {name: value for name, value in self.params.items() if name != "n_estimators"}
        params.setdefault("subsample_freq", 1)  # without it LightGBM takes no notice of subsample
        params |= {
            "objective": "binary",
            "metric": "none",
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
            "seed": self.seed,
            "num_threads": n_threads,
        }
        booster = lgb.train(params, lgb.Dataset(X, y), n_rounds)
        return LightGBMModel(booster, n_rounds, n_threads)
