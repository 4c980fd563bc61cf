"""From the rows of a file to facts: which column is what, cells of the right kind, and what is counted on the way."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.errors import UnreadableFile
from app.ml.cells import MAX_ID_LENGTH, ColumnKind, Unfit, account_ids, declared_kind, decode, to_kind, to_text
from app.ml.inference import ColumnObserver
from app.schemas.events import FIRST_INSTANT, AccountsIn, EventsIn, Fact, FactsIn
from app.services.fact_tables import FIXED
from app.services.part_tables import StoredColumn
from app.services.upload_files import Chunk, RowFile
from app.services.upload_plan import NOT_KEPT, judge_column, require_columns

MAX_KINDS = 10_000  # of events: more are no kinds, and could not be counted in bounded memory
MAX_NUMBER = 1e15  # of quantities and amounts
_INSTANT = pa.timestamp("us", "UTC")
_COUNTED = {"n": "kind", "n_quantity": "quantity", "n_amount": "amount"}  # by kind of event: rows that have the column
MAX_LENGTHS = {"kind": 100, "event_id": MAX_ID_LENGTH, "subscription_id": MAX_ID_LENGTH}  # what stands in indexes
MAIN_TIMES: dict[Fact, str] = {"accounts": "valid_from", "subscriptions": "started_at", "events": "occurred_at"}
EVENT = "event"  # the kind of all events where no column tells
_OWN_TIMES = {name for columns in FIXED.values() for name, kind, _ in columns if kind is ColumnKind.TIMESTAMP}


@dataclass(frozen=True)
class FactPlan:
    """How the columns of a file become those of a table of facts."""

    fact: Fact
    described: FactsIn
    attributes: tuple[StoredColumn, ...]
    warnings: tuple[str, ...] = ()

    @property
    def wanted(self) -> set[str]:
        """The columns of the file that are read."""
        return {*self.described.named.values(), *(each.name for each in self.attributes if each.column)}


def plan_facts(spec: EventsIn, fact: Fact, file: RowFile, known: Sequence[StoredColumn] | None) -> FactPlan:
    """Look for the columns that are described; attributes are inferred, or must be those that are `known`."""
    described = spec.facts[fact]
    require_columns(file, list(described.named.values()))
    if not isinstance(described, AccountsIn):
        return FactPlan(fact, described, ())
    if known is not None:
        require_columns(file, [each.name for each in known if each.column])
        fresh = {*file.names} - {*described.named.values()} - {each.name for each in known}
        warnings = [f"{name}: not in the rows before, so left out; PUT takes new columns in" for name in sorted(fresh)]
        return FactPlan(fact, described, tuple(known), tuple(warnings))
    attributes = _infer_attributes(described, file)
    return FactPlan(fact, described, tuple(attributes), tuple(_attribute_warnings(attributes)))


def _infer_attributes(described: AccountsIn, file: RowFile) -> list[StoredColumn]:
    taken = {*described.named.values()} - {described.value_column}
    names = [name for name in file.names if name not in taken and name not in described.exclude_columns]
    observers = {name: ColumnObserver() for name in names}
    for chunk in file.chunks(names):
        for name, observer in observers.items():
            observer.observe(chunk.columns[name], first_row=chunk.first_row)
    fallback = ColumnKind.NUMERIC
    found = [judge_column(name, f"a{at}", observers[name], fallback, file) for at, name in enumerate(names, 1)]
    value = next((each for each in found if each.name == described.value_column), None)
    if value is not None and value.kind is not ColumnKind.NUMERIC:
        raise UnreadableFile(f"The value column {value.name} does not hold numbers.", column=value.name)
    return found


def _attribute_warnings(attributes: Iterable[StoredColumn]) -> list[str]:
    told = [f"{each.name}: {each.excluded}" for each in attributes if each.kind in NOT_KEPT]
    return told + [f"{each.name}: {each.note}" for each in attributes if each.note]


def fact_rows(plan: FactPlan, file: RowFile, chunk: Chunk, *, added_in: int) -> pa.Table:
    """A chunk as rows of the table of facts.

    Raises
    ------
    UnreadableFile
        naming line and column of the first cell that does not fit.
    """
    n, named = len(chunk), plan.described.named
    columns = {"account_id": _read(file, chunk, named["id"], account_ids)}
    for name, kind, needed in FIXED[plan.fact]:
        if name in named:
            columns[name] = _read(file, chunk, named[name], lambda cells, k=kind, m=needed: _cells(cells, k, needed=m))
            _require_short(file, chunk, columns[name], named[name], MAX_LENGTHS.get(name))
    if plan.fact == "accounts":
        columns.setdefault("valid_from", columns["created_at"])
    if plan.fact == "events":
        columns.setdefault("kind", pa.repeat(EVENT, n))
    if plan.fact == "subscriptions":
        _require_order(file, chunk, columns["started_at"], columns["ended_at"], named["ended_at"])
    if "recorded_at" in named:
        columns["recorded_at"] = _read(
            file, chunk, named["recorded_at"], lambda cells: _cells(cells, ColumnKind.TIMESTAMP, needed=False)
        )
    for each in plan.attributes:
        if each.column:
            columns[each.column] = _read(file, chunk, each.name, lambda cells, k=each.kind: to_kind(cells, k))
    columns["added_in"] = pa.repeat(pa.scalar(added_in, pa.int32()), n)
    return pa.table(columns)


def _read(file: RowFile, chunk: Chunk, name: str, convert: Any) -> pa.Array:
    try:
        return convert(chunk.columns[name])
    except Unfit as misfit:
        raise _misfit(file, chunk, name, misfit) from misfit


def _misfit(file: RowFile, chunk: Chunk, name: str, misfit: Unfit) -> UnreadableFile:
    unit, number = file.place(chunk.first_row + misfit.position)
    place: dict[str, Any] = {unit: number, "column": name}
    return UnreadableFile(f"{unit.capitalize()} {number}, column {name}: {misfit.reason}.", **place)


def _cells(cells: pa.Array, kind: ColumnKind, *, needed: bool) -> pa.Array:
    found = to_kind(_texts(cells), kind) if kind is ColumnKind.CATEGORICAL else to_kind(cells, kind)
    if kind is ColumnKind.NUMERIC:
        _require_countable(found)
    if kind is ColumnKind.TIMESTAMP:
        _require_within(found)
    if needed and found.null_count:
        raise Unfit(found.is_null().index(True).as_py(), "is empty")
    return found


def _texts(cells: pa.Array) -> pa.Array:
    """Of cells that are one value each; lists, structs and bytes are no text."""
    cells = decode(cells)
    if not pa.types.is_string(cells.type) and declared_kind(cells.type) is ColumnKind.UNSUPPORTED:
        raise Unfit(0, f"is of type {cells.type}; text is needed")
    return to_text(cells)


def _require_countable(numbers: pa.Array) -> None:
    """Sums of them must stay numbers."""
    large = pc.fill_null(pc.greater(pc.abs(numbers), MAX_NUMBER), False)
    if pc.any(large).as_py():
        raise Unfit(large.index(True).as_py(), f"is beyond {MAX_NUMBER:g}")


def _require_within(instants: pa.Array) -> None:
    """Before the first instant there is none to be built of them, and most such cells are slips or stand for none."""
    early = pc.fill_null(pc.less(instants, pa.scalar(FIRST_INSTANT, _INSTANT)), False)
    if pc.any(early).as_py():
        raise Unfit(early.index(True).as_py(), f"is before the year {FIRST_INSTANT.year}")


def _require_short(file: RowFile, chunk: Chunk, texts: pa.Array, name: str, most: int | None) -> None:
    if most is not None:
        long = pc.fill_null(pc.greater(pc.utf8_length(texts), most), False)
        if pc.any(long).as_py():
            raise _misfit(file, chunk, name, Unfit(long.index(True).as_py(), f"is longer than {most} characters"))


def _require_order(file: RowFile, chunk: Chunk, begin: pa.Array, end: pa.Array, name: str) -> None:
    early = pc.fill_null(pc.less(end, begin), False)
    if pc.any(early).as_py():
        raise _misfit(file, chunk, name, Unfit(early.index(True).as_py(), "lies before the start"))


@dataclass
class FutureTally:
    """How many facts of one upload lie in the future, and the latest of them."""

    n: int = 0
    latest: datetime | None = None

    def add(self, rows: pa.Table, column: str, *, now: datetime) -> None:
        """Count those of a chunk by the column that says when they happen."""
        coming = rows[column].filter(pc.greater(rows[column], pa.scalar(now, _INSTANT)))
        if len(coming):
            self.n += len(coming)
            self.latest = max(filter(None, (self.latest, pc.max(coming).as_py())))

    def warnings(self, plan: FactPlan) -> tuple[str, ...]:
        """What the upload is told: more often than not such facts are slips."""
        if self.latest is None:
            return ()
        named = plan.described.named
        column = named.get(MAIN_TIMES[plan.fact], named.get("created_at"))
        told = f"{self.n:,} {'row lies' if self.n == 1 else 'rows lie'} in the future"
        return (f"{column}: {told}, the latest at {self.latest.isoformat()}; not seen before then",)


@dataclass
class FactTally:
    """What is counted of the facts of one kind, over all uploads of its table.

    `first_at` and `last_at` are the ends of when they happened, as far as that is not in the future. When they were
    recorded does not count: a correction tells nothing of the days before it.
    """

    n_rows: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    kinds: dict[str, Counter[str]] = field(default_factory=lambda: {figure: Counter() for figure in _COUNTED})

    def add(self, rows: pa.Table, *, now: datetime) -> None:
        """Count the rows of a chunk."""
        self.n_rows += rows.num_rows
        for name in _OWN_TIMES.intersection(rows.column_names):
            self._see(rows[name], now)
        if "kind" in rows.column_names:
            for figure, column in _COUNTED.items():
                self._count(figure, rows, column)

    def _see(self, instants: pa.ChunkedArray, now: datetime) -> None:
        past = instants.filter(pc.fill_null(pc.less_equal(instants, pa.scalar(now, _INSTANT)), False))
        ends = pc.min_max(past).as_py()
        if ends["min"] is not None:
            self.first_at = min(filter(None, (self.first_at, ends["min"])))
            self.last_at = max(filter(None, (self.last_at, ends["max"])))

    def _count(self, figure: str, rows: pa.Table, column: str) -> None:
        if column in rows.column_names:
            counted = rows["kind"].filter(rows[column].is_valid()).value_counts().to_pylist()
            self.kinds[figure].update({each["values"]: each["counts"] for each in counted})

    @property
    def has_too_many_kinds(self) -> bool:
        """The column of kinds holds something else."""
        return len(self.kinds["n"]) > MAX_KINDS

    def to_json(self) -> dict[str, Any]:
        """Plain data for the revision."""
        ranked = [kind for kind, _ in self.kinds["n"].most_common()]
        return {
            "n_rows": self.n_rows,
            "first_at": None if self.first_at is None else self.first_at.isoformat(),
            "last_at": None if self.last_at is None else self.last_at.isoformat(),
            "kinds": [{"kind": kind, **{figure: self.kinds[figure][kind] for figure in _COUNTED}} for kind in ranked],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "FactTally":
        """Read what `to_json` wrote."""
        first, last = (data[name] and datetime.fromisoformat(data[name]) for name in ("first_at", "last_at"))
        kinds = {figure: Counter({each["kind"]: each[figure] for each in data["kinds"]}) for figure in _COUNTED}
        return cls(data["n_rows"], first, last, kinds)


def known_until(events: FactTally | None, now: datetime) -> datetime | None:
    """Up to when the facts are complete: the end of the UTC day of the newest event, or now where that is earlier.

    Nothing but events says so: contracts are corrected years later and end on days that were planned, accounts go on
    by themselves. A feed of events that stands still so stops time, and nobody is called churned, or silent, for
    events that were never delivered.
    """
    if events is None or events.last_at is None:
        return None
    return min(events.last_at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1), now)
