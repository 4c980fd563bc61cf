"""Which rows judge a version, and what an answer tells of them."""

from dataclasses import dataclass
from datetime import UTC
from typing import Any

import numpy as np

from app.ml.fingerprint import training_data_hash
from app.ml.frame import Frame
from app.ml.instants import Bools, fair_rows
from app.services.candidate import Candidate, knowledge_of
from app.services.training_rows import TrainingRows, row_instants
from app.tables import Training


@dataclass(frozen=True)
class TestRows:
    """The rows that judge: fair to the candidate, by account and then instant."""

    rows: TrainingRows
    frame: Frame
    known: Bools
    used: Bools

    def fair_to(self, training: Training) -> Bools:
        """Of these rows, those that are fair to another version too."""
        return fair_rows(instants_of(self.frame), self.used, knowledge_of(training))


def instants_of(frame: Frame) -> Any:
    """The instant of each row; None in undated data."""
    return None if frame.as_of is None else row_instants(frame)


def why_unfair(test: TestRows, name: str, training: Training) -> str:
    """Why no row of the test side can compare with another version, and what can be done."""
    end = told_end(training)
    if training.split["kind"] == "random":
        learned = f"{name} learned from all accounts of this test side"
    else:
        newest = "" if test.rows.as_of is None else f", whose newest instant is {test.rows.as_of.isoformat()}"
        learned = f"what {name} learned ends at {end}, after the rows of this test side{newest}"
    wait = f" of {end} or later" if end else " of other accounts"
    return f"{learned}. Evaluate on a newer revision (`revision`) once rows{wait} have matured."


def describe(candidate: Candidate, test: TestRows, n_active: int, n_active_scored: int) -> dict[str, Any]:
    """What a verdict says of the rows that it rests on."""
    rows, frame = test.rows, test.frame
    return {
        "revision": candidate.revision.number,
        "side": "test",
        "as_of": rows.as_of.isoformat() if rows.as_of else None,
        "n": len(frame),
        "n_churners": int(np.nansum(frame.churned)) if frame.churned is not None else 0,
        "n_known": int(test.known.sum()),
        "n_new": int((~test.known).sum()),
        "n_active": n_active,
        "n_active_scored": n_active_scored,
        "information_end": told_end(candidate.training),
        "production_information_end": told_end(candidate.champion_training),
        "split": rows.split if is_own(candidate) else _describe_split(candidate.training, test),
        "as_trained": _as_trained(candidate, rows),
        "warnings": list(rows.warnings),
    }


def told_end(training: Training | None) -> str | None:
    """The end of what a training learned from, as text; None in undated data, or without a training."""
    end = None if training is None else training.information_end
    return None if end is None else end.astimezone(UTC).isoformat()


def is_own(candidate: Candidate) -> bool:
    """The revision is the one that the version was trained on."""
    return bool(candidate.revision.id == candidate.training.revision_id)


def _describe_split(training: Training, test: TestRows) -> dict[str, Any]:
    """What is true of the version on another revision: it learned from none of its sides, and is judged on one."""
    frame = test.frame
    churned = np.asarray(frame.churned, dtype=np.float64)
    side = {
        "n_rows": len(frame),
        "n_accounts": len(frame.accounts.unique()),
        "n_churned": int(churned.sum()),
        "churn_rate": float(churned.mean()),
        "n_known": int(test.known.sum()),
        "n_new": int((~test.known).sum()),
    }
    instants = [] if frame.as_of is None else sorted(frame.as_of.unique().to_pylist(), reverse=True)
    told = {"test": [each.isoformat() for each in instants]}
    return {"kind": training.split["kind"], "instants": told, "sides": {"test": side}}


def _as_trained(candidate: Candidate, rows: TrainingRows) -> bool | None:
    """The rows of its training could be rebuilt exactly, whatever came since; None on another revision."""
    if not is_own(candidate):
        return None
    learned = {each["name"] for each in candidate.trained.report["features"]}
    features = [each for each in rows.features if each.name in learned]
    found = training_data_hash(rows.frame, rows.sides, features)
    return bool(found == candidate.trained.report["training_data_hash"])
