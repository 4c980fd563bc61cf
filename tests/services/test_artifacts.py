"""What a training leaves for people: files that can be read, and flat numbers that are those of the report."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.ml.bundle import Bundle
from app.ml.trainer import TrainingResult
from app.schemas.config import ModelConfig, ModelType, TrainingConfig
from app.services.artifacts import flat_metrics, flat_params, flat_reports, version_tags, write_artifacts
from app.services.training_report import model_report
from tests.ml.dated import GAP, dated
from tests.ml.planted import Data
from tests.ml.test_model_card import ABOUT

MODEL = ModelConfig(model_type=ModelType.LIGHTGBM, lightgbm_params={"n_estimators": 30})


@pytest.fixture(scope="module")
def data() -> Data:
    return dated()


@pytest.fixture(scope="module")
def result(data: Data) -> TrainingResult:
    return data.train(MODEL, gap=GAP, shap=True)


@pytest.fixture(scope="module")
def reports(data: Data, result: TrainingResult) -> dict[str, dict[str, Any]]:
    return {role: model_report(getattr(result, role), data.features) for role in ("primary", "baseline")}


def test_the_folder_holds_everything(
    data: Data, result: TrainingResult, reports: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    write_artifacts(tmp_path, result, reports, data.y_test, ABOUT)
    for role in ("primary", "baseline"):
        fitted = getattr(result, role)
        folder = tmp_path / role
        assert Bundle.from_bytes((folder / "bundle.zip").read_bytes()).sha256 == fitted.bundle.sha256
        assert json.loads((folder / "report.json").read_text()) == json.loads(json.dumps(reports[role]))
        assert json.loads((folder / "importances.json").read_text()) == fitted.importances
        with (folder / "importances.csv").open(newline="") as file:
            rows = list(csv.reader(file))
        assert rows[0] == ["feature", "share"]
        assert {name: float(share) for name, share in rows[1:]} == fitted.importances
        card = (folder / "model_card.md").read_text(encoding="utf-8")
        assert card.startswith(f"# Model card: {fitted.bundle.kind.value} ({role}) on shop")
        pictures = {each.name for each in (tmp_path / "plots" / role).iterdir()}
        assert {"calibration.png", "score_distribution.png", "importances.png", "shap_summary.png"} <= pictures
    ranking = {each.name for each in (tmp_path / "plots").iterdir() if each.is_file()}
    assert ranking == {"roc_curve.png", "precision_recall_curve.png", "cumulative_gain.png", "lift.png"}


def test_flat_numbers_are_those_of_the_report(result: TrainingResult, reports: dict[str, dict[str, Any]]) -> None:
    found, report = flat_metrics(result) | flat_reports(reports), reports["primary"]
    expected = {
        "test_roc_auc": report["metrics"]["test"]["roc_auc"],
        "fold_1_roc_auc": report["metrics"]["folds"][0]["roc_auc"],
        "test_roc_auc_low": report["intervals"]["test"]["roc_auc"][0],
        "folds_sd_roc_auc": report["sd_fold_roc_auc"],
        "origin_1_roc_auc": report["rolling_origins"]["origins"][0]["roc_auc"],
        "origins_mean_log_loss": report["rolling_origins"]["mean"]["log_loss"],
        "test_brier_skill_after_calibration": report["calibration"]["test"]["after"]["brier_skill"],
        "single_rule_test_lift": report["baselines"][2]["metrics"]["lift"],
        "base_rate_test_log_loss": report["baselines"][1]["metrics"]["log_loss"],
        "against_logistic_auc_gain": report["baselines"][0]["auc_gain"],
        "baseline_single_rule_test_roc_auc": reports["baseline"]["baselines"][1]["metrics"]["roc_auc"],
    }
    assert {name: found[name] for name in expected} == expected
    assert np.isfinite(list(found.values())).all()


def test_tags_name_code_and_libraries(result: TrainingResult) -> None:
    tags = version_tags(result, {"version": "0.1.0", "commit": None})
    assert (tags["holdfast_code"], tags["holdfast_commit"]) == ("0.1.0", "unknown")
    assert tags["holdfast_library_lightgbm"] == result.primary.bundle.libraries["lightgbm"]
    assert not any("/" in value for value in tags.values())
    assert flat_params(MODEL, TrainingConfig(), result)["training_data_hash"] == result.training_data_hash
