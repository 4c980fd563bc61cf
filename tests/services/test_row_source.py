"""One contract for rows, whether they are built of facts or stored: the same questions have the same answers."""

from datetime import UTC, datetime, timedelta

import httpx
import numpy as np
import pyarrow as pa
import pytest

from app.container import Services
from app.ml.frame import Frame
from app.services.revisions import get_revision
from app.services.row_source import RowSource

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
GRACE_DAYS = 10
DESCRIBED = {"horizon_days": 30, "grace_days": GRACE_DAYS}


def day(number: int) -> datetime:
    return FIRST + timedelta(days=number)


async def bring_facts(client: httpx.AsyncClient, ends: list[int | None]) -> None:
    """Contracts from day 0 to these days; everybody logs in every nine days while served."""
    body = {
        "name": "built",
        "kind": "events",
        "subscriptions": {"plan_column": "plan"},
        "events": {"kind_column": "kind"},
        "active": {"kind": "subscription"},
        "step_days": 45,
        "windows_days": [30],
    }
    assert (await client.post("/datasets", json=body | DESCRIBED)).status_code == 201
    contracts = [
        f"a{n:02},{day(0).isoformat()},{'' if end is None else day(end).isoformat()},{'pro' if n % 3 else 'basic'}"
        for n, end in enumerate(ends)
    ]
    logins = [
        f"a{n:02},{(day(at) + timedelta(hours=n)).isoformat()},login"
        for n, end in enumerate(ends)
        for at in range(1, 200 if end is None else end, 9)
    ]
    heads = {"subscriptions": "account_id,started_at,ended_at,plan", "events": "account_id,occurred_at,kind"}
    for fact, rows in (("subscriptions", contracts), ("events", [*logins, f"a00,{day(199).isoformat()},login"])):
        content = "\n".join([heads[fact], *rows]) + "\n"
        answer = await client.put(f"/datasets/built/facts/{fact}", content=content)
        assert answer.status_code == 201, answer.text


async def bring_rows(client: httpx.AsyncClient, frames: list[Frame]) -> None:
    """The same rows as snapshots."""
    body = {"name": "stored", "id_column": "account", "label_column": "left", "positive_value": "1.0"}
    answer = await client.post("/datasets", json=body | {"as_of_column": "at"} | DESCRIBED)
    assert answer.status_code == 201, answer.text
    tables = [
        frame.features.append_column("account", frame.accounts)
        .append_column("at", frame.as_of)
        .append_column("left", pa.array(frame.churned, from_pandas=True))
        for frame in frames
    ]
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(pa.concat_tables(tables), sink)
    answer = await client.put("/datasets/stored/rows", content=sink.getvalue().to_pybytes())
    assert answer.status_code == 201, answer.text


async def open_rows(services: Services, name: str) -> RowSource:
    async with services.sessions() as session:
        dataset = await services.datasets.resolve(session, name)
        revision = await get_revision(session, dataset)
    return await services.frames.open(dataset, revision)


@pytest.fixture
async def sources(client: httpx.AsyncClient, services: Services) -> dict[str, RowSource]:
    await bring_facts(client, [None, 80, 100, 120, None, 150, 165, 190, None, None])
    built = await open_rows(services, "built")
    instants = (await built.matured(now=None)).instants
    frames = [(await built.labelled(instants)).frame, *[each async for each in built.active_chunks(chunk_size=100)]]
    await bring_rows(client, frames)
    return {"built": built, "stored": await open_rows(services, "stored")}


def common(sources: dict[str, RowSource]) -> set[str]:
    return {each.name for each in sources["stored"].features} & {each.name for each in sources["built"].features}


async def test_both_sources_give_the_same_rows(sources: dict[str, RowSource], services: Services) -> None:
    built, stored = sources["built"], sources["stored"]
    assert len(common(sources)) > 5
    now = day(200)
    matured = await built.matured(now=now)
    assert len(matured.instants) > 2
    assert (await stored.matured(now=now)).instants == matured.instants
    frames = {name: (await each.labelled(matured.instants)).frame for name, each in sources.items()}
    names = common(sources)
    for name in names:
        left, right = (frames[each].features[name].to_pylist() for each in ("built", "stored"))
        assert left == right, name
    assert frames["built"].accounts.to_pylist() == frames["stored"].accounts.to_pylist()
    np.testing.assert_array_equal(np.asarray(frames["built"].churned), np.asarray(frames["stored"].churned))


async def test_labels_are_final_once_the_grace_is_over(sources: dict[str, RowSource]) -> None:
    """Of the newest instant of both: until its lead, horizon and grace have passed it is in no training."""
    newest = (await sources["built"].matured(now=day(200))).instants[0]
    assert newest == day(200 - 30 - GRACE_DAYS)
    for source in sources.values():
        early = await source.matured(now=day(200) - timedelta(seconds=1))
        assert newest not in early.instants
        assert newest in (await source.matured(now=day(200))).instants


async def test_accounts_to_score_are_those_of_the_newest_instant(sources: dict[str, RowSource]) -> None:
    for source in sources.values():
        assert await source.active_instant() == day(200)
        chunks = [each async for each in source.active_chunks(chunk_size=3)]
        active = [account for each in chunks for account in each.accounts.to_pylist()]
        assert [account for account in active if account in {"a00", "a04", "a08", "a09"}] == [
            "a00",
            "a04",
            "a08",
            "a09",
        ]
        assert (await source.newest(["a04", "nobody"])).accounts.to_pylist() == ["a04"]
        assert source.absent("nobody").code in {"unknown_account", "inactive_account"}
