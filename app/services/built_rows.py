"""Rows that are built of facts, as they were known at an instant: a `RowSource`."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions, copy_out
from app.errors import NoRows, RowsDoNotFit
from app.features.definitions import Definition, define_features
from app.features.plan import OTHER, Attribute, FeaturePlan, freeze_plan, unknown_kinds
from app.features.query import (
    AFTER_ACCOUNT,
    BETWEEN_ACCOUNTS,
    EVERY_ACCOUNT,
    NAMED_ACCOUNTS,
    FactTables,
    FeatureQuery,
)
from app.ml.cells import ColumnKind
from app.ml.frame import Feature, FeatureKind, Frame
from app.schemas.events import MAX_FEATURES, EventsIn, Fact
from app.schemas.scoring import RowProblem
from app.services.fact_schedule import FactSpan, schedule_instants
from app.services.fact_storing import find_fact_table, spec_of
from app.services.fact_tables import fact_table, select_member_after
from app.services.part_tables import StoredColumn
from app.services.row_source import NO_LABELS, LabelledRows, MaturedInstants, label_span, nothing_to_train_on
from app.services.stored_rows import ARROW_TYPES, KEY_FIELDS, to_frame
from app.tables import Dataset, Revision

LEAD_DAYS = (7, 30)  # before an instant, at which a feature that only knows the decision knows nothing yet
CHUNK_SIZE = 50_000  # accounts whose rows are built at once for a training
CHUNKS_AT_ONCE = 2  # a core of the database each; one more frame is in the caller's hands


async def open_built_rows(
    sessions: Sessions, dataset: Dataset, revision: Revision, plan: Mapping[str, Any] | None
) -> "BuiltRows":
    """The rows of a revision of facts, by the plan of a version or by one of all kinds of event that there are.

    Raises
    ------
    NoRows
        Where facts that are described have not come yet.
    RowsDoNotFit
        Where accounts have lost an attribute that the plan names.
    """
    spec = spec_of(dataset)
    facts = _require_facts(dataset, spec, revision)
    async with sessions() as session:
        attributes = await _attributes(session, revision)
    if plan is None:
        frozen = freeze_plan(spec, facts["events"]["kinds"], [Attribute(*each[:2]) for each in attributes])
    else:
        frozen = FeaturePlan.from_json(plan)
    _require_attributes(revision, frozen, attributes)
    tables: dict[Fact, str] = {fact: f"data.{fact_table(facts[fact]['table_id'])}" for fact in spec.facts}
    where = FactTables(tables, {name: column for name, _, column in attributes})
    query = FeatureQuery(spec, frozen, where, define_features(spec, frozen))
    _require_few(revision, len(query.definitions))
    return BuiltRows(sessions, dataset, revision, query, is_free=plan is None)


def _require_facts(dataset: Dataset, spec: EventsIn, revision: Revision) -> dict[str, Any]:
    facts = revision.facts or {}
    missing = [fact for fact in spec.facts if fact not in facts]
    if missing:
        detail = f"Dataset {dataset.name} has no {missing[0]} yet."
        raise NoRows(detail, hint=f"Upload them with PUT /datasets/{dataset.name}/facts/{missing[0]}.")
    if facts["known_until"] is None:
        hint = "Accounts can be scored once there is an event that is not dated in the future."
        raise NoRows(f"All events of {dataset.name} lie in the future.", hint=hint)
    return facts


async def _attributes(session: AsyncSession, revision: Revision) -> list[tuple[str, FeatureKind, str]]:
    """Name, kind and column of each attribute of accounts that is kept."""
    table = await find_fact_table(session, revision, "accounts")
    stored = [StoredColumn.from_json(each) for each in table.columns] if table else []
    return [(each.name, each.feature.kind, each.column) for each in stored if each.column]


def _require_attributes(
    revision: Revision, plan: FeaturePlan, attributes: Sequence[tuple[str, FeatureKind, str]]
) -> None:
    there = {(name, kind) for name, kind, _ in attributes}
    gone = [each.name for each in plan.attributes if (each.name, each.kind) not in there]
    if gone:
        raise RowsDoNotFit(
            f"Revision {revision.number} lacks {', '.join(gone)} of its accounts, or holds it in another kind than the "
            "version reads."
        )


def _require_few(revision: Revision, n_features: int) -> None:
    if n_features > MAX_FEATURES:
        raise RowsDoNotFit(
            f"Revision {revision.number} would have rows of {n_features:,} features; {MAX_FEATURES:,} are the most.",
            hint="Replace the accounts by some with fewer attributes, or describe fewer windows or kinds.",
        )


class BuiltRows:
    """Features and labels of the accounts that are active at an instant, built from one revision of facts."""

    def __init__(
        self, sessions: Sessions, dataset: Dataset, revision: Revision, query: FeatureQuery, *, is_free: bool
    ) -> None:
        self._sessions = sessions
        self._dataset = dataset
        self._revision = revision
        self._query = query
        self._is_free = is_free  # no version has a say in the plan
        self._columns = [
            StoredColumn(each.name, ColumnKind(each.kind.value), f"f{at}")
            for at, each in enumerate(query.definitions, 1)
        ]

    @property
    def revision(self) -> Revision:
        """The facts that the rows are built from."""
        return self._revision

    @property
    def query(self) -> FeatureQuery:
        """The SQL of the rows."""
        return self._query

    @property
    def features(self) -> tuple[Feature, ...]:
        """All that are defined."""
        return tuple(each.feature for each in self._query.definitions)

    @property
    def definitions(self) -> Sequence[Definition]:
        """What each feature means."""
        return self._query.definitions

    @property
    def other_kinds(self) -> dict[str, int]:
        """Kinds of event that count as `other`, with how many events each has."""
        return unknown_kinds(self._query.plan, (self._revision.facts or {})["events"]["kinds"])

    @property
    def plan(self) -> dict[str, Any] | None:
        """The kinds of event and the attributes."""
        return self._query.plan.to_json()

    @property
    def complete_until(self) -> datetime | None:
        """Where the facts end: what accounts did after is not known, however late it is."""
        return self.known_until

    @property
    def notes(self) -> Sequence[str]:
        """Kinds of event that came after the plan was made."""
        if not self.other_kinds:
            return ()
        listed = ", ".join(f"{kind} ({n:,})" for kind, n in list(self.other_kinds.items())[:5])
        more = " and others" if len(self.other_kinds) > 5 else ""
        where = f"counted as {OTHER}" if self._query.plan.has_other else "counted only among events of any kind"
        return (f"Kinds of event without features of their own, {where}: {listed}{more}.",)

    def absent(self, account_id: str) -> RowProblem:
        """It is not active, or nothing is known of it."""
        detail = f"{account_id!r} is not active at {self.known_until.isoformat()}, where the facts end, or not known."
        return RowProblem(code="inactive_account", detail=detail)

    async def frozen(self, newest: datetime | None) -> "BuiltRows":
        """With a plan of the kinds of event that were known at the newest instant of the training.

        What came later, or became known later, has no say in which kinds have features of their own.
        """
        if not self._is_free or newest is None:
            return self
        spec, plan = self._query.spec, self._query.plan
        plan = freeze_plan(spec, await self._kinds_known(newest), plan.attributes)
        query = replace(self._query, plan=plan, definitions=define_features(spec, plan))
        return BuiltRows(self._sessions, self._dataset, self._revision, query, is_free=False)

    async def _kinds_known(self, as_of: datetime) -> list[dict[str, Any]]:
        counts = [(name, pa.int64()) for name in ("n", "n_quantity", "n_amount")]
        schema = pa.schema([("kind", pa.string()), *counts])
        async with self._sessions() as session:
            connection = await session.connection()
            found = await copy_out(connection, self._query.kinds(), as_of, self._revision.number, schema=schema)
        return list(found.to_pylist())

    @property
    def known_until(self) -> datetime:
        """Up to when the facts are complete."""
        return datetime.fromisoformat((self._revision.facts or {})["known_until"])

    async def matured(self, *, now: datetime | None) -> MaturedInstants:
        """Every `step_days` back from the newest instant whose horizon is over, or those that the description names."""
        until = self.known_until if now is None else min(self.known_until, now)
        schedule = schedule_instants(self._query.spec, self._span(until))
        n_immature = sum([await self._count_active(each) for each in schedule.immature])
        if not schedule.matured:
            hint = (
                f"Events are known from {self._first('events').date()} to {until.date()}: bring older or newer ones, "
            )
            raise nothing_to_train_on(self._dataset, self._revision, n_immature, hint + "or ask for a shorter horizon.")
        return MaturedInstants(schedule.matured, n_immature, schedule.warnings)

    def _span(self, until: datetime) -> FactSpan:
        rule = self._query.spec.active
        active_from = self._first("events" if rule.kind == "event" else "subscriptions")
        wait = timedelta(days=rule.days if rule.kind == "event" else 0)
        changed_at = self._last("subscriptions") if rule.kind == "subscription" else None
        return FactSpan(self._first("events"), active_from + wait, until, label_span(self._dataset), changed_at)

    def _last(self, fact: Fact) -> datetime | None:
        last: str | None = (self._revision.facts or {})[fact]["last_at"]
        return None if last is None else datetime.fromisoformat(last)

    def _first(self, fact: Fact) -> datetime:
        first: str | None = (self._revision.facts or {})[fact]["first_at"]
        return self.known_until if first is None else datetime.fromisoformat(first)

    async def _count_active(self, as_of: datetime) -> int:
        query = f"SELECT count(*) AS n FROM ({self._query.active(EVERY_ACCOUNT)}) AS active"  # noqa: S608
        async with self._sessions() as session:
            schema = pa.schema([("n", pa.int64())])
            found = await copy_out(await session.connection(), query, as_of, self._revision.number, schema=schema)
        return int(found["n"][0].as_py())

    async def labelled(self, instants: Sequence[datetime | None]) -> LabelledRows:
        """The active accounts of these instants, with what became of them; who left in the lead is left out."""
        dated = [each for each in instants if each is not None]
        frames = [frame async for frame in self._chunks(dated, CHUNK_SIZE, labelled=True)]
        frame = _stack(frames, self._columns)
        return LabelledRows(frame, sum(map(len, frames)) - len(frame))

    def active_chunks(self, *, chunk_size: int) -> AsyncGenerator[Frame]:
        """Accounts that are active now: where the facts that are known end."""
        return self._chunks([self.known_until], chunk_size, labelled=False)

    async def active_instant(self) -> datetime | None:
        """Where the facts that are known end."""
        return self.known_until

    async def newest(self, account_ids: Sequence[str]) -> Frame:
        """The rows of those of these accounts that are active now."""
        query = self._query.rows(NAMED_ACCOUNTS, labelled=False)
        async with self._sessions() as session:
            return await self._read(session, query, self.known_until, list(account_ids))

    async def earlier(self, instant: datetime, account_ids: Sequence[str]) -> list[tuple[float, Frame]]:
        """A week and a month before, of those that were active then."""
        query, found = self._query.rows(NAMED_ACCOUNTS, labelled=False), []
        for days in LEAD_DAYS:
            async with self._sessions() as session:
                await read_in_order(session)
                frame = await self._read(session, query, instant - timedelta(days=days), list(account_ids))
            found.append((float(days), frame))
        return found

    async def positions(self, frame: Frame) -> None:
        """Rows that are built stood in no file."""

    async def labels_query(self, as_of: datetime | None) -> str:
        """What became of the accounts that were active at `as_of`, once the facts are complete up to its horizon."""
        if as_of is None or as_of + label_span(self._dataset) > self.known_until:
            return NO_LABELS
        labels = self._query.labels(EVERY_ACCOUNT)
        instant = f"'{as_of.isoformat()}'::timestamptz"
        spelled = {
            "1": instant,
            "2": str(self._revision.number),
        }  # it becomes part of a query with parameters of its own
        labels = re.sub(r"\$([12])(?!\d)", lambda found: spelled[found[1]], labels)
        columns = f'account_id COLLATE "default" AS account_id, {instant} AS as_of, churned'
        return f"SELECT {columns} FROM ({labels}) AS labels WHERE churned IS NOT NULL"  # noqa: S608

    async def known_query(self, as_of: datetime | None) -> str:
        """Nothing: an account that is scored has its horizon before it."""
        return NO_LABELS

    async def _chunks(self, instants: Sequence[datetime], chunk_size: int, *, labelled: bool) -> AsyncGenerator[Frame]:
        """Rows by instant and account; each chunk is a transaction of its own, as a revision never changes.

        Some chunks are made at once, each on a connection of its own, also while the caller works on the one before.
        """
        bounds_of_all = [each async for each in self._bounds(chunk_size)]
        coming: deque[asyncio.Task[Frame]] = deque()
        try:
            for as_of, bounds in product(instants, bounds_of_all):
                coming.append(asyncio.create_task(self.chunk(as_of, bounds, labelled=labelled)))
                if len(coming) > CHUNKS_AT_ONCE:
                    frame = await coming.popleft()
                    if len(frame):
                        yield frame
            while coming:
                frame = await coming.popleft()
                if len(frame):
                    yield frame
        finally:
            await asyncio.gather(*coming, return_exceptions=True)  # a COPY that is cancelled may hang; a chunk is short

    async def _bounds(self, chunk_size: int) -> AsyncIterator[list[str]]:
        """After which account each chunk begins and with which it ends; the last one has no end."""
        after, last = text(select_member_after(self._dataset, chunk_size)), ""
        while True:
            async with self._sessions() as session:
                end: str | None = await session.scalar(after, {"last": last})
            if end is None:
                yield [last]
                return
            yield [last, end]
            last = end

    async def chunk(self, as_of: datetime, bounds: Sequence[str], *, labelled: bool) -> Frame:
        """The rows of the accounts after the first of `bounds`, up to the second where there is one."""
        query = self._query.rows(AFTER_ACCOUNT if len(bounds) == 1 else BETWEEN_ACCOUNTS, labelled=labelled)
        async with self._sessions() as session:
            await read_in_order(session)
            return await self._read(session, query, as_of, *bounds)

    async def _read(self, session: AsyncSession, query: str, as_of: datetime, *accounts: Any) -> Frame:
        schema = pa.schema([*KEY_FIELDS, *((each.column, ARROW_TYPES[each.kind]) for each in self._columns)])
        connection = await session.connection()
        table = await copy_out(connection, query, as_of, self._revision.number, *accounts, schema=schema)
        return to_frame(table.combine_chunks(), self._columns)


async def read_in_order(session: AsyncSession) -> None:
    """For many accounts: all facts by their indexes, side by side, until the end of the transaction.

    The planner takes what WITH names for few rows: left to itself it looks each account up, and sorts the events anew.
    """
    for setting in ("work_mem = '64MB'", "enable_nestloop = off", "enable_hashjoin = off"):
        await session.execute(text(f"SET LOCAL {setting}"))


def _stack(frames: Sequence[Frame], columns: Sequence[StoredColumn]) -> Frame:
    """The rows of several instants whose label is known, by account and then instant."""
    if not frames:
        schema = pa.schema([(each.column, ARROW_TYPES[each.kind]) for each in columns])
        return to_frame(pa.schema([*KEY_FIELDS, *schema]).empty_table(), columns)
    keys = pa.concat_tables(
        [
            pa.table({"account_id": frame.accounts, "as_of": frame.as_of, "churned": frame.churned})
            for frame in frames
            if frame.as_of is not None
        ]
    )
    order = pa.compute.sort_indices(keys, sort_keys=[("account_id", "ascending"), ("as_of", "ascending")]).to_numpy()
    order = order[np.isfinite(keys["churned"].to_numpy()[order])]
    keys, features = keys.take(order), pa.concat_tables([frame.features for frame in frames]).take(order)
    return Frame(
        accounts=keys["account_id"].combine_chunks(),
        features=features.combine_chunks(),
        churned=np.asarray(keys["churned"].to_numpy(), dtype=np.float64),
        as_of=keys["as_of"].combine_chunks(),
    )
