"""What runs until it is told to stop: the HTTP service, a worker, the MLflow UI."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from app.cli.terminal import make_console
from app.container import open_store
from app.db import psycopg_url
from app.errors import ConfigurationError, MlflowUnavailable
from app.registry import SCHEMA, Registry, artifact_root_uri
from app.settings import Settings
from app.signals import STOP_SIGNALS

if TYPE_CHECKING:  # half a second that the other verbs need not wait
    import uvicorn

STOP_SECONDS = 5  # long polls and event streams get no more time than that to end


async def serve_http(settings: Settings) -> None:
    """Serve until a signal says stop; the port is taken before anything slow, so that a clash is told at once.

    The store is opened out here, so that what is wrong with it is told in a sentence and not by uvicorn's traceback.
    """
    listener = listen(settings.host, settings.port)
    port: int = listener.getsockname()[1]
    async with open_store(settings) as url:
        server = _server(settings.model_copy(update={"port": port, "database_url": url}))
        console = make_console(stderr=True)
        console.print(f"Holdfast on http://{settings.host}:{port} (docs: /docs); Ctrl-C stops it", soft_wrap=True)
        await server.serve(sockets=[listener])
    if not server.started:
        raise SystemExit(1)  # the log has said why


def _server(settings: Settings) -> "uvicorn.Server":
    """Uvicorn's server; it would send itself the signal again at its end, and so kill us before the store is closed."""
    import uvicorn

    from app.main import create_app

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            for number in STOP_SIGNALS:
                asyncio.get_running_loop().add_signal_handler(number, self.handle_exit, number, None)
            yield

    app = create_app(settings)
    return Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=STOP_SECONDS))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises
    ------
    ConfigurationError
        where the address is not ours or taken.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"Can't listen on {host}:{port}: {error.strerror}.",
            hint="Choose another port with HOLDFAST_PORT or --port; 0 takes a free one.",
        ) from error


async def run_mlflow_ui(settings: Settings, host: str, port: int) -> None:
    """MLflow's own server on our store; ends by a signal, or with it."""
    with stopped_by_signals():
        async with open_store(settings) as url:
            artifacts = artifact_root_uri(settings.artifact_root, settings.home)
            await asyncio.to_thread(Registry(url, artifacts).open)  # makes MLflow's tables where they are missing
            process = await _start_mlflow(url, artifacts, host, port)
            make_console(stderr=True).print(f"MLflow on http://{host}:{port}; Ctrl-C stops it", soft_wrap=True)
            try:
                await process.wait()
            finally:
                _end_group(process.pid)
    raise MlflowUnavailable("The MLflow UI has ended by itself.", hint=f"Is port {port} free? Choose with --port.")


async def _start_mlflow(url: str, artifacts: str, host: str, port: int) -> asyncio.subprocess.Process:
    """The URL with its password goes by the environment: a command line is there for all to read."""
    environment = {
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": psycopg_url(url, schema=SCHEMA),
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": artifacts,
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, "-P", "-m", "mlflow", "ui", "--host", host, "--port", str(port)]
    return await asyncio.create_subprocess_exec(*command, env=environment, start_new_session=True)


def _end_group(leader: int) -> None:
    """MLflow's server is several processes; they end together."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGTERM)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Within, Ctrl-C and SIGTERM cancel the work, so that what was opened is closed."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker: we are called by a coroutine
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
