"""Revisions: made under the lock of their dataset, found by number."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import NoRows, NotFound
from app.ml.cells import ColumnKind
from app.ml.labels import label_word
from app.services.part_tables import StoredColumn, part_ids, select_rows
from app.services.revision_facts import Facts, describe_rows, hash_rows
from app.tables import Dataset, Part, Revision, RevisionPart

REVISION_LOCK = 0x726576  # space of the locks under which revisions of a dataset are made


async def lock_revisions(session: AsyncSession, dataset: Dataset) -> None:
    """Take turns with other uploads to this dataset, however long they take."""
    await session.execute(text("SET LOCAL lock_timeout = 0"))
    await session.execute(
        text("SELECT pg_advisory_xact_lock(CAST(:space AS int), CAST(:key AS int))"),
        {"space": REVISION_LOCK, "key": dataset.id % 2**31},
    )
    if await session.scalar(select(Dataset.id).where(Dataset.id == dataset.id)) is None:
        raise NotFound(f"The dataset {dataset.name} has been deleted.")


async def newest_revision(session: AsyncSession, dataset: Dataset) -> Revision | None:
    """The revision with the highest number, or None while there is none."""
    query = select(Revision).where(Revision.dataset_id == dataset.id).order_by(Revision.number.desc()).limit(1)
    return (await session.scalars(query)).first()


async def get_revision(session: AsyncSession, dataset: Dataset, number: int | None = None) -> Revision:
    """The revision of this number, by default the newest."""
    newest = await newest_revision(session, dataset)
    if newest is None:
        raise NoRows(f"Dataset {dataset.name} has no rows yet.", hint=_how_rows_come(dataset))
    if number is None or number == newest.number:
        return newest
    query = select(Revision).where(Revision.dataset_id == dataset.id, Revision.number == number)
    found = (await session.scalars(query)).first()
    if found is None:
        raise NotFound(f"Dataset {dataset.name} has no revision {number}; the newest is {newest.number}.")
    return found


def _how_rows_come(dataset: Dataset) -> str:
    if dataset.kind == "query" or dataset.source_table is not None:
        return "They are read as a training starts: POST /train."
    what = "facts/events" if dataset.kind == "events" else "rows"
    return f"Upload them with PUT /datasets/{dataset.name}/{what}."


def label_others(revision: Revision | None) -> set[str]:
    """What the label column has said so far besides the positive value: nothing, or one word."""
    for each in revision.columns if revision else ():
        if each["kind"] == ColumnKind.LABEL:
            return set(each["others"])
    return set()


async def make_revision(
    session: AsyncSession,
    dataset: Dataset,
    part: Part,
    *,
    upon: Revision | None,
    beneath: Sequence[int] = (),
    above: Sequence[int] = (),
    columns: Sequence[StoredColumn],
    others: Iterable[str],
    actor: str,
) -> Revision:
    """The next revision: the part alone, or laid upon the parts of another revision, or between single parts.

    In the caller's transaction, which holds the lock: numbers are consecutive, and nobody sees half of one.
    """
    parts = [*(await part_ids(session, upon) if upon else []), *beneath, part.id, *above]
    facts = await describe_rows(session, parts, columns)
    part.data_hash = facts.data_hash if len(parts) == 1 else await part_hash(session, part, columns)
    newest = await newest_revision(session, dataset)
    revision = Revision(
        dataset_id=dataset.id,
        number=newest.number + 1 if newest else 1,
        data_hash=facts.data_hash,
        n_rows=facts.n_rows,
        n_accounts=facts.n_accounts,
        n_labelled=facts.n_labelled,
        n_churned=facts.n_churned,
        instants=facts.instants,
        columns=[*facts.columns, _label_entry(dataset, facts, sorted(others))],
        created_by=actor,
    )
    session.add(revision)
    await session.flush()
    session.add_all(RevisionPart(revision_id=revision.id, position=at, part_id=each) for at, each in enumerate(parts))
    await session.flush()
    await session.refresh(revision)
    return revision


async def part_hash(session: AsyncSession, part: Part, columns: Sequence[StoredColumn]) -> str:
    """What the rows of one part say."""
    return await hash_rows(session, select_rows([part.id], [each.column for each in columns if each.column]), columns)


def _label_entry(dataset: Dataset, facts: Facts, others: list[str]) -> dict[str, Any]:
    levels = [{"level": label_word(dataset.positive_value), "n": facts.n_churned}]
    levels += [{"level": word, "n": facts.n_labelled - facts.n_churned} for word in others]
    return {
        "name": dataset.label_column,
        "kind": ColumnKind.LABEL.value,
        "column": None,
        "excluded": "the label",
        "note": None,
        "others": others,
        "levels": levels,
        "n_levels": len(levels),
        "missing_share": 1 - facts.n_labelled / facts.n_rows if facts.n_rows else None,
    }
