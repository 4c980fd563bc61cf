"""XGBoost and LightGBM: fit, walk round by round, predict on plain float32 matrices, explain, store.

Both take seconds to import, and most of what the service does needs neither: they are imported where they are used.
"""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from app.ml.encoding import Matrix
from app.ml.frame import Floats
from app.ml.kinds.one_file import OneFile

_N_TOGETHER = 50  # rounds whose leaves are found in one go: memory is bounded, however many rounds there are


class FitError(ValueError):
    """The library refuses to fit these rows with these parameters."""


@contextmanager
def library_refusals(refusal: type[Exception]) -> Iterator[None]:
    """Turn the exception of the library, which also comes of extreme parameters, into one of ours."""
    try:
        yield
    except refusal as error:
        told = str(error).partition(" at /")[0].strip()[:200]
        raise FitError(f"with these parameters the model can't be fitted ({told})") from error


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

    def staged_margins(self, X: Matrix) -> Iterator[Floats]:
        """Log-odds after 1, 2, ... rounds: each of shape (n,), the same array again."""
        import xgboost as xgb

        data, margins = xgb.DMatrix(X, nthread=1), np.full(len(X), self.base_margin)
        for begin in range(0, self.n_rounds, _N_TOGETHER):
            some = self.booster[begin : min(begin + _N_TOGETHER, self.n_rounds)]
            trees = json.loads(some.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
            leaves = some.predict(data, pred_leaf=True).reshape(len(X), len(trees))
            n_a_round = len(trees) // some.num_boosted_rounds()  # a forest grows all its trees in one
            for n_read, (tree, places) in enumerate(zip(trees, leaves.T, strict=True), start=1):
                margins += np.take(tree["split_conditions"], places.astype(np.int64))  # of a leaf: its value
                if n_read % n_a_round == 0:
                    yield margins

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
        with library_refusals(xgb.core.XGBoostError):
            booster = xgb.train(params, data, n_rounds)
        return XGBoostModel(booster, n_rounds, float(np.log(base / (1 - base))))

    def first(self, model: XGBoostModel, n_rounds: int, *, n_threads: int) -> XGBoostModel:
        """The model after its first rounds: byte for byte the one fitted with so many."""
        booster = model.booster[:n_rounds]
        booster.set_param({"nthread": n_threads})
        return replace(model, booster=booster, n_rounds=n_rounds)


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

    def staged_margins(self, X: Matrix) -> Iterator[Floats]:
        """Log-odds after 1, 2, ... rounds, no longer changing after the fit ended: each of shape (n,), one array."""
        margins, n_trees = np.zeros(len(X)), self.booster.num_trees()
        for begin in range(0, self.n_rounds, _N_TOGETHER):
            n = max(0, min(begin + _N_TOGETHER, n_trees) - begin)
            for at, places in enumerate(self._leaves(X, begin, n).T, start=begin):
                values = [self.booster.get_leaf_output(at, leaf) for leaf in range(int(places.max()) + 1)]
                margins += np.take(values, places)
                yield margins
            yield from itertools.repeat(margins, min(begin + _N_TOGETHER, self.n_rounds) - begin - n)

    def _leaves(self, X: Matrix, begin: int, n: int) -> npt.NDArray[np.int32]:
        """The leaf each row falls into in each of n trees: shape (rows, n)."""
        if not n:
            return np.empty((len(X), 0), dtype=np.int32)
        options = {"start_iteration": begin, "num_iteration": n, "num_threads": self.n_threads}
        return np.asarray(self.booster.predict(X, pred_leaf=True, **options), dtype=np.int32).reshape(len(X), n)

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
        return self.share(X, y, n_threads=n_threads).fit(None, n_rounds=n_rounds, n_threads=n_threads)

    def share(self, X: Matrix, y: Floats, *, n_threads: int) -> "LightGBMRows":
        """Sort the rows into bins, once for all fits on parts of them."""
        import lightgbm as lgb

        params = self.params_of_library(n_threads)
        return LightGBMRows(lgb.Dataset(X, y, params=params).construct(), self)

    def params_of_library(self, n_threads: int) -> dict[str, Any]:
        """As LightGBM wants them."""
        params = {name: value for name, value in self.params.items() if name != "n_estimators"}
        params.setdefault("subsample_freq", 1)  # without it LightGBM takes no notice of subsample
        return params | {
            "objective": "binary",
            "metric": "none",
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
            "seed": self.seed,
            "num_threads": n_threads,
        }

    def first(self, model: LightGBMModel, n_rounds: int, *, n_threads: int) -> LightGBMModel:
        """The model after its first rounds: byte for byte the one fitted with so many."""
        import lightgbm as lgb

        booster = lgb.Booster(model_str=model.booster.model_to_string(num_iteration=n_rounds))
        return LightGBMModel(booster, n_rounds, n_threads)


@dataclass(frozen=True)
class LightGBMRows:
    """Rows in LightGBM's bins, whose edges all of them have a say in; labels play no part."""

    data: Any
    learner: LightGBMLearner

    def fit(self, inside: npt.NDArray[np.int64] | None, *, n_rounds: int, n_threads: int) -> LightGBMModel:
        """Fit on the rows at these positions, which rise; None: on all."""
        import lightgbm as lgb

        data = self.data if inside is None else self.data.subset(inside)
        with library_refusals(lgb.basic.LightGBMError):
            booster = lgb.train(self.learner.params_of_library(n_threads), data, n_rounds)
        return LightGBMModel(booster, n_rounds, n_threads)
