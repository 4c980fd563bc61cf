"""Random forest: deep trees on bagged rows and sampled columns, averaged."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from app.ml.encoding import Matrix
from app.ml.frame import Floats
from app.ml.kinds.boosters import XGBoostModel, library_refusals


@dataclass(frozen=True)
class RandomForestLearner:
    """Fits a forest as one round of XGBoost: many trees at once, each on rows and columns of its own.

    One Newton step from the churn rate p puts (leaf's churn rate - p) / (p (1 - p)) on each leaf, without shrinkage;
    so the margin is a straight line in the mean of the trees' leaf rates, which is what a forest says.

    References
    ----------
    Breiman (2001), Random forests, Machine Learning 45, 5-32.
    """

    params: dict[str, Any]
    seed: int
    n_rounds: int = 1

    def fit(self, X: Matrix, y: Floats, *, n_rounds: int, n_threads: int) -> XGBoostModel:
        """Grow all trees; the same on any number of threads."""
        import xgboost as xgb

        rate = float(np.float32(y.mean()))
        params = {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "disable_default_eval_metric": 1,
            "verbosity": 0,
            "base_score": rate,
            "seed": self.seed,
            "nthread": n_threads,
            "num_parallel_tree": self.params["n_estimators"],
            "learning_rate": 1.0,
            "reg_lambda": 0.0,
            "max_depth": self.params["max_depth"],
            "subsample": self.params["subsample"],
            "colsample_bynode": self.params["max_features"],
            # XGBoost counts a row as rate (1 - rate) in the first round; half a row less, for sums in float32
            "min_child_weight": (self.params["min_samples_leaf"] - 0.5) * rate * (1 - rate),
        }
        with library_refusals(xgb.core.XGBoostError):
            booster = xgb.train(params, xgb.QuantileDMatrix(X, y, nthread=n_threads), 1)
        return XGBoostModel(booster, 1, float(np.log(rate / (1 - rate))))
