"""Scoring and monitoring over HTTP: what is answered, and what a caller can't do."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from tests.services.scoring_world import Desk, draw_frame, open_desk, open_world

FRAME = draw_frame(200, seed=3)


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with open_world(database_url) as world:
        yield open_desk(world)


@pytest.fixture
async def http(database_url: str, tmp_path: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The application on the test's database; jobs are left lying, for the tests to do."""
    app = create_app(Settings(database_url=database_url, home=tmp_path, run_worker=False))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


async def seed(desk: Desk) -> int:
    dataset = await desk.world.add_dataset()
    version = await desk.world.add_version(dataset, await desk.upload(FRAME))
    await desk.world.promote(dataset, version)
    return version


async def do(desk: Desk, answer: httpx.Response) -> dict[str, Any]:
    """Check the 202 and do its job."""
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/jobs/{job['id']}"
    handler = {"score": desk.scoring.run, "monitor": desk.monitoring.run}[job["kind"]]
    result = await handler(await desk.world.begin(job["id"]))
    await desk.world.end(job["id"], result)
    return result


async def test_a_batch_from_request_to_csv(desk: Desk, http: httpx.AsyncClient) -> None:
    version = await seed(desk)
    result = await do(desk, await http.post("/score/batches", json={"scoring": {"n_reasons": 1}}))
    run = (await http.get(f"/score/batches/{result['run_id']}")).json()
    assert (run["status"], run["version"], run["n_scored"]) == ("published", version, result["n_accounts_scored"])
    assert [each["id"] for each in (await http.get("/score/batches")).json()["items"]] == [run["id"]]
    page = (await http.get("/score/accounts", params={"limit": 3})).json()
    rest = (await http.get("/score/accounts", params={"limit": 1000, "cursor": page["next_cursor"]})).json()
    scores = [each["churn_probability"] for each in page["items"] + rest["items"]]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == run["n_scored"]
    first = page["items"][0]
    assert (len(first["reasons"]), first["reasons"][0]["unit"]) == (1, "log-odds")
    listed = await http.get("/score/accounts", params={"format": "csv"})
    assert listed.headers["content-type"].startswith("text/csv")
    lines = listed.text.splitlines()
    assert (len(lines), lines[0].split(",")[:2]) == (run["n_scored"] + 1, ["account_id", "churn_probability"])
    runs = await http.get("/score/batches", params={"format": "csv"})
    assert runs.text.splitlines()[0].startswith("id,dataset,version")


async def test_an_account_whose_id_has_slashes_is_found(desk: Desk, http: httpx.AsyncClient) -> None:
    await seed(desk)
    name = "a/b c?d%/é"
    body = {"accounts": [{"account_id": name, "features": {"tenure": 4}}]}
    answer = (await http.post("/score", json=body)).json()
    assert answer["scores"][0]["problem"] is None
    found = await http.get("/score/accounts/a%2Fb%20c%3Fd%25%2F%C3%A9")
    assert found.status_code == 200, found.text
    assert (found.json()["newest"]["kind"], found.json()["current"]) == ("online", None)
    assert (await http.get("/score/accounts/nobody")).json()["code"] == "not_found"


async def test_rows_with_problems_stand_in_a_200(desk: Desk, http: httpx.AsyncClient) -> None:
    await seed(desk)
    accounts = [{"account_id": "x"}, {"account_id": "y", "features": {"tenure": True}}]
    answer = await http.post("/score", json={"accounts": accounts})
    assert answer.status_code == 200
    assert [row["problem"]["code"] for row in answer.json()["scores"]] == ["unknown_account", "wrong_type"]
    assert (await http.post("/score", json={"accounts": accounts[:1]})).status_code == 404


async def test_a_monitor_check_from_outcome_to_verdict(desk: Desk, http: httpx.AsyncClient) -> None:
    await seed(desk)
    await do(desk, await http.post("/score/batches", json={}))
    outcome = {"account_id": FRAME.accounts[0].as_py(), "churned": True, "observed_at": "2026-01-01T00:00:00+01:00"}
    told = await http.post("/monitor/outcomes", json={"outcomes": [outcome]})
    assert (told.status_code, told.json()["n_stored"]) == (201, 1)
    result = await do(desk, await http.post("/monitor", json={"save": True}))
    verdict = (await http.get("/monitor")).json()
    assert verdict == result
    assert verdict["health_status"] in {"healthy", "warning", "critical", "insufficient"}
    checks = (await http.get("/monitor/checks")).json()["items"]
    assert [check["job_id"] for check in checks] == [verdict["job_id"]]
    drift = (await http.get("/monitor/drift")).json()
    assert {feature["name"] for feature in drift["features"]} == {"tenure", "autopay", "plan"}


async def test_the_schema_names_the_features(desk: Desk, http: httpx.AsyncClient) -> None:
    await seed(desk)
    features = (await http.get("/score/schema")).json()["features"]
    assert [(each["name"], each["kind"]) for each in features] == [
        ("tenure", "numeric"),
        ("autopay", "boolean"),
        ("plan", "categorical"),
    ]


REFUSED: list[tuple[str, str, Any, int]] = [
    ("POST", "/score", {"accounts": []}, 422),
    ("POST", "/score", {"accounts": [{"account_id": ""}]}, 422),
    ("POST", "/score", {"accounts": [{"account_id": "a"}], "version": "01"}, 422),
    ("POST", "/score", {"accounts": [{"account_id": "a"}], "more": 1}, 422),
    ("POST", "/score", {"accounts": [{"account_id": str(i)} for i in range(1001)]}, 422),
    ("POST", "/score", {"accounts": [{"account_id": "a"}], "version": "999"}, 404),
    ("POST", "/score/batches", {"version": "1\n"}, 422),
    ("POST", "/score/batches", {"scoring": {"chunk_size": True}}, 422),
    ("POST", "/score/batches", {"dataset": "none"}, 404),
    ("POST", "/score/batches", {"version": "challenger"}, 404),
    ("POST", "/monitor", {"run": True}, 422),
    ("POST", "/monitor", {}, 409),
    ("POST", "/monitor/outcomes", {"outcomes": []}, 422),
    ("POST", "/monitor/outcomes", {"outcomes": [{"account_id": "a", "churned": 1}]}, 422),
    (
        "POST",
        "/monitor/outcomes",
        {"outcomes": [{"account_id": "a", "churned": True, "observed_at": "2026-01-01T00:00:00"}]},
        422,
    ),
    (
        "POST",
        "/monitor/outcomes",
        {"outcomes": [{"account_id": "a", "churned": True, "observed_at": 1}]},
        422,
    ),
    ("GET", "/monitor", None, 404),
    ("GET", "/score/accounts", None, 409),
    ("GET", "/score/accounts?min_probability=nan", None, 422),
    ("GET", "/score/accounts?cursor=WzFd", None, 422),
    ("GET", "/score/accounts?run=01", None, 422),
    ("GET", "/score/accounts?run=9", None, 404),
    ("GET", "/score/accounts?format=xml", None, 422),
    ("GET", "/score/batches/99999999999999999", None, 404),
    ("GET", "/score/batches/1_0", None, 422),
]


async def test_what_cannot_be_done_is_a_problem(desk: Desk, http: httpx.AsyncClient) -> None:
    await seed(desk)
    wrong = []
    for method, path, body, status in REFUSED:
        answer = await http.request(method, path, json=body)
        if answer.status_code != status or answer.headers["content-type"] != "application/problem+json":
            wrong.append((method, path, body, answer.status_code, answer.text))
    assert wrong == []
