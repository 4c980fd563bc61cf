"""From a file of facts to a revision: all of it in one transaction, or nothing."""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import NOT_UNIQUE, Sessions
from app.errors import FieldError, InvalidRequest, UnreadableFile
from app.schemas.events import FACTS, EventsIn, Fact, read_spec
from app.services.fact_rows import (
    MAIN_TIMES,
    MAX_KINDS,
    FactPlan,
    FactTally,
    FutureTally,
    fact_rows,
    known_until,
    plan_facts,
)
from app.services.fact_tables import (
    add_facts,
    count_accounts,
    create_fact_table,
    date_replacements,
    fact_key,
    index_fact_table,
    replaced_key,
    tidy_fact_table,
)
from app.services.part_tables import StoredColumn
from app.services.read_ahead import read_ahead
from app.services.revisions import lock_revisions, newest_revision
from app.services.upload_files import RowFile, open_rows
from app.tables import Dataset, FactTable, FactUpload, Revision


@dataclass(frozen=True)
class _Upload:
    """A file of facts on its way in."""

    dataset: Dataset
    spec: EventsIn
    fact: Fact
    file: RowFile
    sha256: str
    actor: str


@dataclass(frozen=True)
class TakenFacts:
    """What became of it."""

    revision: Revision
    n_rows: int
    is_new: bool
    warnings: tuple[str, ...] = ()


def spec_of(dataset: Dataset) -> EventsIn:
    """How a dataset of events was described.

    Raises
    ------
    InvalidRequest
        where it is of another kind.
    """
    if dataset.kind != "events" or dataset.spec is None:
        detail = f"Dataset {dataset.name} is of the kind {dataset.kind}: it has rows, not facts."
        takes_rows = dataset.kind == "snapshots" and dataset.source_table is None
        own = f"Send its rows to /datasets/{dataset.name}/rows, or make" if takes_rows else "Make"
        hint = f"{own} another dataset with `kind: events`."
        raise InvalidRequest(detail, hint=hint, errors=[FieldError("path/name", "not of the kind events")])
    names = ("name", "kind", "split_seed", "horizon_days", "lead_days", "grace_days")
    return read_spec({name: getattr(dataset, name) for name in names}, dataset.spec)


async def store_facts(
    sessions: Sessions, dataset: Dataset, fact: Fact, path: Path, *, actor: str, append: bool
) -> TakenFacts:
    """All or nothing: one transaction adds the rows and makes the revision, under the lock of the dataset."""
    spec = spec_of(dataset)
    file = await asyncio.to_thread(open_rows, path, list(spec.facts[fact].named.values()))
    upload = _Upload(dataset, spec, fact, file, await hash_file(path), actor)
    async with sessions.begin() as session:
        await lock_revisions(session, dataset)
        newest = await newest_revision(session, dataset)
        table = await find_fact_table(session, newest, fact) if append else None
        again = await _find_upload(session, table, upload.sha256)
        if again is not None and newest is not None:
            return TakenFacts(newest, again.n_rows, is_new=False)
        known = None if table is None else [StoredColumn.from_json(each) for each in table.columns]
        plan = await asyncio.to_thread(plan_facts, spec, fact, file, known)
        taken, table_id = await _add(session, upload, plan, newest, table)
    await tidy_fact_table(sessions, table_id)
    return taken


async def _add(
    session: AsyncSession, upload: _Upload, plan: FactPlan, newest: Revision | None, table: FactTable | None
) -> tuple[TakenFacts, int]:
    """Rows first, then (in a table of their own) indexes, then the revision that they belong to."""
    number = newest.number + 1 if newest else 1
    is_new_table = table is None
    tally, future = FactTally(), FutureTally()
    if table is None:
        table = await create_fact_table(session, upload.dataset, upload.fact, plan.attributes)
    else:
        tally = FactTally.from_json((newest.facts or {})[upload.fact] if newest else {})
    now: datetime = (await session.execute(text("SELECT now()"))).scalar_one()
    before = tally.n_rows
    try:
        async with session.begin_nested():
            await _load(session, upload, plan, table, tally, future=future, number=number, now=now)
            if is_new_table:
                await index_fact_table(session, upload.spec, upload.fact, table)
    except NOT_UNIQUE as error:
        raise _duplicate(upload) from error
    n_rows = tally.n_rows - before
    if not n_rows:
        raise UnreadableFile("There are no rows.", line=1)
    revision = await _make_revision(session, upload, newest, table, tally, now=now)
    session.add(FactUpload(fact_table_id=table.id, sha256=upload.sha256, revision_id=revision.id, n_rows=n_rows))
    warnings = plan.warnings + future.warnings(plan)
    return TakenFacts(revision, n_rows, is_new=True, warnings=warnings), table.id


async def hash_file(path: Path) -> str:
    """The SHA-256 of a file, by which one that was taken in before is known again."""
    return await asyncio.to_thread(_sha256, path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def find_fact_table(session: AsyncSession, revision: Revision | None, fact: Fact) -> FactTable | None:
    """Where a revision has its facts of this kind; None where it has none."""
    told = (revision.facts or {}).get(fact) if revision else None
    return None if told is None else await session.get_one(FactTable, told["table_id"])


async def _find_upload(session: AsyncSession, table: FactTable | None, sha256: str) -> FactUpload | None:
    if table is None:
        return None
    query = select(FactUpload).where(FactUpload.fact_table_id == table.id, FactUpload.sha256 == sha256)
    return (await session.scalars(query)).first()


async def _load(
    session: AsyncSession,
    upload: _Upload,
    plan: FactPlan,
    table: FactTable,
    tally: FactTally,
    *,
    future: FutureTally,
    number: int,
    now: datetime,
) -> None:
    """Chunk by chunk."""
    replaces = _may_replace(upload, tally)
    key = replaced_key(upload.spec, upload.fact)
    async with aclosing(read_ahead(_chunks(upload, plan, number))) as chunks:
        async for rows in chunks:
            if replaces:
                rows = await date_replacements(session, table, rows, key, number=number, now=now)  # noqa: PLW2901
            await add_facts(session, upload.dataset, table, rows)
            tally.add(rows, now=now)
            future.add(rows, MAIN_TIMES[upload.fact], now=now)
            _require_kinds(upload, tally)


def _may_replace(upload: _Upload, before: FactTally) -> bool:
    """Whether a row may take the place of one that is there, without saying since when it was known."""
    is_keyed = fact_key(upload.spec, upload.fact) is not None
    return bool(before.n_rows) and is_keyed and upload.spec.facts[upload.fact].recorded_at_column is None


def _require_kinds(upload: _Upload, tally: FactTally) -> None:
    if tally.has_too_many_kinds:
        column = upload.spec.events.kind_column
        raise UnreadableFile(
            f"There are more than {MAX_KINDS:,} kinds of event in {column}.",
            hint="A kind is what many events have in common; is this an id, or free text? Nothing was stored.",
            column=column,
        )


def _chunks(upload: _Upload, plan: FactPlan, number: int) -> Iterator[pa.Table]:
    for chunk in upload.file.chunks(plan.wanted):
        yield fact_rows(plan, upload.file, chunk, added_in=number)


def _duplicate(upload: _Upload) -> UnreadableFile:
    """Which key it is the database knows; names of columns are the caller's, so these are told."""
    named = upload.spec.facts[upload.fact].named
    key = fact_key(upload.spec, upload.fact) or ""
    column = named.get(key, named.get("created_at", key))
    told = f"{named['id']} and {column}" + (f" and {named['recorded_at']}" if "recorded_at" in named else "")
    return UnreadableFile(
        f"The file has two rows of the same {told}.",
        hint="One row is needed for each. Where there are several states of one fact, tell them apart by "
        "recorded_at_column; where they are different facts, by an id of their own. Nothing was stored.",
        column=column,
    )


async def _make_revision(
    session: AsyncSession,
    upload: _Upload,
    newest: Revision | None,
    table: FactTable,
    tally: FactTally,
    *,
    now: datetime,
) -> Revision:
    """The next number: the other facts as they were, these with the rows added."""
    facts: dict[str, Any] = {**(newest.facts or {} if newest else {})}
    facts[upload.fact] = {"table_id": table.id, **tally.to_json()}
    tallies = {fact: FactTally.from_json(facts[fact]) for fact in upload.spec.facts if fact in facts}
    complete = known_until(tallies.get("events"), now)
    facts["known_until"] = complete.isoformat() if complete else None
    telling = next(fact for fact in FACTS if fact in tallies)  # accounts, else subscriptions: events are the longest
    before = newest.data_hash if newest else ""
    revision = Revision(
        dataset_id=upload.dataset.id,
        number=newest.number + 1 if newest else 1,
        data_hash=hashlib.sha256(f"{before}|{upload.fact}|{table.id}|{upload.sha256}".encode()).hexdigest(),
        n_rows=sum(each.n_rows for each in tallies.values()),
        n_accounts=await count_accounts(session, facts[telling]["table_id"]),
        n_labelled=0,
        n_churned=0,
        instants=[],
        columns=[],
        facts=facts,
        created_by=upload.actor,
    )
    session.add(revision)
    await session.flush()
    await session.refresh(revision)
    return revision
