"""Leaks in uploaded rows, over HTTP: whether the order of the file is looked at, and how much is looked at at once."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import pytest

from app.container import Services
from app.services.revisions import get_revision
from app.services.training_rows import TrainingRows

DESCRIBED = {"name": "d", "id_column": "id", "label_column": "left", "positive_value": "yes", "split_seed": 1}
HEADER = "id,seats,left\n"


def draw_rows(n: int = 400, *, first: int = 0) -> list[str]:
    """Accounts whose number of seats is chance; every fourth has left. In the order of ids, which are chance too."""
    rng = np.random.default_rng(first)
    ids = first + rng.permutation(n)
    return sorted(f"{account:05},{rng.integers(9)},{'no' if at % 4 else 'yes'}" for at, account in enumerate(ids))


def churners_first(rows: list[str]) -> list[str]:
    return sorted(rows, key=lambda row: row.endswith("no"))


async def upload(client: httpx.AsyncClient, rows: list[str], *, method: str = "PUT") -> None:
    answer = await client.request(method, "/datasets/d/rows", content=HEADER + "\n".join(rows) + "\n")
    assert answer.status_code == 201, answer.text


async def describe(client: httpx.AsyncClient) -> None:
    answer = await client.post("/datasets", json=DESCRIBED)
    assert answer.status_code == 201, answer.text


async def look(client: httpx.AsyncClient) -> dict[str, Any]:
    """The levels of the findings by name."""
    answer = await client.get("/datasets/d/leaks")
    assert answer.status_code == 200, answer.text
    return {each["name"]: each["level"] for each in answer.json()["findings"]}


async def test_a_file_with_churners_first_is_suspected(client: httpx.AsyncClient) -> None:
    await describe(client)
    await upload(client, churners_first(draw_rows()))
    assert await look(client) == {"row_number:order_of_rows": "suspected"}


async def test_a_shuffled_file_is_not_suspected(client: httpx.AsyncClient) -> None:
    await describe(client)
    rows = draw_rows()
    await upload(client, [rows[at] for at in np.random.default_rng(3).permutation(len(rows))])
    assert await look(client) == {}


async def test_rows_of_two_files_have_no_order(client: httpx.AsyncClient) -> None:
    await describe(client)
    await upload(client, churners_first(draw_rows()))
    await upload(client, churners_first(draw_rows(first=1000)), method="POST")
    assert await look(client) == {}


async def test_positions_are_the_places_of_labelled_rows_in_the_file(
    client: httpx.AsyncClient, services: Services
) -> None:
    """Texts of all lengths, in several chunks; some rows have no label, and of three instants two are read."""
    dated = DESCRIBED | {"as_of_column": "day", "horizon_days": 30}
    assert (await client.post("/datasets", json=dated)).status_code == 201
    rng, n = np.random.default_rng(5), 45_000
    words = [f"{account:05},2024-0{day}-01" for account in rng.permutation(n // 3) for day in (3, 1, 2)]
    rows = [
        f"{word},{place},{'x' * rng.integers(60)},{('no', 'yes', '')[rng.integers(3)]}"
        for place, word in enumerate(words)
    ]
    content = "\n".join(["id,day,place,note,left", *rows, ""])
    assert (await client.put("/datasets/d/rows", content=content)).status_code == 201
    async with services.sessions() as session:
        dataset = await services.datasets.resolve(session, "d")
        source = await services.frames.open(dataset, await get_revision(session, dataset))
    frame = (await source.labelled([datetime(2024, month, 1, tzinfo=UTC) for month in (1, 3)])).frame
    positions = await source.positions(frame)
    assert positions is not None
    assert (positions - 1).tolist() == frame.features["place"].to_pylist()


async def test_more_cells_than_the_service_holds_are_refused(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """400 accounts at one instant with one feature."""
    await describe(client)
    await upload(client, draw_rows())
    monkeypatch.setattr("app.services.leaks.MAX_CELLS", 400)
    assert await look(client) == {}
    monkeypatch.setattr("app.services.leaks.MAX_CELLS", 399)
    answer = await client.get("/datasets/d/leaks")
    assert (answer.status_code, answer.json()["code"]) == (409, "too_much_to_look_at")
    assert "400 x 1 x 1 = 400 cells" in answer.json()["detail"]
    assert "POST /train" in answer.json()["hint"]


async def test_one_look_at_a_time_is_taken(
    client: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await describe(client)
    await upload(client, draw_rows())
    now, most, read = 0, 0, services.frames.training_rows

    async def counted(*args: Any, **options: Any) -> TrainingRows:
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        await asyncio.sleep(0.05)
        try:
            return await read(*args, **options)
        finally:
            now -= 1

    monkeypatch.setattr(services.frames, "training_rows", counted)
    looks = await asyncio.gather(*(services.leaks.find("d") for _ in range(3)))
    assert [each.job_id for each in looks] == [None] * 3
    assert most == 1
