"""Every failure is problem+json, over real requests."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Annotated

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from pydantic import Field
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.errors import Conflict
from app.problems import BodyLimit, add_error_handlers
from app.schemas.common import BodyIn
from app.telemetry import RequestTelemetry


class EchoIn(BodyIn):
    name: str
    share: float
    tags: dict[Annotated[str, Field(max_length=2)], str] = Field(default_factory=dict)


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI(redirect_slashes=False)
    add_error_handlers(app)
    app.add_middleware(BodyLimit, max_bytes=1000, max_upload_bytes=5000)
    app.add_middleware(RequestTelemetry)

    @app.post("/echo")
    async def echo(body: EchoIn) -> EchoIn:
        return body

    @app.get("/conflict")
    async def conflict() -> None:
        raise Conflict("Taken.", hint="Take another.", holder=7)

    @app.get("/bug")
    async def bug() -> None:
        raise ZeroDivisionError("secret")

    return app


@pytest.fixture
def http(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def test_an_expected_failure_carries_its_facts(http: httpx.AsyncClient) -> None:
    answer = await http.get("/conflict", headers={"X-Request-ID": "abc"})
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (answer.status_code, body["code"], body["hint"], body["holder"]) == (409, "conflict", "Take another.", 7)
    assert body["request_id"] == answer.headers["x-request-id"] == "abc"


async def test_a_bug_tells_nothing_of_itself(http: httpx.AsyncClient) -> None:
    answer = await http.get("/bug")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        (b'{"name": "a", "share": NaN}', ""),
        (b'{"name": "a\\u0000", "share": 1}', ""),
        (b'{"name": "\\ud800", "share": 1}', ""),
        (b'{"name": "a", "share": 1, "more": 2}', "/more"),
        (b'{"name": "a"}', "/share"),
        (b'{"name": "a", "share": 1, "tags": {"a/b": ""}}', "/tags/a~1b"),
        (b'{"name"', ""),
        (b"\xff\xfe", ""),
        (b"[" * 900, ""),
    ],
)
async def test_a_bad_body_is_a_422_that_points(http: httpx.AsyncClient, content: bytes, pointer: str) -> None:
    answer = await http.post("/echo", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if answer.status_code == 422:
        assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"name": "a", "share": 1, "more": 2}', "is not known here; look for a typing error, or leave it out"),
        (b'{"name": "a", "share": NaN}', "the number at '/share' is not finite"),
    ],
)
async def test_a_refusal_speaks_to_the_caller(http: httpx.AsyncClient, content: bytes, words: str) -> None:
    answer = await http.post("/echo", content=content, headers={"content-type": "application/json"})
    assert answer.json()["errors"][0]["detail"] == words


async def test_a_large_body_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/echo", content=b"x" * 2000)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/none", 404), ("PUT", "/echo", 405), ("GET", "/%00", 422), ("GET", "/conflict?a=%00", 422)],
)
async def test_routes_that_are_not_there(http: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == status
    assert answer.json()["status"] == status


async def test_half_a_body_is_not_carried_out(app: FastAPI) -> None:
    """A caller who hangs up in the middle has asked for nothing; `EchoIn` would not have noticed."""
    told: list[Message] = []
    asked: list[Message] = [{"type": "http.request", "body": b"", "more_body": True}, {"type": "http.disconnect"}]
    carried_out = []

    @app.post("/default")
    async def default() -> None:
        carried_out.append(1)

    async def receive() -> Message:
        return asked.pop(0)

    async def send(message: Message) -> None:
        told.append(message)

    scope = {"type": "http", "method": "POST", "path": "/default", "query_string": b"", "headers": []}
    await app(scope, receive, send)
    assert (carried_out, told) == ([], [])


async def test_only_an_upload_of_rows_may_be_large(app: FastAPI, http: httpx.AsyncClient) -> None:
    @app.put("/datasets/{name}/rows")
    async def upload(name: str, request: Request) -> int:
        return len(await request.body())

    @app.put("/elsewhere/rows")
    async def elsewhere(request: Request) -> int:
        return len(await request.body())

    large = b"x" * 2000
    assert (await http.put("/datasets/a/rows", content=large)).json() == 2000
    assert (await http.put("/elsewhere/rows", content=large)).status_code == 413


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError(), PoolTimeout(), FileNotFoundError()])
async def test_a_database_that_is_away_is_a_503(app: FastAPI, http: httpx.AsyncClient, error: Exception) -> None:
    @app.get("/away")
    async def away() -> None:
        raise error

    answer = await http.get("/away")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unreachable")
    assert answer.headers["retry-after"] == "5"


async def test_a_caller_who_leaves_an_upload_is_no_bug(app: FastAPI, http: httpx.AsyncClient) -> None:
    @app.get("/left")
    async def left() -> None:
        raise ClientDisconnect

    assert (await http.get("/left")).status_code == 400


async def test_a_wild_request_id_is_replaced(http: httpx.AsyncClient) -> None:
    answer = await http.get("/none", headers={"X-Request-ID": "a b\tc"})
    assert answer.headers["x-request-id"] != "a b\tc"


@pytest.fixture
async def port(app: FastAPI) -> AsyncIterator[int]:
    """A port on which a real server serves `app`: what a socket does, no stand-in shows."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


def _speak(port: int, *pieces: bytes) -> bytes:
    """Send everything, and only then read what is answered until the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        for piece in pieces:
            connection.sendall(piece)
        answer = b""
        while received := connection.recv(65536):
            answer += received
    return answer


HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
LARGE = b"x" * 8 * 1024**2


async def test_a_declared_length_above_the_limit_is_refused_unread(port: int) -> None:
    head = HEAD + b"Content-Length: 2000\r\nExpect: 100-continue\r\n\r\n"
    answer = await asyncio.to_thread(_speak, port, head)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"body_too_large" in answer


@pytest.mark.parametrize("is_declared", [True, False])
async def test_a_refusal_reaches_who_first_sends_all(port: int, is_declared: bool) -> None:
    length = str(len(LARGE)).encode()
    declared = (HEAD + b"Content-Length: " + length + b"\r\n\r\n", LARGE)
    chunked = (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE), LARGE))
    answer = await asyncio.to_thread(_speak, port, *(declared if is_declared else chunked))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"body_too_large" in answer


async def test_a_body_without_end_is_cut_off(port: int) -> None:
    endless = (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[b"%x\r\n%b\r\n" % (len(LARGE), LARGE)] * 100)
    with pytest.raises(ConnectionError):
        await asyncio.to_thread(_speak, port, *endless)


async def test_an_upload_has_a_limit_of_its_own(port: int) -> None:
    head = b"PUT /datasets/a/rows HTTP/1.1\r\nHost: x\r\nContent-Length: 5001\r\nExpect: 100-continue\r\n\r\n"
    answer = await asyncio.to_thread(_speak, port, head)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"upload_too_large" in answer
