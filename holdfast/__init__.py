"""The Python door: what notebooks import, each from its room when it is first asked for; no logic of its own."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.errors import HoldfastError
    from app.face.columns import FrameError
    from app.face.dataset import TrainingData, create_training_dataset
    from app.face.gate import EvaluationGate
    from app.face.model import ChurnModel
    from app.face.monitor import ModelMonitor
    from app.face.registry import ModelRegistry
    from app.face.scoring import BatchScorer, score_active_accounts
    from app.face.store import Store
    from app.face.training import ModelTrainer, TrainedModel
    from app.ml.drift import HealthStatus
    from app.ml.judgement import Recommendation, Verdict
    from app.schemas.config import (
        EvaluationConfig,
        ModelConfig,
        ModelType,
        MonitoringConfig,
        ScoringConfig,
        TrainingConfig,
    )

__all__ = [
    "BatchScorer",
    "ChurnModel",
    "EvaluationConfig",
    "EvaluationGate",
    "FrameError",
    "HealthStatus",
    "HoldfastError",
    "ModelConfig",
    "ModelMonitor",
    "ModelRegistry",
    "ModelTrainer",
    "ModelType",
    "MonitoringConfig",
    "Recommendation",
    "ScoringConfig",
    "Store",
    "TrainedModel",
    "TrainingConfig",
    "TrainingData",
    "Verdict",
    "create_training_dataset",
    "score_active_accounts",
]

_ROOMS = {
    "app.errors": ("HoldfastError",),
    "app.face.columns": ("FrameError",),
    "app.face.dataset": ("TrainingData", "create_training_dataset"),
    "app.face.gate": ("EvaluationGate",),
    "app.face.model": ("ChurnModel",),
    "app.face.monitor": ("ModelMonitor",),
    "app.face.registry": ("ModelRegistry",),
    "app.face.scoring": ("BatchScorer", "score_active_accounts"),
    "app.face.store": ("Store",),
    "app.face.training": ("ModelTrainer", "TrainedModel"),
    "app.ml.drift": ("HealthStatus",),
    "app.ml.judgement": ("Recommendation", "Verdict"),
    "app.schemas.config": (*(name for name in __all__ if name.endswith("Config")), "ModelType"),
}


def __getattr__(name: str) -> Any:
    """The services cost seconds to import, so a name is fetched when it is used."""
    for room, names in _ROOMS.items():
        if name in names:
            found = globals()[name] = getattr(import_module(room), name)
            return found
    raise AttributeError(f"holdfast has no {name}")


def __dir__() -> list[str]:
    return __all__
