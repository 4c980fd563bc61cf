"""A model's life on the facts of a simulated business, each verb on the command line."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Holdfast

pytestmark = pytest.mark.slow
FACTS = ("accounts", "subscriptions", "events")


@pytest.fixture
def business(holdfast: Holdfast, tmp_path: Path) -> Path:
    """Files of a business in which an attribute knows who is about to leave."""
    folder = tmp_path / "business"
    holdfast("simulate", folder, "--accounts", 2500, "--leak", "status_code")
    described = json.loads((folder / "dataset.json").read_text()) | {"windows_days": [30, 90], "max_instants": 6}
    (folder / "dataset.json").write_text(json.dumps(described))
    return folder


def test_facts_are_brought_trained_on_and_scored(holdfast: Holdfast, business: Path) -> None:
    assert holdfast("dataset", "create", business / "dataset.json")["kind"] == "events"
    assert "holdfast import FILE --name business --fact events" in holdfast.fails("train")
    for fact in FACTS:
        told = holdfast("import", business / f"{fact}.parquet", "--name", "business", "--fact", fact)
        assert told["missing"] == list(FACTS[FACTS.index(fact) + 1 :])
    again = holdfast.tells("import", business / "events.parquet", "--name", "business", "--fact", "events", "--append")
    assert "was there already" in again
    names = {each["name"]: each["words"] for each in holdfast("dataset", "features")["features"]}
    assert names["n_login_30d"] == "login events in the last 30 days"

    [leak] = [each for each in holdfast("dataset", "leaks")["findings"] if each["level"] == "certain"][:1]
    assert leak["feature"] == "account_status_code"
    assert "--exclude-feature" in holdfast.fails("train", "--no-shap")
    quick = ("--no-shap", "--model-type", "logistic", "--exclude-feature", "account_status_code")
    trained = holdfast("train", "--register", *quick)
    assert trained["split"]["kind"] == "temporal"
    assert not [each for each in trained["leaks"] if each["level"] == "certain"]
    evaluation = holdfast("evaluate")
    assert evaluation["rows"]["as_trained"]
    holdfast("promote", "--force", "--reason", "to see it score")
    assert holdfast("score")["n_accounts_scored"] > 1000
    assert holdfast("monitor")["drift_status"] in {"healthy", "warning", "critical"}
    told = holdfast.tells("train", "--split", "random", *quick)
    assert "Split at random" in told
