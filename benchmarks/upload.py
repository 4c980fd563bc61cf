"""Upload of a large CSV: rows a second and peak memory of the process that takes it in.

Run: python -m benchmarks.upload [rows columns], with DATABASE_URL, or on a private PostgreSQL.
"""

import asyncio
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from app.container import open_services, open_store
from app.schemas.datasets import SnapshotsIn
from app.settings import Settings

N_ROWS = 1_000_000
N_COLUMNS = 30
SLICE = 100_000


def write_rows(path: str, n_rows: int, n_columns: int) -> None:
    """Half of the features whole numbers, a third fractions, the rest of ten levels; 2 % of the cells are blank."""
    rng = np.random.default_rng(1)
    with Path(path).open("wb") as sink:
        for first in range(0, n_rows, SLICE):
            n = min(SLICE, n_rows - first)
            columns: dict[str, pa.Array] = {"account_id": pa.array([f"A{first + i:08d}" for i in range(n)])}
            for at in range(n_columns - 2):
                columns[f"feature_{at}"] = pa.array(_cells(rng, at, n), mask=rng.random(n) < 0.02)
            columns["churned"] = pa.array(rng.random(n) < 0.1)
            options = pa_csv.WriteOptions(include_header=first == 0, quoting_style="needed")
            pa_csv.write_csv(pa.table(columns), sink, options)


def _cells(rng: np.random.Generator, at: int, n: int) -> np.ndarray:
    if at % 6 == 5:
        return rng.choice([f"level {i}" for i in range(10)], n)
    return rng.integers(0, 5000, n) if at % 2 == 0 else rng.gamma(2.0, 30.0, n).round(2)


async def stream(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(64 * 1024):
            yield piece


async def measure(path: Path) -> None:
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        settings = Settings(home=Path(home) / "home")
        async with open_store(settings) as url, open_services(settings, url) as services:
            name = f"upload-{time.time_ns()}"
            body = SnapshotsIn(name=name, id_column="account_id", label_column="churned", positive_value="true")
            await services.datasets.create(body, actor="benchmark")
            before = _peak_mb()
            for verb in (services.uploads.replace, services.uploads.append):
                began = time.perf_counter()
                told = await verb(name, stream(path), media_type="text/csv", actor="benchmark")
                seconds = time.perf_counter() - began
                rate = told.n_rows_uploaded / seconds
                print(f"{verb.__name__}: {told.n_rows_uploaded:,} rows in {seconds:.1f} s, {rate:,.0f} rows/s")
                print(f"  peak memory {_peak_mb():.0f} MB, {before:.0f} MB before")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    given = [int(word) for word in sys.argv[1:]]
    n_rows, n_columns = given if len(given) == 2 else (N_ROWS, N_COLUMNS)
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        maker = multiprocessing.get_context("spawn").Process(target=write_rows, args=(file.name, n_rows, n_columns))
        maker.start()
        maker.join()
        path = Path(file.name)
        print(f"{n_rows:,} rows x {n_columns} columns, {path.stat().st_size / 1e6:.0f} MB of CSV")
        asyncio.run(measure(path))


if __name__ == "__main__":
    main()
