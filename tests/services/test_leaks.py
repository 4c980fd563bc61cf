"""Leaks planted in simulated facts, over HTTP: they stop a training, are left out or accepted, and can be looked up."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.simulator import SimulatorConfig
from app.simulator.writing import TABLES, write_files
from tests.living import Client, open_app

pytestmark = pytest.mark.slow

N_ACCOUNTS = 2000
WINDOWS = [30, 90]
DESCRIBED: dict[str, Any] = {
    "kind": "events",
    "accounts": {"valid_from_column": "valid_from", "recorded_at_column": "recorded_at"},
    "subscriptions": {
        "subscription_id_column": "subscription_id",
        "plan_column": "plan",
        "amount_column": "recurring_amount",
        "recorded_at_column": "recorded_at",
    },
    "events": {
        "kind_column": "kind",
        "quantity_column": "quantity",
        "amount_column": "amount",
        "recorded_at_column": "recorded_at",
    },
    "active": {"kind": "subscription"},
    "windows_days": WINDOWS,
}


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[Client]:
    async with open_app(database_url, tmp_path / "home") as client:
        yield client


async def bring(client: Client, folder: Path, name: str, *leaks: str, **more: Any) -> None:
    """A business whose facts have these leaks."""
    config = SimulatorConfig(n_accounts=N_ACCOUNTS, leaks=leaks)
    days = {"horizon_days": config.horizon_days, "lead_days": config.lead_days, "grace_days": config.grace_days}
    folder.mkdir()
    write_files(config, folder)
    await client.call("POST", "/datasets", 201, json=DESCRIBED | {"name": name} | days | more)
    for table in TABLES:
        file = (folder / f"{table}.parquet").read_bytes()
        await client.call("PUT", f"/datasets/{name}/facts/{table}", 201, content=file)


async def levels(client: Client, name: str) -> dict[str, str]:
    """The findings by name, as anybody can look them up."""
    told = await client.call("GET", f"/datasets/{name}/leaks")
    return {each["name"]: each["level"] for each in told["findings"]}


async def train(client: Client, **training: Any) -> dict[str, Any]:
    """The job, ended."""
    return await client.finish("/train", model={"model_type": "logistic"}, training={"shap": False} | training)


async def test_honest_facts_are_certain_of_nothing_and_train(client: Client, tmp_path: Path) -> None:
    await bring(client, tmp_path / "facts", "honest")
    assert "certain" not in (await levels(client, "honest")).values()
    job = await train(client)
    assert job["status"] == "succeeded", job["problem"]


async def test_a_certain_leak_stops_the_training_until_it_is_left_out_or_accepted(
    client: Client, tmp_path: Path
) -> None:
    await bring(client, tmp_path / "facts", "leaky", "status_code")
    found = await levels(client, "leaky")
    certain = {name for name, level in found.items() if level == "certain"}
    assert certain
    assert {name.split(":")[0] for name in certain} == {"account_status_code"}

    refused = await train(client)
    assert refused["status"] == "failed"
    assert refused["problem"]["code"] == "leaks_found"
    assert {each["name"] for each in refused["problem"]["findings"]} == certain

    without = await train(client, exclude_features=["account_status_code"])
    assert without["status"] == "succeeded", without["problem"]
    assert not any("account_status_code" in each for each in without["result"]["warnings"])

    accepted = await train(client, accept_leaks=sorted(certain))
    assert accepted["status"] == "succeeded", accepted["problem"]
    for name in certain:
        assert any(each.startswith(f"Accepted leak {name}: ") for each in accepted["result"]["warnings"])
    told = await client.call("GET", "/datasets/leaky/leaks")
    assert told["job_id"] == accepted["id"]
    assert {each["name"]: each["level"] for each in told["findings"]} == found


async def test_a_suspected_leak_warns(client: Client, tmp_path: Path) -> None:
    await bring(client, tmp_path / "facts", "ordered", "id_order")
    found = await levels(client, "ordered")
    assert {level for name, level in found.items() if name.startswith("account_id:")} == {"suspected"}
    assert "certain" not in found.values()
    job = await train(client)
    assert job["status"] == "succeeded", job["problem"]
    assert any(each.startswith("Suspected leak account_id:") for each in job["result"]["warnings"])


async def test_names_that_match_nothing_are_told(client: Client, tmp_path: Path) -> None:
    await bring(client, tmp_path / "facts", "vain", exclude_features=["country", "n_logins_30d"])
    job = await train(client, accept_leaks=["account_seats:single_feature"])
    assert job["status"] == "succeeded", job["problem"]
    vain = [each for each in job["result"]["warnings"] if "names" in each]
    assert vain == [
        "exclude_features of vain names n_logins_30d, which is no feature of it.",
        "accept_leaks names account_seats:single_feature, which was not found.",
    ]
    unknown = await train(client, exclude_features=["nothing_such"])  # which features facts have, only the job knows
    assert (unknown["status"], unknown["problem"]["code"]) == ("failed", "conflict")
