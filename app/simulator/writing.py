"""The facts and the truth as files, streamed block by block."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from app.simulator.blocks import Block, simulate, truth_blocks
from app.simulator.config import SimulatorConfig

Format = Literal["parquet", "csv"]
TABLES = ("accounts", "subscriptions", "events")
TRUTH = "truth.parquet"
_CSV_INSTANT = pa.timestamp("s", tz="UTC")  # the facts know no part of a second
T = TypeVar("T", Block, pa.Table)
ShowBlock = Callable[[int], None]


def write_files(
    config: SimulatorConfig, folder: Path, *, form: Format = "parquet", show: ShowBlock | None = None
) -> dict[str, int]:
    """Write the three fact tables, and `contacted` where accounts were treated, one row group per block.

    CSV has a header, empty fields for what is missing, and times as ISO 8601 in UTC. `show` is told the number of
    blocks done. Returns the rows per table; memory is bounded by one block.
    """
    names = (*TABLES, "contacted") if config.treatment else TABLES
    n_rows = dict.fromkeys(names, 0)
    with ExitStack() as stack:
        write = {name: _Sink(folder / f"{name}.{form}", form, stack).write for name in names}
        for block in _shown(simulate(config), show):
            for name in names:
                n_rows[name] += write[name](getattr(block, name))
    return n_rows


def write_truth(config: SimulatorConfig, as_of: datetime, folder: Path, *, show: ShowBlock | None = None) -> int:
    """Write the truth about the customers at a midnight as Parquet; returns how many there are."""
    with ExitStack() as stack:
        sink = _Sink(folder / TRUTH, "parquet", stack)
        return sum(sink.write(block) for block in _shown(truth_blocks(config, as_of), show))


def _shown(blocks: Iterable[T], show: ShowBlock | None) -> Iterator[T]:
    for number, block in enumerate(blocks, start=1):
        yield block
        if show:
            show(number)


class _Sink:
    """A file that takes tables of one schema, opened by the first of them and closed with the stack."""

    def __init__(self, path: Path, form: Format, stack: ExitStack) -> None:
        self._path, self._form, self._stack = path, form, stack
        self._writer: pq.ParquetWriter | pa_csv.CSVWriter | None = None

    def write(self, rows: pa.Table) -> int:
        rows = _in_seconds(rows) if self._form == "csv" else rows
        if self._writer is None:
            self._writer = self._stack.enter_context(self._open(rows.schema))
        self._writer.write_table(rows)
        return int(rows.num_rows)

    def _open(self, schema: pa.Schema) -> "pq.ParquetWriter | pa_csv.CSVWriter":
        if self._form == "csv":
            return pa_csv.CSVWriter(self._path, schema, write_options=pa_csv.WriteOptions(quoting_style="needed"))
        return pq.ParquetWriter(self._path, schema, compression="zstd")


def _in_seconds(rows: pa.Table) -> pa.Table:
    columns = [column.cast(_CSV_INSTANT) if pa.types.is_timestamp(column.type) else column for column in rows.columns]
    return pa.table(columns, names=rows.column_names)
