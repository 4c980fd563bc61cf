"""Jobs over HTTP: asked for, listed, waited for, streamed, cancelled."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager

from app.container import Services
from app.main import create_app
from app.schemas.jobs import JobOut
from tests.working import ROOT, execute, make_settings, open_world, submit, until

ADD_DATASET = """
    INSERT INTO datasets (name, kind, id_column, label_column, positive_value, split_seed, created_by,
        exclude_columns, defaults)
    VALUES ('shop', 'snapshots', 'id', 'churned', 'yes', 7, 'tester', '[]', '{}')
"""


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[Services]:
    async with open_world(database_url, pool_size=1) as services:
        yield services


@pytest.fixture
async def http(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with AsyncExitStack() as stack:
        app = create_app(make_settings(database_url, run_worker=False))
        await stack.enter_async_context(LifespanManager(app, startup_timeout=60))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        yield await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://test"))


async def finish(services: Services, job_id: int, *, after_seconds: float = 0) -> None:
    await asyncio.sleep(after_seconds)
    await execute(services, f"UPDATE jobs SET status = 'succeeded', result = '{{}}' WHERE id = {job_id}")


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["detail"]
    assert body["hint"]
    return answer.status_code, body["code"]


async def test_a_job_says_all_of_itself(http: httpx.AsyncClient, services: Services) -> None:
    await execute(services, ADD_DATASET)
    job = await services.jobs.submit("train", {"register": True}, dataset_id=1, actor="ann")
    body = (await http.get(f"/jobs/{job.id}")).json()
    created_at = body.pop("created_at")
    assert created_at.endswith("Z")
    assert body == {
        "id": job.id,
        "kind": "train",
        "dataset": "shop",
        "status": "queued",
        "step": None,
        "progress": 0,
        "attempt": 0,
        "params": {"register": True},
        "result": None,
        "problem": None,
        "created_by": "ann",
        "started_at": None,
        "finished_at": None,
    }


@pytest.mark.parametrize("verb", ["", "/cancel", "/events"])
async def test_an_unknown_job_is_a_404(http: httpx.AsyncClient, verb: str) -> None:
    method = "POST" if verb == "/cancel" else "GET"
    assert problem_of(await http.request(method, f"/jobs/17{verb}")) == (404, "not_found")


@pytest.mark.parametrize(
    "path",
    [
        "/jobs/01",
        "/jobs/+1",
        "/jobs/1%0a",
        "/jobs/1_0",
        "/jobs/9999999999999999999",
        "/jobs/1?wait=61",
        "/jobs/1?wait=-1",
        "/jobs/1?wait=nan",
        "/jobs?status=done",
        "/jobs?kind=DROP",
        "/jobs?limit=0",
        "/jobs?cursor=xyz",
        "/jobs?cursor=WyJhIl0",
        "/jobs?dataset=A%20b",
    ],
)
async def test_what_can_not_be_meant_is_a_422(http: httpx.AsyncClient, path: str) -> None:
    assert problem_of(await http.get(path)) == (422, "invalid_request")


async def test_the_list_is_paged_newest_first(http: httpx.AsyncClient, services: Services) -> None:
    numbers = [await submit(services, "echo") for _ in range(5)]
    pages: list[list[int]] = []
    cursor: str | None = None
    while cursor is not None or not pages:
        page = (await http.get("/jobs", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        pages.append([job["id"] for job in page["items"]])
        cursor = page["next_cursor"]
    assert pages == [numbers[4:2:-1], numbers[2:0:-1], numbers[:1]]


async def test_the_list_is_filtered(http: httpx.AsyncClient, services: Services) -> None:
    await execute(services, ADD_DATASET)
    other = await submit(services, "score")
    ours = (await services.jobs.submit("train", {}, dataset_id=1, actor="ann")).id
    await services.jobs.cancel(other)

    async def listed(**filters: str) -> list[int]:
        return [job["id"] for job in (await http.get("/jobs", params=filters)).json()["items"]]

    assert await listed(kind="train") == [ours]
    assert await listed(status="cancelled") == [other]
    assert await listed(dataset="shop") == [ours]
    assert await listed(dataset="shop", status="cancelled") == []
    assert problem_of(await http.get("/jobs?dataset=nowhere")) == (404, "not_found")


async def test_waiting_ends_with_the_job(http: httpx.AsyncClient, services: Services) -> None:
    job_id = await submit(services, "echo")
    ending = asyncio.create_task(finish(services, job_id, after_seconds=0.5))
    began_at = time.monotonic()
    answer = await http.get(f"/jobs/{job_id}?wait=30")
    assert answer.json()["status"] == "succeeded"
    assert 0.4 < time.monotonic() - began_at < 5
    await ending


async def test_waiting_ends_with_the_time(http: httpx.AsyncClient, services: Services) -> None:
    job_id = await submit(services, "echo")
    began_at = time.monotonic()
    assert (await http.get(f"/jobs/{job_id}?wait=0.5")).json()["status"] == "queued"
    assert 0.5 <= time.monotonic() - began_at < 5


async def test_many_can_wait_on_few_connections(services: Services) -> None:
    """The pool of these services holds 11 connections; somebody who waits must hold none."""
    job_id = await submit(services, "echo")
    waiting = [asyncio.create_task(services.jobs.get(job_id, wait_seconds=30)) for _ in range(50)]
    await asyncio.sleep(0.5)
    await finish(services, job_id)
    assert {job.status for job in await asyncio.gather(*waiting)} == {"succeeded"}


async def test_a_waiting_job_is_cancelled_at_once(http: httpx.AsyncClient, services: Services) -> None:
    job_id = await submit(services, "echo")
    answer = await http.post(f"/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert answer.headers["location"] == f"/jobs/{job_id}"
    assert answer.json()["finished_at"]


async def test_what_has_succeeded_is_not_cancelled(http: httpx.AsyncClient, services: Services) -> None:
    job_id = await submit(services, "echo")
    await finish(services, job_id)
    assert problem_of(await http.post(f"/jobs/{job_id}/cancel")) == (409, "job_ended")


async def test_the_stream_tells_of_each_change_and_ends(http: httpx.AsyncClient, services: Services) -> None:
    job_id = await submit(services, "echo")

    async def live() -> None:
        for share in (0.25, 0.75):
            await asyncio.sleep(0.6)
            await execute(services, f"UPDATE jobs SET status = 'running', step = 'folds', progress = {share}")
        await finish(services, job_id, after_seconds=0.6)

    living = asyncio.create_task(live())
    answer = await http.get(f"/jobs/{job_id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    seen = [(job.status, job.progress) for job in map(event_of, answer.text.split("\n\n")[:-1])]
    assert seen == [("queued", 0), ("running", 0.25), ("running", 0.75), ("succeeded", 0.75)]
    await living


def event_of(block: str) -> JobOut:
    name, _, data = block.partition("\n")
    assert name == "event: job"
    return JobOut.model_validate(json.loads(data.removeprefix("data: ")))


async def test_a_silent_stream_is_kept_open(services: Services) -> None:
    job_id = await submit(services, "echo")
    events = await services.jobs.events(job_id, quiet_seconds=0.1)
    seen = [await anext(events) for _ in range(3)]
    assert [job and job.status for job in seen] == ["queued", None, None]


async def test_as_the_server_stops_nobody_waits_any_longer(services: Services) -> None:
    job_id = await submit(services, "echo")
    waiting = asyncio.create_task(services.jobs.get(job_id, wait_seconds=60))

    async def watch() -> list[JobOut | None]:
        return [job async for job in await services.jobs.events(job_id)]

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.2)
    services.jobs.closing.set()
    async with asyncio.timeout(2):
        assert (await waiting).status == "queued"
        assert len(await watching) == 1


@contextmanager
def served(database_url: str, **variables: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A real server in a process of its own: its address and the process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "app.main:create_app", "--port", str(port)]
    environment = os.environ | {"DATABASE_URL": database_url, "HOLDFAST_RUN_WORKER": "false"} | variables
    with subprocess.Popen(command, env=environment, cwd=ROOT) as process:
        try:
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.kill()


@pytest.mark.slow
async def test_a_signal_ends_streams_and_the_server_with_them(services: Services, database_url: str) -> None:
    job_id = await submit(services, "echo")
    with served(database_url) as (url, process):
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
            await until(lambda: _answers(client), within_seconds=90)
            async with client.stream("GET", f"/jobs/{job_id}/events") as stream:
                lines = stream.aiter_lines()
                assert await anext(lines) == "event: job"
                asked_at = time.monotonic()
                process.send_signal(signal.SIGTERM)
                assert [line async for line in lines if line.startswith("event")] == []
            await until(lambda: process.poll() is not None, within_seconds=10)
    assert time.monotonic() - asked_at < 5


@pytest.mark.slow
async def test_a_stream_stops_when_nobody_listens(services: Services, database_url: str) -> None:
    job_id = await submit(services, "echo")
    with served(database_url) as (url, _process):
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
            await until(lambda: _answers(client), within_seconds=90)
            async with client.stream("GET", f"/jobs/{job_id}/events") as stream:
                lines = stream.aiter_lines()
                assert await anext(lines) == "event: job"
                assert await n_reads_within_a_second(services) > 0
        await asyncio.sleep(0.5)
        assert await n_reads_within_a_second(services) == 0


async def n_reads_within_a_second(services: Services) -> int:
    """How often the table of jobs is read by others."""
    query = "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'jobs'"
    counts: list[Any] = []
    for _ in range(2):
        await asyncio.sleep(1.5)  # counts are told by idle connections once a second
        counts += await execute(services, query)
    return int(counts[1][0] - counts[0][0])


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).is_success
    except httpx.TransportError:
        return False
