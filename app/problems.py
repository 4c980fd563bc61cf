"""Every failure of the HTTP interface as problem+json: rendered here, once."""

import asyncio
import logging
import re
from contextlib import suppress
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.db import UNREACHABLE, DatabaseError, is_bad_value, is_outage
from app.errors import (
    BodyTooLarge,
    DatabaseUnreachable,
    HoldfastError,
    InvalidRequest,
    UnexpectedFailure,
    UploadTooLarge,
)
from app.refusals import explain_refusal
from app.telemetry import request_id

_log = logging.getLogger("holdfast.errors")
DRAIN_BYTES = 64 * 1024**2  # of a body that is refused; a caller who sends more is cut off
DRAIN_SECONDS = 10.0
_UPLOAD = re.compile("/datasets/[^/]+/(rows|facts/[^/]+)")
_HINTS = {
    404: "See /docs for the paths there are.",
    405: "See /docs for the methods of this path; the Allow header names them.",
}


def add_error_handlers(app: FastAPI) -> None:
    """Make `app` answer every failure with a problem."""
    app.add_exception_handler(HoldfastError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(DatabaseError, _database)
    for kind in UNREACHABLE:
        app.add_exception_handler(kind, _unreachable)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_middleware(LastResort)


def _answer(problem: dict[str, Any], headers: dict[str, str] | None = None) -> JSONResponse:
    body = problem | {"request_id": request_id.get()}
    return JSONResponse(body, problem["status"], headers=headers, media_type="application/problem+json")


async def _expected(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HoldfastError)  # noqa: S101 - tells the type checker what was registered
    return _answer(error.to_problem(), dict(error.headers))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    return _answer(explain_refusal(error.errors(), error.body).to_problem())


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    words = str(error.detail)
    code = words.lower().replace(" ", "_").replace("'", "")
    named = {"type": f"urn:holdfast:problem:{code}", "title": words, "status": error.status_code, "code": code}
    problem = HoldfastError(f"{words}.", hint=_HINTS.get(error.status_code, "")).to_problem() | named
    return _answer(problem, dict(error.headers) if error.headers else None)


async def _database(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DatabaseError)  # noqa: S101
    if is_bad_value(error):
        return _answer(InvalidRequest("A value can't be stored: out of range or not valid text.").to_problem())
    return await _unreachable(request, error) if is_outage(error) else _bug(error)


async def _unreachable(request: Request, error: Exception) -> JSONResponse:
    _log.error("database unreachable", extra={"error": type(error).__name__})
    return _answer(DatabaseUnreachable("The database does not answer in time.").to_problem(), {"Retry-After": "5"})


async def _gone(request: Request, error: Exception) -> Response:
    """The caller hung up in the middle of an upload: nothing is stored, and nobody reads the answer."""
    return Response(status_code=400)


def _bug(error: Exception) -> JSONResponse:
    _log.error("unexpected failure", exc_info=error)
    return _answer(UnexpectedFailure("Something went wrong that should not have.").to_problem())


class LastResort:
    """ASGI middleware: what nobody expected is logged once and answered without telling of itself.

    Starlette's own handler of bare exceptions sits outside of all middleware, where the request has lost its id.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 500 where the answer has not begun; else let the server cut the connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = False

        async def watch(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            if began:
                raise
            await _bug(error)(scope, receive, send)


class BodyLimit:
    """ASGI middleware: refuses NUL in the address, and bodies above a size; uploads of rows have their own limit."""

    def __init__(self, app: ASGIApp, max_bytes: int, max_upload_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the bytes as they come; a declared length above the limit is refused unread."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
            detail = "The address holds a NUL."
            await _answer(InvalidRequest(detail).to_problem())(scope, receive, send)
            return
        is_upload = scope["method"] in {"PUT", "POST"} and _UPLOAD.fullmatch(scope["path"]) is not None
        headers, limit = Headers(scope=scope), self._max_upload_bytes if is_upload else self._max_bytes
        if int(headers.get("content-length", "0")) > limit:  # the server has seen to it that it is a number
            is_sending = "expect" not in headers
            await _refuse(self._too_large(is_upload=is_upload), scope, receive, send, is_sending=is_sending)
        elif is_upload:
            await self._app(scope, receive, send)
        else:
            await self._limited(scope, receive, send)

    def _too_large(self, *, is_upload: bool) -> HoldfastError:
        if is_upload:
            limit = self._max_upload_bytes
            return UploadTooLarge(f"The file is larger than {limit} bytes.", max_bytes=limit)
        return BodyTooLarge(f"The body is larger than {self._max_bytes} bytes.")

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return  # half a request is none: it must not be carried out with default values
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._max_bytes:
                await _refuse(self._too_large(is_upload=False), scope, receive, send, is_sending=more)
                return
        whole: Message = {"type": "http.request", "body": bytes(body), "more_body": False}
        pending = [whole]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        await self._app(scope, replay, send)


async def _refuse(error: HoldfastError, scope: Scope, receive: Receive, send: Send, *, is_sending: bool) -> None:
    """Answer at once, and close only when the caller has stopped sending, or has sent too much.

    A connection that is closed with bytes unread is reset, and the answer is lost with it. Who asks before sending
    (`Expect`) has sent nothing as long as nothing was read.
    """

    async def send_and_linger(message: Message) -> None:
        if message["type"] == "http.response.body" and is_sending:
            await send({**message, "more_body": True})
            await _drain(receive)
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    await _answer(error.to_problem(), {"Connection": "close"})(scope, receive, send_and_linger)


async def _drain(receive: Receive) -> None:
    n_bytes, more = 0, True
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while more and n_bytes < DRAIN_BYTES:
                message = await receive()
                n_bytes += len(message.get("body", b""))
                more = message.get("more_body", False)
