"""Evaluations as they are shown: the stored verdict, and what to call next."""

from typing import NamedTuple

from sqlalchemy import ScalarSelect, Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, undefer

from app.schemas.evaluation import EvaluationOut
from app.tables import Dataset, Evaluation, Revision, TrainedModel, Training, Version

Query = Select[Evaluation, str, int, int, int | None]
_KEPT = (
    *("id", "version", "job_id", "champion_version", "bundle_sha256"),
    *("recommendation", "provisional", "advisory", "rule", "created_at"),
)
_TOLD = ("sentences", "checks", "deciding_check", "insufficient", "power", "baseline_as_good", "rows")
_Baseline = aliased(TrainedModel)
_Same = aliased(TrainedModel)
_SameVersion = aliased(Version)


class EvaluationRow(NamedTuple):
    """A verdict, what it is on, and what there is to turn to."""

    evaluation: Evaluation
    dataset: str
    revision: int
    training_job: int
    baseline_version: int | None


def select_evaluations() -> Query:
    """Rows of `EvaluationRow`."""
    query = select(Evaluation, Dataset.name, Revision.number, Training.job_id, _baseline_version())
    query = query.select_from(Evaluation).join(Version, Version.version == Evaluation.version)
    query = query.join(Dataset, Dataset.id == Version.dataset_id)
    query = query.join(Revision, Revision.id == Evaluation.revision_id)
    query = query.join(TrainedModel, TrainedModel.id == Version.trained_model_id)
    query = query.join(Training, Training.id == TrainedModel.training_id)
    return query.join(_Baseline, and_(_Baseline.training_id == Training.id, _Baseline.role == "baseline"))


def _baseline_version() -> ScalarSelect[int | None]:
    """A version of the very bytes of the baseline, whichever training it is of: the champion, else the newest."""
    query = select(_SameVersion.version).join(_Same, _Same.id == _SameVersion.trained_model_id)
    query = query.where(_Same.bundle_sha256 == _Baseline.bundle_sha256, _SameVersion.dataset_id == Dataset.id)
    is_champion = func.coalesce(_SameVersion.version == Evaluation.champion_version, False)
    query = query.order_by(is_champion.desc(), _SameVersion.version.desc()).limit(1)
    return query.correlate(_Baseline, Dataset, Evaluation).scalar_subquery()


async def read_evaluations(session: AsyncSession, query: Query, *, with_curves: bool = False) -> list[EvaluationOut]:
    """The verdicts a query of `select_evaluations` finds; their curves are large, so only where they are wanted."""
    if with_curves:
        query = query.options(undefer(Evaluation.curves))
    found = [EvaluationRow(*row) for row in (await session.execute(query))]
    return [_with_curves(row) if with_curves else _out(row) for row in found]


def _with_curves(row: EvaluationRow) -> EvaluationOut:
    curves, told = row.evaluation.curves, _out(row)
    steps = [] if curves else [f"POST /models/{row.evaluation.version}/evaluate, for a verdict with curves"]
    return told.model_copy(update={"curves": curves, "next": [*told.next, *steps]})


def _out(row: EvaluationRow) -> EvaluationOut:
    evaluation, told = row.evaluation, row.evaluation.judgement
    return EvaluationOut(
        **{name: getattr(evaluation, name) for name in _KEPT},
        **{name: told[name] for name in _TOLD},
        weak_evidence=evaluation.rule == "no_harm",
        evidence=told.get("evidence", "test_side"),  # verdicts of before knew no other
        test_side=told.get("test_side"),
        dataset=row.dataset,
        revision=row.revision,
        evaluation=evaluation.config,
        next=_next(row),
    )


def _next(row: EvaluationRow) -> list[str]:
    evaluation, steps = row.evaluation, []
    if evaluation.advisory:
        steps.append(f"POST /models/{evaluation.version}/evaluate {{}}, for a verdict that counts")
    elif evaluation.recommendation == "promote" and evaluation.champion_version != evaluation.version:
        steps.append(f"POST /models/{evaluation.version}/promote")
    if evaluation.judgement["baseline_as_good"] and row.baseline_version is None:
        steps.append(f'POST /models {{"job_id": {row.training_job}, "model": "baseline"}}')
    elif evaluation.judgement["baseline_as_good"] and row.baseline_version not in (
        evaluation.champion_version,
        evaluation.version,
    ):
        steps.append(f"POST /models/{row.baseline_version}/evaluate")
    return steps
