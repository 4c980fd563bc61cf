"""What gates on point values would have said of the same evidence."""

import logging
from typing import Any

from app.ml.gate import Evidence
from app.stats.ranking import auc

MIN_GAIN = 0.005  # AUC above production that such gates ask for
MIN_AUC = 0.70


class PointGates:
    """Counts how often a point value passes, by a comparison of our own and by MLflow's validation."""

    def __init__(self, *, mlflow: bool) -> None:
        self._mlflow = mlflow
        self._point: list[bool] = []
        self._validated: list[bool] = []

    def look(self, evidence: Evidence) -> None:
        """Judge the same rows."""
        if evidence.production is None:
            return
        own, production = auc(evidence.y, evidence.p_model), auc(evidence.y, evidence.production.p)
        self._point.append(own > production + MIN_GAIN)
        if self._mlflow:
            self._validated.append(mlflow_passes(own, production))

    @property
    def point_share(self) -> float:
        """0..1; NaN where nothing was looked at."""
        return _share(self._point)

    @property
    def mlflow_share(self) -> float:
        """0..1; NaN where MLflow was not asked."""
        return _share(self._validated)


def _share(passed: list[bool]) -> float:
    return sum(passed) / len(passed) if passed else float("nan")


def mlflow_passes(own: float, production: float) -> bool:
    """`mlflow.validate_evaluation_results` on the two AUCs: a minimum, and a least absolute change."""
    import mlflow  # costs seconds, and only some studies ask for it
    from mlflow.models import MetricThreshold
    from mlflow.models.evaluation import EvaluationResult
    from mlflow.models.evaluation.validation import ModelValidationFailedException

    logging.getLogger("mlflow.models.evaluation.validation").setLevel(logging.WARNING)

    def result(value: float) -> Any:
        return EvaluationResult(metrics={"roc_auc": value}, artifacts={})

    wanted = MetricThreshold(threshold=MIN_AUC, min_absolute_change=MIN_GAIN, greater_is_better=True)
    try:
        mlflow.validate_evaluation_results(
            validation_thresholds={"roc_auc": wanted}, candidate_result=result(own), baseline_result=result(production)
        )
    except ModelValidationFailedException:
        return False
    return True
