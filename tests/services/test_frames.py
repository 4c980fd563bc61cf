"""Rows for training, for scoring everybody and for single accounts, from real uploads."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from app.container import Services
from app.errors import NoTrainingRows
from app.ml.frame import Feature, FeatureKind, Frame
from app.services.revisions import get_revision
from app.services.row_source import RowSource
from app.services.training_rows import SplitName, TrainingRows
from app.tables import Dataset, Revision

CDNOW = Path(__file__).parents[3] / "shared" / "data" / "cdnow_events" / "snapshots_reference.parquet"
MAY = datetime(2024, 5, 1, tzinfo=UTC)


async def upload(client: httpx.AsyncClient, content: str | bytes, *, method: str = "PUT") -> None:
    answer = await client.request(method, "/datasets/d/rows", content=content)
    assert answer.status_code == 201, answer.text


async def describe(client: httpx.AsyncClient, **more: Any) -> None:
    body = {"name": "d", "id_column": "id", "label_column": "left", "positive_value": "yes", "split_seed": 1}
    answer = await client.post("/datasets", json=body | more)
    assert answer.status_code == 201, answer.text


async def newest(services: Services) -> tuple[Dataset, Revision]:
    async with services.sessions() as session:
        dataset = await services.datasets.resolve(session, None)
        return dataset, await get_revision(session, dataset)


async def open_rows(services: Services) -> RowSource:
    return await services.frames.open(*await newest(services))


async def training_rows(
    services: Services, now: datetime | None = None, *, split: SplitName | None = "random"
) -> TrainingRows:
    dataset, _ = await newest(services)
    return await services.frames.training_rows(dataset, await open_rows(services), split=split, now=now)


async def active(services: Services, chunk_size: int = 100) -> list[Frame]:
    return [chunk async for chunk in (await open_rows(services)).active_chunks(chunk_size=chunk_size)]


def undated(n: int, *, first: int = 0) -> str:
    """Every fourth account has left, every tenth is not known yet."""
    labels = ["" if i % 10 == 9 else "yes" if i % 4 == 0 else "no" for i in range(first, first + n)]
    rows = [f"{i:04},{i % 7},{'ab'[i % 2]},1,{label}" for i, label in zip(range(first, first + n), labels, strict=True)]
    return "id,seats,plan,same,left\n" + "\n".join(reversed(rows)) + "\n"


async def test_undated_rows_with_a_label_are_trained_on(client: httpx.AsyncClient, services: Services) -> None:
    await describe(client)
    await upload(client, undated(200))
    rows = await training_rows(services)
    assert rows.frame.accounts.to_pylist() == [f"{i:04}" for i in range(200) if i % 10 != 9]
    assert rows.frame.churned is not None
    assert rows.frame.churned.sum() == sum(i % 4 == 0 and i % 10 != 9 for i in range(200))
    assert rows.as_of is None
    assert rows.warnings == ["20 of 200 rows have no label yet: not used."]
    assert rows.features == (Feature("seats", FeatureKind.NUMERIC), Feature("plan", FeatureKind.CATEGORICAL))
    assert rows.frame.features.column_names == ["seats", "plan", "same"]
    assert rows.frame.features["seats"].to_pylist()[:3] == [0.0, 1.0, 2.0]


async def test_sides_are_dealt_60_20_20_within_each_label(client: httpx.AsyncClient, services: Services) -> None:
    await describe(client)
    await upload(client, undated(1000))
    rows = await training_rows(services)
    assert rows.frame.churned is not None
    for label, n in ((1.0, 250), (0.0, 650)):
        sides = rows.sides[rows.frame.churned == label]
        shares = [(sides == side).sum() / n for side in ("train", "validation", "test")]
        assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.01)
    stayed_in_development = (rows.sides != "test") & (rows.frame.churned == 0)
    np.testing.assert_array_equal(rows.profile_rows, stayed_in_development)
    assert rows.split["sides"]["test"]["n_rows"] == (rows.sides == "test").sum()
    assert rows.split["seed"] == 1


async def test_sides_stay_when_labels_change_and_accounts_come(client: httpx.AsyncClient, services: Services) -> None:
    await describe(client)
    await upload(client, undated(100))
    first = await training_rows(services)
    await upload(client, undated(300).replace(",no", ",maybe").replace(",yes", ",no").replace(",maybe", ",yes"))
    second = await training_rows(services)
    before = dict(zip(first.frame.accounts.to_pylist(), first.sides.tolist(), strict=True))
    after = dict(zip(second.frame.accounts.to_pylist(), second.sides.tolist(), strict=True))
    assert len(after) == 270
    assert {account: after[account] for account in before} == before


async def test_two_trainings_at_once_deal_the_same_sides(client: httpx.AsyncClient, services: Services) -> None:
    await describe(client)
    await upload(client, undated(300))
    first, *others = await asyncio.gather(*(training_rows(services) for _ in range(4)))
    for other in others:
        np.testing.assert_array_equal(other.sides, first.sides)
    async with services.sessions() as session:
        assert (await session.execute(text("SELECT count(*) FROM sides"))).scalar_one() == 270


DATED = "id,day,seats,left\n"


def month(number: int, labels: str) -> str:
    """Accounts a, b, c ... on the first of a month: y left, n stayed, ? not known."""
    words = {"y": "yes", "n": "no", "?": ""}
    return "".join(f"{chr(97 + i)},2024-{number:02}-01,{number},{words[label]}\n" for i, label in enumerate(labels))


@pytest.mark.parametrize(
    ("now", "instant", "n_immature"),
    [(datetime(2024, 7, 14, tzinfo=UTC), 4, 8), (datetime(2024, 7, 15, tzinfo=UTC), 5, 4)],
)
async def test_the_newest_matured_instant_is_trained_on(
    client: httpx.AsyncClient, services: Services, now: datetime, instant: int, n_immature: int
) -> None:
    """May plus 60 days of horizon, 10 of lead and 5 of grace is 15 July."""
    await describe(client, as_of_column="day", horizon_days=60, lead_days=10, grace_days=5)
    await upload(client, DATED + month(4, "ynyn") + month(5, "nyny") + month(7, "nnn?"))
    rows = await training_rows(services, now)
    as_of = datetime(2024, instant, 1, tzinfo=UTC)
    assert rows.as_of == as_of
    assert rows.frame.features["seats"].to_pylist() == [instant] * 4
    np.testing.assert_array_equal(rows.profile_rows, rows.sides != "test")
    assert rows.warnings[1:] == [f"{n_immature} rows are younger than the horizon of 60 days: not used."]


async def test_an_instant_with_few_labels_is_passed_over(client: httpx.AsyncClient, services: Services) -> None:
    await describe(client, as_of_column="day")
    await upload(client, DATED + month(4, "ynyn") + month(5, "y???") + month(6, "????"))
    rows = await training_rows(services)
    assert rows.as_of == datetime(2024, 4, 1, tzinfo=UTC)
    assert any("2024-05-01" in warning for warning in rows.warnings)


async def test_nothing_matured_is_said(client: httpx.AsyncClient, services: Services) -> None:
    await describe(client, as_of_column="day", horizon_days=60)
    await upload(client, DATED + month(5, "ynyn"))
    with pytest.raises(NoTrainingRows, match="4 rows are younger"):
        await training_rows(services, MAY)


async def test_active_accounts_come_in_chunks_by_account(client: httpx.AsyncClient, services: Services) -> None:
    await describe(client)
    await upload(client, undated(95))
    chunks = await active(services, 10)
    expected = [f"{i:04}" for i in range(95) if i % 10 == 9 or i % 4 != 0]
    assert [len(chunk) for chunk in chunks] == [7, 8, 7, 8, 7, 8, 7, 8, 7, 4]  # of 10 accounts each, those that stayed
    assert [account for chunk in chunks for account in chunk.accounts.to_pylist()] == expected
    assert all(chunk.as_of is None for chunk in chunks)


async def test_chunks_without_active_accounts_are_passed_over(client: httpx.AsyncClient, services: Services) -> None:
    await describe(client)
    await upload(client, "id,seats,left\n" + "".join(f"{i},1,{'no' if i in (0, 5) else 'yes'}\n" for i in range(6)))
    assert [chunk.accounts.to_pylist() for chunk in await active(services, 2)] == [["0"], ["5"]]


async def test_active_are_those_whose_newest_row_did_not_leave(client: httpx.AsyncClient, services: Services) -> None:
    await describe(client, as_of_column="day")
    await upload(client, DATED + month(4, "ynn") + month(5, "nyn"))
    await upload(client, DATED + month(6, "?") + "c,2024-05-01,9,yes\nB,2024-01-01,1,no\n", method="POST")
    [chunk] = await active(services)
    assert chunk.accounts.to_pylist() == ["B", "a"]  # byte for byte; b and c have left
    assert chunk.features["seats"].to_pylist() == [1, 6]
    assert chunk.as_of is not None
    assert chunk.as_of.to_pylist() == [datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC)]
    assert await (await open_rows(services)).active_instant() == datetime(2024, 6, 1, tzinfo=UTC)


async def test_chunks_of_several_parts_fit_together(client: httpx.AsyncClient, services: Services) -> None:
    await describe(client)
    await upload(client, undated(60))
    await upload(client, undated(60, first=40), method="POST")
    await upload(client, "id,seats,plan,same,left\n0001,100,z,1,no\n0002,1,b,1,yes\n", method="POST")
    for chunk_size in (7, 1000):
        frames = await active(services, chunk_size)
        table = pa.concat_tables([frame.features for frame in frames])
        accounts = [account for frame in frames for account in frame.accounts.to_pylist()]
        assert accounts == [f"{i:04}" for i in range(100) if (i % 10 == 9 or i % 4 != 0) and i != 2]
        assert table["seats"].to_pylist()[:3] == [100, 3, 5]


async def test_single_accounts_are_read_by_id(client: httpx.AsyncClient, services: Services) -> None:
    await describe(client)
    await upload(client, undated(20))
    await upload(client, "id,seats,plan,same,left\n0003,50,z,1,\n", method="POST")
    frame = await (await open_rows(services)).newest(["0004", "0003", "nobody", "3' --"])
    assert frame.accounts.to_pylist() == ["0003", "0004"]
    assert frame.features.to_pylist()[0] == {"seats": 50.0, "plan": "z", "same": 1.0}
    assert frame.churned is not None
    np.testing.assert_array_equal(frame.churned, [np.nan, 1.0])


@pytest.mark.skipif(not CDNOW.exists(), reason="the real data lie beside the project, in ../shared/data")
async def test_cdnow_trains_on_its_newest_instant(client: httpx.AsyncClient, services: Services) -> None:
    await describe(
        client, id_column="acct", label_column="churn", positive_value="1", as_of_column="as_of", horizon_days=90
    )
    await upload(client, CDNOW.read_bytes())
    rows = await training_rows(services)

    table = pq.read_table(CDNOW)
    instant = datetime(1998, 4, 1, tzinfo=UTC)
    expected = table.filter(pc.equal(table["as_of"], pa.scalar(instant.replace(tzinfo=None), pa.timestamp("us"))))
    expected = expected.sort_by("acct")
    assert rows.as_of == instant
    assert rows.frame.accounts.to_pylist() == expected["acct"].to_pylist()
    assert rows.frame.churned is not None
    assert rows.frame.churned.tolist() == expected["churn"].to_pylist()
    assert rows.frame.features["gap_sd"].to_pylist() == expected["gap_sd"].to_pylist()
    accounts = [account for chunk in await active(services, 1000) for account in chunk.accounts.to_pylist()]
    last = table.group_by("acct").aggregate([("as_of", "max")])
    last = last.join(table, keys=["acct", "as_of_max"], right_keys=["acct", "as_of"])
    assert accounts == sorted(last.filter(pc.equal(last["churn"], 0))["acct"].to_pylist())
