"""Uploaded files: spooled to disk with a bound, and read as columns, chunk by chunk."""

import asyncio
import codecs
import csv
import io
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from app.errors import UnreadableFile, UploadTooLarge

BLOCK_BYTES = 4 * 1024**2  # of CSV read at once; no row may be longer
PARQUET_ROWS = 50_000  # read at once
MAX_COLUMNS = 900  # a row of as many numbers still fits into a page of PostgreSQL
MAX_NAME_LENGTH = 200
_DELIMITERS = (",", ";", "\t", "|")
_MAX_HEADER_BYTES = 1024**2
_FOREIGN = {b"\x1f\x8b": "is compressed with gzip", b"PK": "is a ZIP archive or an Excel workbook"}


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file, as columns by name; `first_row` counts the rows before them."""

    first_row: int
    columns: dict[str, pa.Array]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


class RowFile(Protocol):
    """A file of rows that can be read more than once."""

    @property
    def names(self) -> Sequence[str]:
        """The columns, in the order of the file."""

    def chunks(self, wanted: Collection[str]) -> Iterator[Chunk]:
        """The wanted columns of all rows, in order."""

    def place(self, row: int) -> tuple[str, int]:
        """Where in the file a row (from 0) is, as people count: ("line", 12)."""


@asynccontextmanager
async def spool(stream: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[Path]:
    """The bytes of a stream as a file, deleted at the end; refused as soon as they are too many."""
    with tempfile.NamedTemporaryFile(prefix="holdfast-upload-") as file:
        n_bytes, waiting = 0, bytearray()
        async for piece in stream:
            n_bytes += len(piece)
            if n_bytes > max_bytes:
                raise UploadTooLarge(f"The file is larger than {max_bytes} bytes.", max_bytes=max_bytes)
            waiting += piece
            if len(waiting) >= 1024**2:
                await asyncio.to_thread(file.write, bytes(waiting))
                waiting.clear()
        file.write(waiting)
        file.flush()
        yield Path(file.name)


def open_rows(path: Path, expected: Collection[str]) -> RowFile:
    """The file as rows, CSV or Parquet by its content; `expected` names tell which delimiter a CSV uses."""
    with path.open("rb") as file:
        magic = file.read(4)
    if not magic:
        raise UnreadableFile("The file is empty.")
    for start, what in _FOREIGN.items():
        if magic.startswith(start):
            raise UnreadableFile(f"The file {what}; CSV or Parquet as such is needed.")
    return ParquetRows(path) if magic == b"PAR1" else CsvRows(path, expected)


def refuse_names(names: Sequence[str]) -> None:
    """Names must tell columns apart and be storable."""
    if len(names) > MAX_COLUMNS:
        raise UnreadableFile(f"The file has {len(names)} columns; {MAX_COLUMNS} are the most.")
    for at, name in enumerate(names, 1):
        if not name:
            hint = "Name it, or leave it out (pandas: to_csv(..., index=False))."
            raise UnreadableFile(f"Column {at} has no name.", hint=hint, line=1)
        if len(name) > MAX_NAME_LENGTH or "\0" in name:
            raise UnreadableFile(f"The name of column {at} is longer than {MAX_NAME_LENGTH} characters or holds a NUL.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UnreadableFile(f"Column name used twice: {', '.join(twice)}.", line=1, column=twice[0])


class CsvRows:
    """A CSV file with a header, in UTF-8; the cells are text."""

    def __init__(self, path: Path, expected: Collection[str]) -> None:
        _check_text(path)
        self._path = path
        self._delimiter, self.names = _read_header(path, expected)
        refuse_names(self.names)

    def chunks(self, wanted: Collection[str]) -> Iterator[Chunk]:
        """The wanted columns as text; the last column is read too, to see whether a quote stays open."""
        keys = {str(at): name for at, name in enumerate(self.names) if name in wanted or name == self.names[-1]}
        n_rows, last = 0, ""
        try:
            with self._reader(list(keys)) as reader:
                for batch in reader:
                    if batch.num_rows:
                        columns = {keys[key]: batch.column(key) for key in keys}
                        last = columns[self.names[-1]][-1].as_py()
                        yield Chunk(n_rows, {name: columns[name] for name in columns if name in wanted})
                        n_rows += batch.num_rows
        except pa.ArrowInvalid as error:
            raise self._diagnose(str(error)) from error
        if n_rows and self._leaves_quote_open(last):
            _, line = self.place(n_rows - 1)
            raise UnreadableFile(f"A quote opened on line {line} is never closed.", line=line)

    def _reader(self, keys: list[str]) -> pa_csv.CSVStreamingReader:
        everything = [str(at) for at in range(len(self.names))]
        return pa_csv.open_csv(
            str(self._path),
            read_options=pa_csv.ReadOptions(
                block_size=BLOCK_BYTES, column_names=everything, skip_rows_after_names=1, use_threads=False
            ),
            parse_options=pa_csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                include_columns=keys, column_types=dict.fromkeys(keys, pa.string()), strings_can_be_null=False
            ),
        )

    def _leaves_quote_open(self, last: str) -> bool:
        """Whether the file ends inside its last cell: the parser takes that for a cell."""
        opened = ('"' + last.replace('"', '""')).encode()
        with self._path.open("rb") as file:
            file.seek(max(0, self._path.stat().st_size - len(opened) - 1))
            tail = file.read()
        return tail.endswith(opened) and (last != "" or not tail.endswith(b'""'))

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Every record with the line it begins on, slowly."""
        with self._path.open(newline="", encoding="utf-8-sig") as file:
            reader, line = csv.reader(file, delimiter=self._delimiter), 1
            for record in reader:
                if record:
                    yield line, record
                line = reader.line_num + 1

    def _diagnose(self, complaint: str) -> UnreadableFile:
        """Find the row that the parser refused, with its line."""
        n_columns = len(self.names)
        try:
            for line, record in self._records():
                if len(record) != n_columns:
                    sentence = f"Line {line} has {len(record)} cells where the header has {n_columns}."
                    hint = "Quote cells that hold the delimiter, and close each quote."
                    return UnreadableFile(sentence, hint=hint, line=line)
        except csv.Error:
            return UnreadableFile("A cell is longer than 128 KiB: a quote may not be closed.")
        if "straddling" in complaint:
            return UnreadableFile(f"A row is longer than {BLOCK_BYTES} bytes: a quote may not be closed.")
        return UnreadableFile("The file is not valid CSV.")

    def place(self, row: int) -> tuple[str, int]:
        """The line that a row begins on."""
        try:
            for at, (line, _) in enumerate(self._records()):
                if at == row + 1:
                    return "line", line
        except csv.Error:  # a cell longer than Python's reader takes: count rows instead
            return "row", row + 1
        return "row", row + 1


def _check_text(path: Path) -> None:
    """Refuse what is not UTF-8 or holds a NUL, with the line."""
    decoder, n_bytes, n_lines = codecs.getincrementaldecoder("utf-8")(), 0, 1
    with path.open("rb") as file:
        while piece := file.read(1024**2):
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(piece)
            except UnicodeDecodeError as error:
                at = max(error.start - held, 0)
                raise _not_utf8(n_bytes + at, n_lines + piece.count(b"\n", 0, at)) from None
            if (at := piece.find(b"\0")) >= 0:
                line = n_lines + piece.count(b"\n", 0, at)
                raise UnreadableFile(f"Byte {n_bytes + at} on line {line} is a NUL.", line=line)
            n_bytes, n_lines = n_bytes + len(piece), n_lines + piece.count(b"\n")
    if decoder.getstate()[0]:
        raise _not_utf8(n_bytes, n_lines)


def _not_utf8(byte: int, line: int) -> UnreadableFile:
    hint = "Save the file as UTF-8 and send it again; nothing was stored."
    return UnreadableFile(f"Byte {byte} on line {line} is not valid UTF-8.", hint=hint, line=line, byte=byte)


def _read_header(path: Path, expected: Collection[str]) -> tuple[str, list[str]]:
    """The delimiter under which most of the expected columns are found (a comma where none tells), and the names."""
    found = {delimiter: _names(path, delimiter) for delimiter in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda delimiter: len(set(found[delimiter]) & set(expected)))
    return best, found[best]


def _names(path: Path, delimiter: str) -> list[str]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        head = file.read(_MAX_HEADER_BYTES)
    try:
        record = next(filter(None, csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)), [])
    except csv.Error:
        record = []
    if not record:
        raise UnreadableFile("The file has no header.", line=1)
    return [name.strip() for name in record]


class ParquetRows:
    """A Parquet file; the cells have the types it declares."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with pq.ParquetFile(path) as file:
                self.names = list(file.schema_arrow.names)
        except (pa.ArrowException, OSError) as error:
            raise UnreadableFile("The file begins like Parquet but is damaged or incomplete.") from error
        refuse_names(self.names)

    def chunks(self, wanted: Collection[str]) -> Iterator[Chunk]:
        """The wanted columns, row group by row group."""
        names, n_rows = [name for name in self.names if name in wanted], 0
        try:
            with pq.ParquetFile(self._path, buffer_size=1024**2, pre_buffer=False) as file:
                for batch in file.iter_batches(PARQUET_ROWS, columns=names, use_threads=False):
                    yield Chunk(n_rows, {name: batch.column(name) for name in names})
                    n_rows += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise UnreadableFile(f"The file can't be read after row {n_rows}: it is damaged.", row=n_rows) from error

    def place(self, row: int) -> tuple[str, int]:
        """The number of the row, from 1."""
        return "row", row + 1
