"""Two versions of a dataset side by side: figures, parameters, features, data, and how scores moved between them."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions
from app.errors import InvalidRequest
from app.schemas.models import CompareOut, Difference, MetricRow
from app.services.models import Models
from app.services.paired_evidence import compare_judged
from app.services.score_shift import score_shift
from app.services.version_rows import VersionRow, read_standing, version_out

METRICS = ("roc_auc", "pr_auc", "precision", "recall", "f1", "log_loss", "brier", "calibration_slope")


class Comparison:
    """Compares what is stored; nothing is scored for it."""

    def __init__(self, sessions: Sessions, models: Models) -> None:
        self._sessions = sessions
        self._models = models

    async def compare(self, a_name: str, b_name: str, dataset_name: str | None) -> CompareOut:
        """The two versions; the score shift is null until both have scored the same rows."""
        async with self._sessions() as session:
            dataset_name = dataset_name or await self._dataset_of_number(session, a_name, b_name)
            a = await self._models.get_row(session, a_name, dataset_name)
            b = await self._models.get_row(session, b_name, dataset_name)
            _require_same_dataset(a, b)
            standing = await read_standing(session, [a, b])
            shift = await score_shift(session, a.version.version, b.version.version)
        paired = await compare_judged(self._sessions, a.version.version, b.version.version)
        features_a, features_b = _used(a), _used(b)
        return CompareOut(
            a=version_out(a, standing),
            b=version_out(b, standing),
            metrics=[_metric(name, a, b) for name in METRICS],
            same_rows=a.revision.id == b.revision.id,
            paired=paired.found,
            paired_missing=paired.missing,
            parameters=_differences(_parameters(a), _parameters(b)),
            features_only_in_a=[name for name in features_a if name not in features_b],
            features_only_in_b=[name for name in features_b if name not in features_a],
            data=_differences(_data(a), _data(b)),
            score_shift=shift,
            next=[*paired.next, *([] if shift else [_score_call(row) for row in (a, b)])],
        )

    async def _dataset_of_number(self, session: AsyncSession, *names: str) -> str | None:
        """The dataset that a number tells of the other side, where that is a name such as `champion`."""
        numbers = [name for name in names if name.isdecimal()]
        if len(numbers) != 1:
            return None
        dataset, _ = await self._models.resolve(session, numbers[0], dataset=None)
        return dataset.name


def _require_same_dataset(a: VersionRow, b: VersionRow) -> None:
    if a.dataset.id != b.dataset.id:
        raise InvalidRequest(
            f"Version {a.version.version} belongs to {a.dataset.name}, version {b.version.version} to "
            f"{b.dataset.name}: they score other accounts.",
            hint="Compare versions of one dataset; GET /models?dataset=... lists them.",
        )


def _used(row: VersionRow) -> list[str]:
    return [feature["name"] for feature in row.trained.report["features"] if feature["used"]]


def _metric(name: str, a: VersionRow, b: VersionRow) -> MetricRow:
    x, y = (row.trained.report["metrics"]["test"][name] for row in (a, b))
    return MetricRow(name=name, a=x, b=y, difference=None if x is None or y is None else y - x)


def _parameters(row: VersionRow) -> dict[str, Any]:
    training = {f"training.{name}": value for name, value in row.training.config["training"].items()}
    model = {"model_type": row.trained.model_type, "seed": row.training.config["model"]["seed"]}
    return {**model, "n_rounds": row.trained.report["n_rounds"], **row.trained.report["parameters"], **training}


def _data(row: VersionRow) -> dict[str, Any]:
    return {
        "revision": row.revision.number,
        "n_rows": row.revision.n_rows,
        "n_labelled": row.revision.n_labelled,
        "n_churned": row.revision.n_churned,
        "data_hash": row.training.data_hash,
        "training_data_hash": row.trained.report["training_data_hash"],
        "features_hash": row.training.features_hash,
    }


def _differences(a: dict[str, Any], b: dict[str, Any]) -> list[Difference]:
    names = [*a, *(name for name in b if name not in a)]
    return [Difference(name=name, a=a.get(name), b=b.get(name)) for name in names if a.get(name) != b.get(name)]


def _score_call(row: VersionRow) -> str:
    return f'POST /score/batches {{"version": "{row.version.version}"}}'
