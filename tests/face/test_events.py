"""Features that are built of facts, on frames."""

import json
from pathlib import Path

import pytest

from app.demo import DATASET
from app.simulator.writing import TABLES
from holdfast import ModelConfig, ModelRegistry, ModelTrainer, TrainingConfig, create_training_dataset
from tests.live import environment, holdfast


@pytest.mark.slow
def test_a_model_of_built_features_is_made_again_by_the_store(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = environment(database_url, tmp_path / "home")
    for name in ("HOLDFAST_HOME", "HOLDFAST_N_THREADS"):
        monkeypatch.setenv(name, env[name])
    holdfast(env, "simulate", tmp_path / "business", "--accounts", 2000)
    described = tmp_path / "business" / "dataset.json"
    smaller = {"name": DATASET, "windows_days": [30], "max_instants": 5}
    described.write_text(json.dumps(json.loads(described.read_text()) | smaller))
    holdfast(env, "dataset", "create", described)
    for fact in TABLES:
        holdfast(env, "import", tmp_path / "business" / f"{fact}.parquet", "--name", DATASET, "--fact", fact)
    data = create_training_dataset(database_url)
    assert data.as_of is not None
    assert data.as_of.nunique() > 1
    assert data.split["kind"] == "temporal"
    trained = ModelTrainer(ModelConfig(model_type="logistic"), TrainingConfig(shap=False)).train(
        data.X, data.y, accounts=data.accounts, as_of=data.as_of, sides=data.sides, horizon_days=data.horizon_days
    )
    with ModelRegistry(database_url) as registry:
        version = registry.register_model(trained)
        details = registry.get(version.version)
    assert details.training_data_hash == trained.training_data_hash
    assert details.metrics["test"] == pytest.approx(trained.primary.metrics["test"])
