import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as theirs

from app.ml.kinds.models import ModelKind
from app.ml.kinds.params import ParamsError
from app.ml.trainer import TrainingError, TrainingResult, train
from app.schemas.config import ModelConfig, ModelType, TrainingConfig
from tests.ml.planted import Data, planted, quick


def test_the_order_of_rows_and_the_threads_have_no_effect(trained: TrainingResult, data: Data) -> None:
    order = np.random.default_rng(3).permutation(len(data.frame))
    table = data.frame.features.take(pa.array(order))
    chunked = pa.concat_tables([table.slice(0, 500), table.slice(500)])
    shuffled = dataclasses.replace(data.frame.take(order), features=chunked)
    model_type = ModelType(trained.primary.bundle.kind.value)
    again = Data(shuffled, data.sides[order], data.features).train(quick(model_type), n_threads=1)
    assert again.primary.bundle.to_bytes() == trained.primary.bundle.to_bytes()
    assert again.baseline.bundle.sha256 == trained.baseline.bundle.sha256
    test = data.sides == "test"
    of_account = dict(zip(np.array(data.frame.accounts)[test], trained.primary.test_probabilities, strict=True))
    accounts = np.array(shuffled.accounts)[data.sides[order] == "test"]
    np.testing.assert_array_equal(again.primary.test_probabilities, [of_account[account] for account in accounts])


@pytest.mark.parametrize("what", ["seed", "sides", "label", "value", "params"])
def test_whatever_changes_the_training_changes_the_hash(what: str, data: Data) -> None:
    model = ModelConfig(model_type=ModelType.LIGHTGBM, lightgbm_params={"n_estimators": 5})
    before = data.train(model).primary.bundle.sha256
    frame, sides = data.frame, data.sides.copy()
    assert frame.churned is not None
    if what == "seed":
        model = model.model_copy(update={"seed": 43})
    elif what == "params":
        model = model.model_copy(update={"lightgbm_params": {"n_estimators": 5, "max_depth": 5}})
    elif what == "sides":
        first, second = np.flatnonzero(sides == "train")[0], np.flatnonzero(sides == "validation")[0]
        sides[first], sides[second] = sides[second], sides[first]
    elif what == "label":
        churned = frame.churned.copy()
        churned[np.flatnonzero(sides == "test")[0]] = 1 - churned[np.flatnonzero(sides == "test")[0]]
        frame = dataclasses.replace(frame, churned=churned)
    else:
        spend = frame.features["spend"].to_numpy().copy()
        spend[0] += 1e-9
        at = frame.features.column_names.index("spend")
        frame = dataclasses.replace(frame, features=frame.features.set_column(at, "spend", pa.array(spend)))
    assert Data(frame, sides, data.features).train(model).primary.bundle.sha256 != before


def test_the_test_side_is_touched_by_nothing(data: Data) -> None:
    """Other features and labels there leave the model, its calibrator, profile and out-of-fold figures as they are."""
    model = ModelConfig(model_type=ModelType.LIGHTGBM, lightgbm_params={"n_estimators": 20})
    test = np.flatnonzero(data.sides == "test")
    rows = np.arange(len(data.frame))
    rows[test] = test[::-1]
    assert data.frame.churned is not None
    other = dataclasses.replace(
        data.frame, features=data.frame.features.take(pa.array(rows)), churned=data.frame.churned[rows]
    )
    before = data.train(model).primary
    after = Data(other, data.sides, data.features).train(model).primary
    assert after.bundle.files == before.bundle.files
    assert after.bundle.calibrator == before.bundle.calibrator
    assert after.bundle.profile == before.bundle.profile
    assert after.metrics["validation"] == before.metrics["validation"]
    assert after.metrics["test"] != before.metrics["test"]


def test_figures_equal_sklearn(trained: TrainingResult, data: Data) -> None:
    y, p = data.y_test, trained.primary.test_probabilities
    found = trained.metrics
    assert found["auc"] == pytest.approx(theirs.roc_auc_score(y, p))
    assert found["test"]["pr_auc"] == pytest.approx(theirs.average_precision_score(y, p))
    assert found["test"]["log_loss"] == pytest.approx(theirs.log_loss(y, p))
    assert found["test"]["brier"] == pytest.approx(theirs.brier_score_loss(y, p))
    baseline = theirs.roc_auc_score(y, trained.baseline.test_probabilities)
    assert trained.improvement_over_baseline == pytest.approx(found["auc"] - baseline)


def test_validation_figures_are_out_of_fold(trained: TrainingResult, data: Data) -> None:
    assert data.frame.churned is not None
    development = data.sides != "test"
    validation = data.sides[development] == "validation"
    y = data.frame.churned[development][validation]
    expected = theirs.roc_auc_score(y, trained.primary.oof_probabilities[validation])
    assert trained.metrics["validation"]["roc_auc"] == pytest.approx(expected)
    assert len(trained.metrics["folds"]) == 5


def test_trees_see_the_interaction_and_the_baseline_cannot(boosted: TrainingResult) -> None:
    assert boosted.improvement_over_baseline > 0.01
    assert boosted.baseline.bundle.kind is ModelKind.LOGISTIC
    assert next(iter(boosted.primary.importances)) == "usage"


def test_importances_are_shares(trained: TrainingResult) -> None:
    assert sum(trained.primary.importances.values()) == pytest.approx(1)
    assert trained.primary.fold_importances.shape == (5, 4)
    assert trained.primary.fold_importances.sum(axis=1) == pytest.approx(np.ones(5))


def test_the_baseline_of_logistic_is_the_base_rate(data: Data) -> None:
    found = data.train(ModelConfig(model_type=ModelType.LOGISTIC)).baseline
    assert found.bundle.kind is ModelKind.BASE_RATE
    assert found.auc == 0.5
    assert found.metrics["validation"]["roc_auc"] == 0.5
    assert found.metrics["test"]["precision"] is None


def test_the_profile_holds_the_development_rows_that_stayed(trained: TrainingResult, data: Data) -> None:
    n_stayed = int(np.sum((data.sides != "test") & (data.frame.churned == 0)))
    assert trained.primary.bundle.profile.n_rows == n_stayed
    assert trained.primary.reference_scores.shape == (n_stayed,)


def test_without_shap_there_is_no_summary(data: Data) -> None:
    assert data.train(ModelConfig(model_type=ModelType.LOGISTIC)).primary.shap_summary is None


def test_progress_goes_forward(data: Data) -> None:
    said: list[tuple[str, float]] = []
    train(
        data.frame,
        data.sides,
        data.features,
        ModelConfig(model_type=ModelType.LOGISTIC),
        TrainingConfig(shap=False),
        profile_rows=np.ones(len(data.frame), dtype=np.bool_),
        progress=lambda step, share: said.append((step, share)),
        n_threads=2,
    )
    assert list(dict.fromkeys(step for step, _ in said)) == ["encode", "fit model", "fit baseline", "report"]
    assert all(0 <= share <= 1 for _, share in said)


def test_bad_parameters_are_refused_first(data: Data) -> None:
    with pytest.raises(ParamsError):
        data.train(ModelConfig(xgboost_params={"nthread": 9}))


def test_a_side_without_churners_is_refused() -> None:
    small = planted(60)
    assert small.frame.churned is not None
    tame = dataclasses.replace(small.frame, churned=np.where(small.sides == "test", 0.0, small.frame.churned))
    with pytest.raises(TrainingError, match="test side has 0 churners"):
        Data(tame, small.sides, small.features).train(ModelConfig())


def test_rows_without_label_are_refused() -> None:
    small = planted(60)
    assert small.frame.churned is not None
    unknown = dataclasses.replace(small.frame, churned=np.full(60, np.nan))
    with pytest.raises(TrainingError, match="label"):
        Data(unknown, small.sides, small.features).train(ModelConfig())


@pytest.mark.parametrize("model_type", list(ModelType))
def test_a_hundred_rows_are_enough(model_type: ModelType) -> None:
    found = planted(100, seed=4).train(quick(model_type), shap=True)
    assert 0 <= found.metrics["auc"] <= 1
