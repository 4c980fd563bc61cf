"""The Python door: what notebooks import; no logic of its own."""

from app.schemas.config import (
    EvaluationConfig,
    ModelConfig,
    ModelType,
    MonitoringConfig,
    ScoringConfig,
    TrainingConfig,
)

__all__ = ["EvaluationConfig", "ModelConfig", "ModelType", "MonitoringConfig", "ScoringConfig", "TrainingConfig"]
