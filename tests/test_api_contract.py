"""`openapi.json` is what the service answers to, and nothing that it allows makes the service fail."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok

from app.main import create_app
from tests.live import environment, fill_store, running_service
from tests.postgres import new_database

OPENAPI = Path(__file__).parent.parent / "openapi.json"


def test_the_committed_document_is_that_of_the_code() -> None:
    committed = json.loads(OPENAPI.read_text(encoding="utf-8"))
    assert committed == json.loads(json.dumps(create_app().openapi())), "run `make openapi` and look at the difference"


def test_every_operation_but_one_is_called() -> None:
    paths = json.loads(OPENAPI.read_text(encoding="utf-8"))["paths"]
    assert len(OPERATIONS) == sum(map(len, paths.values())) - 1


def test_every_operation_is_named_and_every_body_has_an_example() -> None:
    for path, item in json.loads(OPENAPI.read_text(encoding="utf-8"))["paths"].items():
        for method, operation in item.items():
            assert "_" in operation["operationId"], f"{method} {path}"
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            assert body is None or _has_example(body), f"{method} {path} has no example"


def _has_example(body: dict[str, Any]) -> bool:
    components = json.loads(OPENAPI.read_text(encoding="utf-8"))["components"]["schemas"]
    schema = components.get(body["schema"].get("$ref", "").rpartition("/")[2], body["schema"])
    return any("examples" in place or "example" in place for place in (body, schema))


@pytest.fixture(scope="module")
def service(postgres_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that has a champion and scores; no worker, so that what is queued costs nothing."""
    folder = tmp_path_factory.mktemp("contract")
    with new_database(postgres_url, template=template_database) as database_url:
        env = environment(database_url, folder / "home", HOLDFAST_RUN_WORKER="false")
        fill_store(env, folder)
        with running_service(env, folder / "service.log") as url:
            yield url


# Without `watch_job`: it streams until a job ends, and nobody works on the jobs.
DOCUMENT = schemathesis.openapi.from_path(OPENAPI).exclude(operation_id="watch_job")
OPERATIONS: list[Any] = [found.ok() for found in DOCUMENT.get_all_operations() if isinstance(found, Ok)]


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_nothing_that_is_allowed_makes_the_service_fail(operation: Any, service: str) -> None:
    @settings(
        max_examples=30,
        derandomize=True,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def call(case: schemathesis.Case[Any]) -> None:
        if case.query and "wait" in case.query:
            case.query["wait"] = 0  # waiting would be only waiting
        answer = case.call(base_url=service, timeout=30)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == ["application/problem+json"]

    call()
