"""The whole schema: one class per table; timestamps are timestamptz in UTC, filled by the database's clock."""

from app.tables.base import Table
from app.tables.datasets import Dataset, FactTable, FactUpload, Part, Revision, RevisionPart, Side
from app.tables.jobs import Job, Worker
from app.tables.models import Bundle, Evaluation, Promotion, StoredEvidence, TrainedModel, Training, Version
from app.tables.policies import GatePolicy
from app.tables.scores import MonitoringLog, Outcome, Prediction, ScoringRun
from app.tables.search import SearchTrial

__all__ = [
    "Bundle",
    "Dataset",
    "Evaluation",
    "FactTable",
    "FactUpload",
    "GatePolicy",
    "Job",
    "MonitoringLog",
    "Outcome",
    "Part",
    "Prediction",
    "Promotion",
    "Revision",
    "RevisionPart",
    "ScoringRun",
    "SearchTrial",
    "Side",
    "StoredEvidence",
    "Table",
    "TrainedModel",
    "Training",
    "Version",
    "Worker",
]
