"""The hash of a recipe: of what was asked for, and of nothing else."""

from app.schemas.config import ModelConfig, TrainingConfig
from app.services.training_report import recipe_hash
from app.tables import Dataset


def hash_of(asked: str, **model: object) -> str:
    dataset = Dataset(name="a", kind="snapshots", label_column="churned", positive_value="yes")
    return recipe_hash(asked, ModelConfig.model_validate(model), TrainingConfig(), "random", dataset)


def test_a_parameter_counts_where_the_kind_asked_for_may_use_it() -> None:
    deeper = {"xgboost_params": {"max_depth": 3}}
    for asked in ("xgboost", "blend", "auto"):
        assert hash_of(asked, **deeper) != hash_of(asked)
    for asked in ("lightgbm", "logistic", "random_forest", "mlp", "base_rate"):
        assert hash_of(asked, **deeper) == hash_of(asked)


def test_a_blend_counts_the_booster_it_is_made_of() -> None:
    of_lightgbm = {"blend_params": {"booster": "lightgbm"}}
    assert hash_of("blend", **of_lightgbm) != hash_of("blend")
    assert hash_of("blend", **of_lightgbm, xgboost_params={"max_depth": 3}) == hash_of("blend", **of_lightgbm)


def test_asking_for_a_comparison_is_another_recipe_than_asking_for_what_it_takes() -> None:
    hashes = [hash_of(asked) for asked in ("auto", "blend", "xgboost", "logistic", "mlp", "base_rate")]
    assert len(set(hashes)) == len(hashes)


def test_the_seed_does_not_count() -> None:
    assert hash_of("auto", seed=1) == hash_of("auto", seed=2)
