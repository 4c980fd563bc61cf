"""The five config models: request bodies, CLI options, settings and Python arguments alike."""

from app.schemas.config.base import Config, Whole
from app.schemas.config.evaluation import (
    Cutoff,
    EvaluationConfig,
    LeakSuspicionConfig,
    ListStabilityConfig,
    ProbabilityCut,
    ProfitConfig,
    SegmentsConfig,
    TierCut,
    TopShareCut,
    WholeBar,
    require_passable,
)
from app.schemas.config.model import ModelConfig, ModelType
from app.schemas.config.monitoring import MonitoringConfig
from app.schemas.config.scoring import CapacityTiers, ProbabilityTiers, RelativeTiers, ScoringConfig, Tiers
from app.schemas.config.training import MAX_TRIALS, SearchConfig, SearchRange, TrainingConfig

__all__ = [
    "CONFIGS",
    "MAX_TRIALS",
    "CapacityTiers",
    "Config",
    "Cutoff",
    "EvaluationConfig",
    "LeakSuspicionConfig",
    "ListStabilityConfig",
    "ModelConfig",
    "ModelType",
    "MonitoringConfig",
    "ProbabilityCut",
    "ProbabilityTiers",
    "ProfitConfig",
    "RelativeTiers",
    "ScoringConfig",
    "SearchConfig",
    "SearchRange",
    "SegmentsConfig",
    "TierCut",
    "Tiers",
    "TopShareCut",
    "TrainingConfig",
    "Whole",
    "WholeBar",
    "require_passable",
]

CONFIGS: tuple[type[Config], ...] = (ModelConfig, TrainingConfig, EvaluationConfig, ScoringConfig, MonitoringConfig)
