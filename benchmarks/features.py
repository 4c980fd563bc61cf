"""Features of every active account at one instant, built from facts; and of single accounts.

The yardstick, measured in the same run: the same features of a slice of the accounts by plain pandas, which must give
the same figures. Run: python -m benchmarks.features [--accounts 1000000] [--keep FOLDER], on a private PostgreSQL as
the service configures it; with --keep the facts stay in the folder, and are used again by the next run.
"""

import argparse
import asyncio
import io
import multiprocessing
import os
import resource
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from app.container import Services, open_services, open_store
from app.db import copy_out, driver
from app.features.query import BETWEEN_ACCOUNTS
from app.ml.frame import Frame
from app.schemas.events import Fact
from app.services.built_rows import BuiltRows, open_built_rows, read_in_order
from app.services.fact_storing import find_fact_table
from app.services.fact_tables import fact_table
from app.settings import Settings
from app.simulator import SimulatorConfig
from app.simulator.blocks import make_block
from benchmarks.business import bring, describe, find, private_home
from benchmarks.plain_features import PlainFacts, plain_features

NAME = "business"
CHUNK_SIZE = 50_000
N_SLICE = 20_000
N_ONLINE = 200
N_UPLOADED = 1_000_000
MEDIA = "application/octet-stream"  # the service looks at the file itself
PIECE = 1 << 16
INSTANT = pa.timestamp("us", "UTC")
TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(("created_at", "valid_from", "recorded_at", "started_at", "ended_at", "occurred_at"), INSTANT),
    **dict.fromkeys(("quantity", "amount"), pa.float64()),
    "added_in": pa.int32(),
}
COLUMNS: dict[Fact, tuple[str, ...]] = {
    "accounts": ("account_id", "created_at", "valid_from", "recorded_at", "added_in"),
    "subscriptions": (
        *("account_id", "subscription_id", "started_at", "ended_at", "plan", "amount"),
        *("recorded_at", "added_in"),
    ),
    "events": ("account_id", "occurred_at", "kind", "quantity", "amount", "recorded_at"),
}


def load(home: str, n_accounts: int) -> None:
    """In a process of its own, whose memory is not that of the service."""
    asyncio.run(_load(Settings(home=Path(home)), n_accounts))


async def _load(settings: Settings, n_accounts: int) -> None:
    async with open_store(settings) as url, open_services(settings, url) as services:
        await bring(services, SimulatorConfig(n_accounts=n_accounts), NAME)


async def build_all(rows: BuiltRows, n_accounts: int) -> list[str]:
    """All active accounts as of the newest instant; returns their ids."""
    began, active = time.perf_counter(), list[str]()
    async for frame in rows.active_chunks(chunk_size=CHUNK_SIZE):
        active += frame.accounts.to_pylist()
    seconds = time.perf_counter() - began
    print(
        f"all: {len(active):,} active of {n_accounts:,} accounts, {len(rows.features)} features in {seconds:.1f} s:"
        f" {len(active) / seconds:,.0f} rows/s, {n_accounts / seconds:,.0f} accounts/s; {_state()}",
        flush=True,
    )
    return active


async def show_plan(services: Services, rows: BuiltRows, members: list[str]) -> None:
    """The scans of one chunk: the events once, by their index alone."""
    query = rows.query.rows(BETWEEN_ACCOUNTS, labelled=False)
    async with services.sessions() as session:
        await read_in_order(session)
        connection = await driver(await session.connection())
        args = (rows.known_until, rows.revision.number, members[0], members[-1])
        told = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *args)
    scans = [node for node in _nodes(told[0]["Plan"]) if "Relation Name" in node]
    for node in scans:
        fetched = f", {node['Heap Fetches']} heap fetches" if "Heap Fetches" in node else ""
        of = _fact_of(rows, node["Relation Name"])
        print(f"plan: {node['Node Type']} of {of}: {node['Actual Rows']:,.0f} rows x {node['Actual Loops']}{fetched}")
    events = [node for node in scans if _fact_of(rows, node["Relation Name"]) == "events"]
    if [(node["Node Type"], node["Actual Loops"]) for node in events] != [("Index Only Scan", 1)]:
        raise SystemExit("the events are not read once, by the index alone")


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _fact_of(rows: BuiltRows, table: str) -> str:
    return next(fact for fact, name in rows.query.tables.tables.items() if name == f"data.{table}")


async def ask_single(rows: BuiltRows, active: list[str]) -> None:
    """One account at a time, as online scoring by id does."""
    seconds = []
    for account in np.random.default_rng(1).choice(active, N_ONLINE):
        began = time.perf_counter()
        frame = await rows.newest([str(account)])
        seconds.append(time.perf_counter() - began)
        if len(frame) != 1:
            raise SystemExit(f"{account} has no row")
    milliseconds = 1000 * np.array(seconds)
    print(
        f"online: one account, median {np.median(milliseconds):.1f} ms, p95 {np.quantile(milliseconds, 0.95):.1f} ms,"
        f" of {N_ONLINE}; {_state()}",
        flush=True,
    )


async def compare_with_pandas(services: Services, rows: BuiltRows, members: list[str]) -> None:
    """The same slice by both: seconds and figures."""
    began = time.perf_counter()
    facts = await _read_slice(services, rows, members)
    reading = time.perf_counter() - began
    began = time.perf_counter()
    spec, plan = rows.query.spec, rows.plan or {}
    plain = plain_features(facts, pd.Timestamp(rows.known_until), plan["kinds"], sorted(spec.windows_days))
    computing = time.perf_counter() - began
    began = time.perf_counter()
    frame = await rows.chunk(rows.known_until, [members[0], members[-1]], labelled=False)
    ours = time.perf_counter() - began
    n_equal = _require_equal(frame, plain)
    print(
        f"slice: {len(frame):,} active accounts; pandas {computing:.1f} s after {reading:.1f} s of"
        f" reading, the service {ours:.1f} s in one query: {computing / ours:.2f} times as fast as pandas,"
        f" {(reading + computing) / ours:.2f} with the reading; {n_equal} features are equal; {_state()}",
        flush=True,
    )


async def _read_slice(services: Services, rows: BuiltRows, members: list[str]) -> PlainFacts:
    found: dict[str, pd.DataFrame] = {}
    async with services.sessions() as session:
        connection = await session.connection()
        for fact, names in COLUMNS.items():
            table = await find_fact_table(session, rows.revision, fact)
            if table is None:
                raise SystemExit(f"no {fact}")
            attributes = {each["column"]: each for each in table.columns if each["column"]}
            columns = [*names, *attributes]
            kinds = {"numeric": pa.float64(), "boolean": pa.bool_(), "categorical": pa.string()}
            types = {name: kinds[each["kind"]] for name, each in attributes.items()}
            schema = pa.schema([(name, types.get(name) or TYPES.get(name, pa.string())) for name in columns])
            query = f"SELECT {', '.join(columns)} FROM data.{fact_table(table.id)}"
            where = "WHERE account_id > $1 AND account_id <= $2"
            read = await copy_out(connection, f"{query} {where}", members[0], members[-1], schema=schema)
            found[fact] = read.to_pandas().rename(columns={name: each["name"] for name, each in attributes.items()})
    return PlainFacts(**found)


def _require_equal(frame: Frame, plain: pd.DataFrame) -> int:
    """Row by row; the same accounts, the same figures (sums of fractions are of whole parts of 2^-24)."""
    if frame.accounts.to_pylist() != plain.index.tolist():
        raise SystemExit("other accounts")
    for name in frame.features.column_names:
        ours = frame.features[name]
        if pa.types.is_string(ours.type):
            same = ours.to_pylist() == plain[name].where(plain[name].notna(), None).tolist()
        else:
            theirs = plain[name].astype("float64").to_numpy()
            found = ours.cast(pa.float64()).to_numpy()
            same = np.allclose(found, theirs, rtol=1e-9, atol=1e-6, equal_nan=True)
        if not same:
            raise SystemExit(f"other figures of {name}")
    return len(frame.features.column_names)


async def upload(services: Services) -> None:
    """A million events that are sent to the service as one file."""
    config, blocks, at = SimulatorConfig(n_accounts=N_UPLOADED, seed=8), list[pa.Table](), 0
    while sum(block.num_rows for block in blocks) < N_UPLOADED:
        blocks.append(make_block(config, at).events)
        at += 1
    events = pa.concat_tables(blocks).slice(0, N_UPLOADED)
    parquet, text = io.BytesIO(), io.BytesIO()
    pq.write_table(events, parquet)
    pa_csv.write_csv(events, text)
    for form, file in (("parquet", parquet), ("csv", text)):
        name = f"upload-{form}-{time.time_ns()}"
        await services.datasets.create(describe(name, config), actor="benchmark")
        began = time.perf_counter()
        told = await services.facts.replace(name, "events", _stream(file), media_type=MEDIA, actor="benchmark")
        seconds = time.perf_counter() - began
        print(
            f"upload: {told.n_rows_added:,} events as {form}, {file.tell() / 1e6:.0f} MB, in {seconds:.1f} s:"
            f" {told.n_rows_added / seconds:,.0f} rows/s; {_state()}",
            flush=True,
        )


async def _stream(file: io.BytesIO) -> AsyncIterator[bytes]:
    file.seek(0)
    while piece := file.read(PIECE):
        yield piece


def _state() -> str:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"peak memory {peak:.0f} MB, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


async def measure(settings: Settings) -> None:
    """Everything on facts that are there."""
    async with open_store(settings) as url, open_services(settings, url) as services:
        dataset, revision = await find(services, NAME)
        rows = await open_built_rows(services.sessions, dataset, revision, None)
        n_events = (revision.facts or {})["events"]["n_rows"]
        print(f"{revision.n_accounts:,} accounts, {n_events:,} events, as of {rows.known_until:%Y-%m-%d}", flush=True)
        active = await build_all(rows, revision.n_accounts)
        await ask_single(rows, active)
        await show_plan(services, rows, ["", *active[:CHUNK_SIZE]])
        await compare_with_pandas(services, rows, ["", *active[:N_SLICE]])
        await upload(services)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="folder of a store that stays")
    given = parser.parse_args()
    with private_home(given.keep) as settings:
        if not settings.home.exists():
            loader = multiprocessing.get_context("spawn").Process(
                target=load, args=(str(settings.home), given.accounts)
            )
            loader.start()
            loader.join()
            if loader.exitcode:
                raise SystemExit("the facts could not be loaded")
        asyncio.run(measure(settings))


if __name__ == "__main__":
    main()
