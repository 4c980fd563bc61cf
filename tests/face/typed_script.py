"""What a user may write: nothing runs it, its types are checked with those of all files (`make lint`)."""

import pandas as pd

from holdfast import (
    EvaluationConfig,
    EvaluationGate,
    HealthStatus,
    ModelConfig,
    ModelMonitor,
    ModelRegistry,
    ModelTrainer,
    ModelType,
    MonitoringConfig,
    Recommendation,
    TrainingConfig,
    create_training_dataset,
    score_active_accounts,
)


def cycle(url: str) -> HealthStatus:
    data = create_training_dataset(url, dataset="customers")
    X: pd.DataFrame = data.X
    trainer = ModelTrainer(ModelConfig(model_type=ModelType.LIGHTGBM), TrainingConfig(n_folds=3))
    result = trainer.train(X, data.y, accounts=data.accounts, sides=data.sides)
    gain: float = result.improvement_over_baseline
    judgement = EvaluationGate(EvaluationConfig(min_auc=0.7)).evaluate(result)
    if judgement.recommendation is Recommendation.PROMOTE and gain > 0:
        with ModelRegistry(url) as registry:
            version: int = registry.register_model(result).version
            registry.promote_model(version)
    high: int = score_active_accounts(url).risk_distribution["high"]
    actions: list[str] = ModelMonitor(url, MonitoringConfig()).check().recommended_actions
    assert high or actions
    return ModelMonitor(MonitoringConfig()).check_drift(X, result).health_status


def wrong() -> None:
    ModelTrainer(7)  # type: ignore[arg-type]  # an ignore that is not needed is an error itself
    ModelTrainer().train("X")  # type: ignore[call-arg]
