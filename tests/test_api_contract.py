"""`openapi.json` is what the service answers to, and nothing that it allows makes the service fail."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error

from app.main import create_app
from tests.live import environment, holdfast, running_service
from tests.postgres import new_database

OPENAPI = Path(__file__).parent.parent / "openapi.json"
DESCRIBED = ("--id-column", "account_id", "--label-column", "churned", "--positive-value", "true")


def test_the_committed_document_is_that_of_the_code() -> None:
    committed = json.loads(OPENAPI.read_text(encoding="utf-8"))
    assert committed == json.loads(json.dumps(create_app().openapi())), "run `make openapi` and look at the difference"


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
def api_schema(
    postgres_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[schemathesis.BaseSchema]:
    """The document, with a service that has a champion and scores; no worker, so that what is queued costs nothing."""
    folder = tmp_path_factory.mktemp("contract")
    with new_database(postgres_url, template=template_database) as database_url:
        env = environment(database_url, folder / "home", HOLDFAST_RUN_WORKER="false")
        _fill(env, folder)
        with running_service(env, folder / "service.log") as url:
            schema = schemathesis.openapi.from_path(OPENAPI)
            schema.config.update(base_url=url)
            yield schema


def _fill(env: dict[str, str], folder: Path) -> None:
    first, later = str(folder / "march.csv"), str(folder / "june.csv")
    holdfast(env, "sample", first, later, "--n-accounts", "2000")
    holdfast(env, "import", first, "--name", "sample", *DESCRIBED, "--as-of-column", "as_of", "--horizon-days", "60")
    holdfast(env, "import", later, "--name", "sample", "--append")
    holdfast(env, "train", "--register", "--param", "n_estimators=20")
    holdfast(env, "promote", "--force", "--reason", "only to have a champion")
    holdfast(env, "score")
    holdfast(env, "monitor", "--save")


schema = schemathesis.pytest.from_fixture("api_schema").exclude(operation_id="watch_job")  # streams until a job ends


@pytest.mark.slow
@pytest.mark.usefixtures("api_schema")
@schema.parametrize()
@settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_nothing_that_is_allowed_makes_the_service_fail(case: schemathesis.Case[Any]) -> None:
    if case.query and "wait" in case.query:
        case.query["wait"] = 0  # nobody works on the jobs, so waiting for them is only waiting
    response = case.call(timeout=30)
    case.validate_response(response, checks=[not_a_server_error])
    if response.status_code >= 400:
        assert response.headers["content-type"][0] == "application/problem+json"
