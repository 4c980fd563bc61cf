"""The one contract of all kinds of model, and which class is which kind."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from app.ml.encoding import Matrix
from app.ml.frame import Floats
from app.ml.kinds.boosters import LightGBMLearner, LightGBMModel, XGBoostLearner, XGBoostModel
from app.ml.kinds.forest import RandomForestLearner
from app.ml.kinds.linear import BaseRateLearner, BaseRateModel, LogisticLearner, LogisticModel, TunedLogisticLearner
from app.ml.kinds.network import NetworkLearner, NetworkModel
from app.ml.kinds.params import effective_params
from app.schemas.config import ModelConfig, ModelType


class ModelKind(StrEnum):
    """What a bundle may hold: the kinds that can be asked for, and the base rate."""

    XGBOOST = "xgboost"
    LIGHTGBM = "lightgbm"
    LOGISTIC = "logistic"
    RANDOM_FOREST = "random_forest"
    MLP = "mlp"
    BLEND = "blend"
    BASE_RATE = "base_rate"


class Model(Protocol):
    """A fitted model: float32 matrix in, log-odds out."""

    @property
    def n_rounds(self) -> int:
        """How many rounds it was fitted with; 1 for models without rounds."""

    def margins(self, X: Matrix) -> Floats:
        """Log-odds of shape (n,)."""

    def round_margins(self, X: Matrix, at: int) -> Floats:
        """What one round adds to the log-odds: shape (n,)."""

    def native_contributions(self, X: Matrix) -> Floats:
        """SHAP values of the log-odds by column, exact save those of nets: shape (n, d)."""

    def gains(self, n_columns: int, n_rounds: int) -> Floats:
        """Importance of each column after so many rounds: shape (d,), 0 or more."""

    def to_files(self) -> dict[str, bytes]:
        """Data only, by file name; the same model gives the same bytes."""


@runtime_checkable
class StagedModel(Protocol):
    """A model that walks through its rounds faster than round by round."""

    def staged_margins(self, X: Matrix) -> Iterator[Floats]:
        """Log-odds after 1, 2, ... rounds, each of shape (n,)."""


class Learner(Protocol):
    """Fits one kind of model with fixed parameters and seed."""

    @property
    def params(self) -> dict[str, Any]:
        """The effective parameters."""

    @property
    def n_rounds(self) -> int:
        """The most rounds it may be fitted with."""

    def fit(self, X: Matrix, y: Floats, *, n_rounds: int, n_threads: int) -> Model:
        """Fit on a matrix of shape (n, d) and labels 0 and 1 of shape (n,)."""


class SharedRows(Protocol):
    """Rows prepared once for several fits."""

    def fit(self, inside: npt.NDArray[np.int64] | None, *, n_rounds: int, n_threads: int) -> Model:
        """Fit on the rows at these positions, which rise; None: on all."""


@runtime_checkable
class SharingLearner(Protocol):
    """A learner that spends much of a fit on preparing rows, and can do so once for all folds."""

    def share(self, X: Matrix, y: Floats, *, n_threads: int) -> SharedRows:
        """Prepare the rows of all fits."""


@runtime_checkable
class PrefixLearner(Protocol):
    """A learner whose rounds build on those before, so that a long fit holds every shorter one."""

    def first(self, model: Any, n_rounds: int, *, n_threads: int) -> Model:
        """A model of its own after its first rounds: byte for byte the one fitted with so many."""


def make_learner(kind: ModelKind, config: ModelConfig) -> Learner:
    """The learner of this kind with the parameters of the config.

    Raises
    ------
    app.ml.kinds.params.ParamsError
        Where a parameter can't be used.
    """
    if kind is ModelKind.BASE_RATE:
        return BaseRateLearner({}, config.seed)
    params = effective_params(config, ModelType(kind.value))
    learners: dict[ModelKind, Callable[[dict[str, Any], int], Learner]] = {
        ModelKind.XGBOOST: XGBoostLearner,
        ModelKind.LIGHTGBM: LightGBMLearner,
        ModelKind.RANDOM_FOREST: RandomForestLearner,
        ModelKind.MLP: NetworkLearner,
        ModelKind.LOGISTIC: TunedLogisticLearner if params.get("C", 0) is None else LogisticLearner,
    }
    return learners[kind](params, config.seed)


def load_model(kind: ModelKind, data: bytes, *, n_threads: int) -> Model:
    """Read a model that is one file by the format's own reader."""
    match kind:
        case ModelKind.XGBOOST | ModelKind.RANDOM_FOREST:
            return XGBoostModel.from_bytes(data, n_threads=n_threads)
        case ModelKind.LIGHTGBM:
            return LightGBMModel.from_bytes(data, n_threads=n_threads)
        case ModelKind.LOGISTIC:
            return LogisticModel.from_bytes(data, n_threads=n_threads)
        case ModelKind.MLP:
            return NetworkModel.from_bytes(data, n_threads=n_threads)
        case ModelKind.BASE_RATE:
            return BaseRateModel.from_bytes(data, n_threads=n_threads)
        case ModelKind.BLEND:
            raise ValueError("a blend is several files")


def explanations_of(kind: ModelKind) -> Literal["exact", "estimate"]:
    """Whether the contributions of features to a score are exact SHAP values, or estimated by sampling."""
    return "estimate" if kind is ModelKind.MLP else "exact"


FILE_NAMES = {
    ModelKind.XGBOOST: XGBoostModel.file_name,
    ModelKind.LIGHTGBM: LightGBMModel.file_name,
    ModelKind.RANDOM_FOREST: XGBoostModel.file_name,  # its own forest, in its format
    ModelKind.LOGISTIC: LogisticModel.file_name,
    ModelKind.MLP: NetworkModel.file_name,
    ModelKind.BASE_RATE: BaseRateModel.file_name,
    ModelKind.BLEND: "blend.json",  # and the files of its components
}
