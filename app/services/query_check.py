"""The queries of a dataset tried out as it is described: what they return, or why they can't be used."""

import asyncio
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from app.errors import UnreadableFile
from app.ml.cells import ColumnKind
from app.schemas.datasets import QueryColumnOut, UnderstoodOut
from app.schemas.query import QueryIn
from app.services.query_schedule import scored_instant, training_instants
from app.services.query_staging import QueryRows, StagedInstant, stage
from app.services.source_tables import TYPE_KINDS
from app.services.upload_plan import LabelTally, UploadPlan, part_rows
from app.services.warehouse import open_warehouse, refuse, statements
from app.settings import Settings
from app.tables import Dataset

CHECKED_ROWS = 10_000  # of each query: enough to see a fault, few enough to hold in memory


async def check_queries(dataset: Dataset, spec: QueryIn, settings: Settings, *, now: datetime) -> UnderstoodOut:
    """Run both on the newest matured instant, or on the newest where none has matured, and look at the first rows."""
    matured = training_instants(spec, now)
    as_of = matured[0] if matured else scored_instant(now)
    with tempfile.TemporaryDirectory(prefix="holdfast-queries-") as folder:
        async with open_warehouse(spec, settings) as warehouse:
            limit = CHECKED_ROWS + 1  # one more tells whether these are all
            staged = await stage(warehouse, dataset, spec, as_of, Path(folder), labelled=True, limit=limit)
        _require_rows(spec, staged, has_matured=bool(matured))
        return await asyncio.to_thread(_look, dataset, spec, staged)


def _require_rows(spec: QueryIn, staged: StagedInstant, *, has_matured: bool) -> None:
    about_features, about_labels = statements(spec, staged.as_of)
    if not staged.n_rows:
        raise refuse(about_features, f"it returns no row at {staged.as_of.isoformat()}; name `instants` that have rows")
    if has_matured and not staged.n_labels:
        raise refuse(about_labels, f"it returns no row at {staged.as_of.isoformat()}")


def _look(dataset: Dataset, spec: QueryIn, staged: StagedInstant) -> UnderstoodOut:
    rows, tally = QueryRows(dataset, [staged]), LabelTally(dataset)
    plan = UploadPlan(dataset, rows, staged.columns)
    ids, n_labelled = set[str](), 0
    with rows.refusing():
        for chunk in rows.chunks(plan.wanted):
            table = part_rows(plan, chunk, tally)
            ids.update(table["account_id"].to_pylist())
            n_labelled += len(table) - table["churned"].null_count
        if len(ids) < staged.n_rows:
            raise UnreadableFile("The features have an account twice.")
    is_sample = max(staged.n_rows, staged.n_labels) > CHECKED_ROWS
    if not is_sample and TYPE_KINDS.get(staged.label_type or "") is ColumnKind.CATEGORICAL:
        with rows.refusing():
            tally.require_positive()
    return UnderstoodOut(
        as_of=staged.as_of,
        columns=_columns(staged),
        label_type=str(staged.label_type),
        n_rows=staged.n_rows,
        n_labelled=n_labelled,
        n_churned=tally.n_positive,
        is_sample=is_sample,
        warnings=list(_warnings(dataset, staged, rows, tally, n_labelled, is_sample=is_sample)),
    )


def _columns(staged: StagedInstant) -> list[QueryColumnOut]:
    types = {each.name: each.type_name for each in staged.types}
    return [
        QueryColumnOut(name=each.name, type=types[each.name], kind=each.kind.value, excluded=each.excluded)
        for each in staged.columns
    ]


def _warnings(
    dataset: Dataset, staged: StagedInstant, rows: QueryRows, tally: LabelTally, n_labelled: int, *, is_sample: bool
) -> Iterator[str]:
    names = {each.name for each in staged.columns}
    yield from (f"{name}: in exclude_columns, not returned" for name in dataset.exclude_columns if name not in names)
    yield from (f"{each.name}: {each.excluded}" for each in staged.columns if each.excluded)
    if is_sample:
        yield f"Only the first {CHECKED_ROWS} rows were looked at; the training looks at all."
        return
    if rows.n_without_row:
        yield f"{rows.n_without_row} labels are of accounts that features_sql does not return: not used."
    if n_labelled < staged.n_rows:
        yield f"{staged.n_rows - n_labelled} of {staged.n_rows} accounts have no label at this instant."
    if not tally.n_positive or tally.n_positive == n_labelled:
        yield f"{tally.n_positive} of {n_labelled} labelled accounts churned; training needs both kinds."
