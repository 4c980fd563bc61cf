"""The web application: lifespan, routers, error handlers, docs."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.container import open_services, open_store
from app.deps import only_known_query
from app.problems import BodyLimit, add_error_handlers
from app.routers import datasets, gate, health, jobs, models, monitoring, promotions, scoring, training
from app.settings import Settings
from app.signals import told_of_stop
from app.telemetry import RequestTelemetry, configure_logging
from app.worker import running_worker

DESCRIPTION = """
The whole life of a churn model over REST: upload data, train, judge, promote, score every active account, monitor.

Start with `POST /datasets`, `PUT /datasets/{name}/rows` and `POST /train`; long work answers 202 with a job,
and `GET /jobs/{id}?wait=30` waits for it.
"""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application on the given settings, by default those of the environment."""
    settings = settings or Settings()
    app: FastAPI = FastAPIOffline(
        title="Holdfast", version="0.1.0", description=DESCRIPTION, lifespan=_lifespan, redirect_slashes=False
    )
    app.state.settings = settings
    add_error_handlers(app)
    app.include_router(health.router)  # probes and scrapers add parameters of their own to the query
    for each in (datasets, training, models, gate, promotions, scoring, monitoring, jobs):
        app.include_router(each.router, dependencies=[Depends(only_known_query)])
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes, max_upload_bytes=settings.max_upload_bytes)
    app.add_middleware(ConsolePolicy)
    app.add_middleware(RequestTelemetry)
    return app


class ConsolePolicy:
    """ASGI middleware: the pages of the docs console may load what we serve, and nothing else.

    ReDoc's bundle would fetch its maker's logo from the internet.
    """

    PAGES = ("/docs", "/redoc")
    POLICY = (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    )

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the policy to the header of a page."""

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = self.POLICY
            await send(message)

        is_page = scope["type"] == "http" and scope["path"] in self.PAGES
        await self._app(scope, receive, send_with_policy if is_page else send)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    configure_logging(settings.log_level)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(open_store(settings))
        app.state.services = await stack.enter_async_context(open_services(settings, url))
        stack.enter_context(told_of_stop(app.state.services.jobs.closing.set))
        await app.state.services.aliases.heal()
        await stack.enter_async_context(app.state.services.champions.polling())
        if settings.run_worker:
            await stack.enter_async_context(running_worker(settings, url))
        logging.getLogger("holdfast").info("ready")
        yield
