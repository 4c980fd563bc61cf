"""A version's life over HTTP on real data: trained, judged, promoted, compared, rolled back."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.living import TELCO, Client, add_telco, open_app

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TELCO.exists(), reason="the telco data is not beside the project: ../shared/data"),
]


async def test_the_baseline_is_as_good_and_takes_over_without_force(database_url: str, tmp_path: Path) -> None:
    async with open_app(database_url, tmp_path) as client:
        await add_telco(client)
        trained = await client.succeed("/train", register=True, description="weekly")
        _check_figures(trained)
        verdict = await client.succeed("/models/1/evaluate")
        assert verdict["recommendation"] != "promote"
        assert verdict["baseline_as_good"]
        register = {"job_id": trained["job_id"], "model": "baseline"}
        assert any('"model": "baseline"' in step for step in verdict["next"])
        assert "baseline is not shown to be worse" in " ".join(verdict["sentences"])
        await _refuse_promotion(client)

        await client.call("POST", "/models", 201, json=register)
        again = await client.call("POST", "/models", 200, json=register)
        assert (again["version"], again["created"]) == (2, False)
        judged = await client.succeed("/models/2/evaluate")
        assert judged["recommendation"] == "promote"
        head = await client.http.get("/promotions/head")
        assert head.headers["ETag"] == '"0"'
        promoted = await client.http.post("/models/2/promote", headers={"If-Match": '"0"'})
        assert promoted.status_code == 200, promoted.text
        assert (promoted.json()["forced"], promoted.json()["to_version"]) == (False, 2)
        await _check_history(client)
        await _check_mlflow(client, trained)


def _check_figures(trained: dict[str, Any]) -> None:
    """Against the figures of the data's own README: 5-fold AUC .839 and .845."""
    primary, baseline = trained["primary"], trained["baseline"]
    assert (primary["model_type"], baseline["model_type"]) == ("xgboost", "logistic")
    for model, known in ((primary, 0.839), (baseline, 0.845)):
        assert model["mean_fold_roc_auc"] == pytest.approx(known, abs=0.015)
        assert model["metrics"]["test"]["roc_auc"] == pytest.approx(known, abs=0.03)
        assert 0.8 < model["metrics"]["test"]["calibration_slope"] < 1.25
        assert set(model["metrics"]) == {"train", "validation", "test", "folds"}
        assert len(model["metrics"]["folds"]) == 5
        assert model["baselines"][-1]["rule"]["words"] == "Contract is Month-to-month"
        assert model["calibration"]["test"]["after"]["brier_skill"] > 0.2
        assert model["rolling_origins"] == {"origins": [], "reason": "The data have no dates."}
        low, high = model["intervals"]["test"]["roc_auc"]
        assert low < model["metrics"]["test"]["roc_auc"] < high
    assert [each["as_good"] for each in primary["baselines"]] == [True, False, False]
    assert trained["version"] == 1
    assert trained["next"][0] == "POST /models/1/evaluate"
    assert trained["baseline_as_good"]
    assert primary["shap"]["n_sample"] > 0


async def _refuse_promotion(client: Client) -> None:
    problem = await client.call("POST", "/models/1/promote", 409)
    assert problem["code"] == "gate_not_passed"
    assert "improvement_over_baseline" in [check["name"] for check in problem["failed_checks"]]
    assert (await client.call("GET", "/models/champion", 404))["code"] == "nothing_in_production"


async def _check_history(client: Client) -> None:
    page = await client.call("GET", "/models?limit=1")
    assert [each["version"] for each in page["items"]] == [2]
    assert page["items"][0]["stage"] == "Production"
    rows: httpx.Response = await client.http.get("/models?format=csv")
    assert rows.headers["content-type"].startswith("text/csv")
    assert len(rows.text.splitlines()) == 3
    champion = await client.call("GET", "/models/champion")
    assert (champion["version"], champion["verdict"]["recommendation"]) == (2, "promote")
    compared = await client.call("GET", "/models/1/compare/champion")
    assert compared["score_shift"] is None
    assert compared["next"]
    assert {"model_type"} <= {each["name"] for each in compared["parameters"]}


async def _check_mlflow(client: Client, trained: dict[str, Any]) -> None:
    """Aliases and versions are there once the mirror's jobs have ended."""
    jobs = await client.call("GET", "/jobs?kind=mirror_aliases")
    for job in jobs["items"]:
        ended = await client.services.jobs.get(job["id"], wait_seconds=120)
        assert ended.status == "succeeded", ended.problem
    registry = client.services.registry
    assert registry.aliases("holdfast-telco") == {"champion": "2"}
    assert registry.find_runs(trained["job_id"]) == [trained["mlflow_run"]]
    run = registry.open().get_run(trained["mlflow_run"])
    assert run.data.metrics["test_roc_auc"] == trained["primary"]["metrics"]["test"]["roc_auc"]
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    assert (folder / "plots" / "roc_curve.png").read_bytes().startswith(b"\x89PNG")
    card = (folder / "primary" / "model_card.md").read_text(encoding="utf-8")
    assert trained["primary"]["baselines"][-1]["sentence"] in card
    assert run.data.tags["holdfast_code"] == version("holdfast")
    shown = await client.call("GET", "/models/2")
    assert shown["mlflow_version"] == "2"
    assert {name: shown[name] for name in ("baselines", "calibration", "intervals")} == {
        name: trained["baseline"][name] for name in ("baselines", "calibration", "intervals")
    }


async def test_a_second_training_is_judged_against_the_champion_and_gives_the_same_bytes(
    database_url: str, tmp_path: Path
) -> None:
    """The twin passes as not worse; the first verdict is stale for whoever was judged before; a rollback undoes it."""
    async with open_app(database_url, tmp_path) as client:
        await add_telco(client, defaults={"model": {"model_type": "logistic"}, "training": {"shap": False}})
        first = await client.succeed("/train", register=True)
        second = await client.succeed("/train", register=True, training={"tags": {"week": "2"}})
        assert first["primary"]["bundle_sha256"] == second["primary"]["bundle_sha256"]
        assert (first["primary"]["model_type"], first["baseline"]["model_type"]) == ("logistic", "base_rate")
        for number in (1, 2):
            assert (await client.succeed(f"/models/{number}/evaluate"))["recommendation"] == "promote"
        await client.call("POST", "/models/1/promote")
        assert (await client.call("POST", "/models/2/promote", 409))["code"] == "stale_evaluation"
        advisory = await client.succeed("/models/2/evaluate", evaluation={"min_auc": 0.6})
        assert advisory["advisory"]
        assert (await client.call("POST", "/models/2/promote", 409))["code"] == "stale_evaluation"
        twin = await client.succeed("/models/2/evaluate")
        assert (twin["rule"], twin["recommendation"], twin["champion_version"]) == ("not_worse", "promote", 1)
        entry = await client.call("POST", "/models/2/promote")
        assert (entry["from_version"], entry["anchor_version"], entry["rule"]) == (1, 1, "not_worse")
        latest = await client.call("GET", "/models/2/evaluations/latest")
        assert latest["id"] == twin["id"]
        listed = await client.call("GET", "/models/2/evaluations")
        assert [each["advisory"] for each in listed["items"]] == [False, True, False]
        back = await client.call("POST", "/promotions/rollback", json={"reason": "trial"})
        assert (back["action"], back["to_version"], back["recommendation"]) == ("rollback", 1, "promote")


async def test_what_cannot_be_trained_is_refused_before_a_job_is_made(database_url: str, tmp_path: Path) -> None:
    async with open_app(database_url, tmp_path, run_worker=False) as client:
        assert (await client.call("POST", "/train", 404, json={}))["code"] == "not_found"
        await add_telco(client)
        wrong = {"model": {"xgboost_params": {"max_dept": 3}}}
        problem = await client.call("POST", "/train", 422, json=wrong)
        assert problem["errors"][0]["pointer"] == "/model/xgboost_params/max_dept"
        training = {"exclude_features": ["tenure", "customerID"], "split": "temporal"}  # the second is no feature
        problem = await client.call("POST", "/train", 422, json={"training": training})
        pointers = [each["pointer"] for each in problem["errors"]]
        assert pointers == ["/training/exclude_features/1", "/training/split"]
        assert (await client.call("POST", "/train", 404, json={"dataset": "nobody"}))["status"] == 404
        body = {"name": "empty", "id_column": "a", "label_column": "b", "positive_value": "1"}
        await client.call("POST", "/datasets", 201, json=body)
        assert (await client.call("POST", "/train", 409, json={"dataset": "empty"}))["code"] == "no_rows"
        await client.call("PUT", "/datasets/empty/rows", 201, content=b"a,b,c\n1,1,5\n2,1,6\n3,,7\n")
        problem = await client.call("POST", "/train", 409, json={"dataset": "empty"})
        assert "2 rows that churned and 0 that stayed" in problem["detail"]
        assert (await client.call("GET", "/jobs"))["items"] == []
        assert (await client.call("POST", "/models/01/promote", 422))["status"] == 422
        assert (await client.call("GET", "/models/latest?dataset=telco", 404))["code"] == "nothing_registered"
        force = await client.call("POST", "/models/1/promote", 422, json={"force": True})
        assert "force needs a reason" in force["detail"]
