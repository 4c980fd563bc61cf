"""The whole application with its worker, in the test's process, spoken to over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from asgi_lifespan import LifespanManager

from app.container import Services
from app.main import create_app
from app.settings import Settings

TELCO = Path(__file__).parent.parent.parent / "shared" / "data" / "telco_ibm" / "telco_ibm.csv"
PATIENCE_SECONDS = 240


class Client:
    """Calls that must answer as expected, and jobs that are waited for."""

    def __init__(self, http: httpx.AsyncClient, services: Services) -> None:
        self.http = http
        self.services = services

    async def call(self, method: str, path: str, status: int = 200, **request: Any) -> Any:
        """The JSON of an answer with this status."""
        answer = await self.http.request(method, path, **request)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def finish(self, path: str, **body: Any) -> dict[str, Any]:
        """Ask for long work and wait: the job, ended."""
        answer = await self.http.post(path, json=body)
        assert answer.status_code == 202, answer.text
        assert answer.headers["Location"] == f"/jobs/{answer.json()['id']}"
        return (await self.services.jobs.get(answer.json()["id"], wait_seconds=PATIENCE_SECONDS)).model_dump()

    async def succeed(self, path: str, **body: Any) -> dict[str, Any]:
        """The result of long work that must not fail."""
        job = await self.finish(path, **body)
        assert job["status"] == "succeeded", job["problem"]
        result: dict[str, Any] = job["result"]
        return result


@asynccontextmanager
async def open_app(database_url: str, home: Path, **settings: Any) -> AsyncIterator[Client]:
    """The application on this database; artifacts go below `home`."""
    app = create_app(Settings(database_url=database_url, home=home, **settings))
    async with LifespanManager(app, startup_timeout=60, shutdown_timeout=60) as manager:
        transport = httpx.ASGITransport(app=manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://holdfast", timeout=60) as http:
            yield Client(http, app.state.services)


async def add_telco(client: Client, **more: Any) -> None:
    """The telco data as dataset `telco`, sides dealt by a fixed seed."""
    body = {"name": "telco", "id_column": "customerID", "label_column": "Churn", "positive_value": "Yes"}
    await client.call("POST", "/datasets", 201, json=body | {"split_seed": 1} | more)
    await client.call("PUT", "/datasets/telco/rows", 201, content=TELCO.read_bytes())
