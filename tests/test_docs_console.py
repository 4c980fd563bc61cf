"""The docs console in a real browser that may reach nothing but the service."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import environment, fill_store, running_service
from tests.postgres import new_database

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium here: `make browser-tools` as root installs it"),
]


@pytest.fixture(scope="module")
def service(postgres_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with what `make demo` leaves behind, only smaller."""
    folder = tmp_path_factory.mktemp("console")
    with new_database(postgres_url, template=template_database) as database_url:
        env = environment(database_url, folder / "home")
        fill_store(env, folder)
        with running_service(env, folder / "service.log") as url:
            yield url


@pytest.fixture
def outside() -> list[str]:
    """Requests that the page made to anything but the service."""
    return []


@pytest.fixture
def page(service: str, outside: list[str]) -> Iterator[Any]:
    """A page that can reach nothing but the service."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        page = browser.new_page()

        def gate(route: Any) -> None:
            if route.request.url.startswith((service, "data:", "blob:")):
                route.continue_()
            else:
                outside.append(route.request.url)
                route.abort()

        page.route("**/*", gate)
        yield page
        browser.close()


def _operations() -> set[str]:
    document = json.loads((Path(__file__).parent.parent / "openapi.json").read_text(encoding="utf-8"))
    return {operation["operationId"] for item in document["paths"].values() for operation in item.values()}


def test_docs_show_every_operation_and_reach_for_nothing(page: Any, service: str, outside: list[str]) -> None:
    page.goto(f"{service}/docs")
    page.wait_for_selector(".opblock")
    shown = page.eval_on_selector_all(".opblock", "blocks => blocks.map(block => block.id)")
    assert {name for name in _operations() if not any(block.endswith(f"-{name}") for block in shown)} == set()
    assert outside == []


def test_redoc_shows_every_operation_and_reaches_for_nothing(page: Any, service: str, outside: list[str]) -> None:
    page.goto(f"{service}/redoc")
    page.wait_for_selector("[id*='operation/']")
    shown = page.eval_on_selector_all("[id*='operation/']", "blocks => blocks.map(block => block.id)")
    assert {name for name in _operations() if not any(block.endswith(f"operation/{name}") for block in shown)} == set()
    assert outside == []


def test_the_example_of_a_score_answers_200(page: Any, service: str, outside: list[str]) -> None:
    page.goto(f"{service}/docs")
    page.wait_for_selector(".opblock")
    block = page.locator("[id$='-score_accounts']")
    block.locator(".opblock-summary").click()
    block.locator(".try-out__btn").click()
    block.locator(".execute").click()
    status = block.locator(".live-responses-table tr.response .response-col_status").first
    status.wait_for()
    assert status.inner_text().split()[0] == "200"
    assert outside == []
