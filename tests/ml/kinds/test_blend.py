"""The blend: its sum, its reasons, its weights, its files."""

import dataclasses
import json
import warnings

import numpy as np
import pytest

from app.ml.bundle import BundleError
from app.ml.calibration import fit_platt
from app.ml.explain import contributions
from app.ml.kinds.blend import BlendModel, fit_weights
from app.ml.kinds.boosters import LightGBMModel, XGBoostModel
from app.ml.kinds.model_files import read_model
from app.ml.kinds.models import ModelKind
from app.ml.scorer import Scorer
from app.ml.trainer import TrainingResult
from app.schemas.config import ModelConfig, ModelType
from tests.ml.planted import Data


@pytest.fixture(scope="module", params=["xgboost", "lightgbm"])
def blended(request: pytest.FixtureRequest, data: Data) -> TrainingResult:
    """Of deep and less deep trees, and of stumps, which leave something to logistic regression."""
    depth = {"xgboost": (6, 2), "lightgbm": (1, 1)}[request.param]
    params = {"max_depth": depth[0], "n_estimators": 40}
    blend = {"booster": request.param, "shallow_max_depth": depth[1], "shallow_n_estimators": 60}
    config = ModelConfig(
        model_type=ModelType.BLEND,
        blend_params={**blend, "shallow_learning_rate": 0.1},
        xgboost_params=params,
        lightgbm_params=params,
    )
    return data.train(config)


def model_of(result: TrainingResult) -> BlendModel:
    bundle = result.primary.bundle
    model = read_model(bundle.kind, bundle.files, n_threads=1)
    assert isinstance(model, BlendModel)
    return model


def test_reasons_are_the_weighted_sum_of_shap_values(blended: TrainingResult, data: Data) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap
    encoder, model = blended.primary.bundle.encoder, model_of(blended)
    X = encoder.encode(data.frame.features)
    expected = np.zeros(X.shape)
    for each in model.components:
        if isinstance(each.model, XGBoostModel | LightGBMModel):
            explainer = shap.TreeExplainer(each.model.booster, feature_perturbation="tree_path_dependent")
            expected += each.weight * explainer.shap_values(X.astype(np.float64))
        else:
            expected += each.weight * each.model.native_contributions(X)
    np.testing.assert_allclose(model.native_contributions(X), expected, atol=1e-5)
    many = np.tile(X, (4, 1))
    by_feature = contributions(model, many, encoder)
    np.testing.assert_allclose(by_feature[:50], contributions(model, many[:50], encoder), atol=1e-5)
    assert np.ptp(model.margins(many) - by_feature.sum(axis=1)) < 1e-4


def test_it_is_the_weighted_sum_of_its_components(blended: TrainingResult, data: Data) -> None:
    model = model_of(blended)
    X = blended.primary.bundle.encoder.encode(data.frame.features)
    assert len(model.components) > 1
    total = sum(each.weight * each.model.margins(X) for each in model.components)
    np.testing.assert_allclose(model.margins(X), total)


def test_the_report_tells_every_component_and_the_bundle_holds_those_with_weight(blended: TrainingResult) -> None:
    told = {each["name"]: each for each in blended.primary.components}
    kept = {each.name: each for each in model_of(blended).components}
    assert set(told) == {"booster", "shallow", "logistic"}
    assert {name for name, each in told.items() if each["weight"]} == set(kept)
    for name, each in kept.items():
        assert (told[name]["kind"], told[name]["weight"]) == (each.kind.value, each.weight)
        assert told[name]["n_rounds"] == each.model.n_rounds


def test_a_line_laid_over_the_sum_has_nothing_to_add() -> None:
    """Weights and intercept are fitted together, so Platt's line finds slope 1."""
    rng = np.random.default_rng(5)
    y = (rng.random(600) < 0.3).astype(np.float64)
    margins = y[:, np.newaxis] + rng.normal(size=(600, 3))
    weights = fit_weights(margins, y)
    assert (weights > 0).all()
    assert fit_platt(margins @ weights, y).slope == pytest.approx(1, abs=1e-4)


def test_it_is_no_worse_than_its_parts(blended: TrainingResult, data: Data) -> None:
    """On the out-of-fold margins that it was fitted on a sum can't lose to one of its terms."""
    alone = data.train(ModelConfig(model_type=ModelType.LOGISTIC)).primary
    assert blended.primary.round_losses[-1] < alone.round_losses[-1]


def test_margins_that_rank_nothing_leave_the_simplest_alone() -> None:
    y = np.repeat([0.0, 1.0], 50)
    backwards = np.column_stack([-y, -2 * y, 1 - y]) + np.linspace(0, 1e-3, 100)[:, np.newaxis]
    assert fit_weights(backwards, y).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "change",
    [
        {"components": []},
        {"name": "../booster"},
        {"kind": "blend"},
        {"kind": "pickle"},
        {"weight": -1.0},
        {"weight": 0},
        {"weight": "much"},
        {"spread": float("inf")},
    ],
)
def test_a_head_that_makes_no_sense_is_refused(blended: TrainingResult, change: dict[str, object]) -> None:
    files = dict(blended.primary.bundle.files)
    head = json.loads(files["blend.json"])
    if "components" in change:
        head |= change
    else:
        head["components"][0] |= change
    files["blend.json"] = json.dumps(head).encode()
    with pytest.raises((ValueError, KeyError)):
        BlendModel.from_files(files, n_threads=1)


def test_a_component_that_can_not_be_read_is_refused(blended: TrainingResult) -> None:
    bundle = blended.primary.bundle
    name = next(name for name in bundle.files if name.startswith("shallow-"))
    with pytest.raises(BundleError, match="can't be used"):
        Scorer(dataclasses.replace(bundle, files={**bundle.files, name: b"trees"}))


def test_a_component_too_many_is_refused(blended: TrainingResult) -> None:
    files = {**blended.primary.bundle.files, "more.json": b"{}"}
    with pytest.raises(ValueError, match=r"more\.json"):
        BlendModel.from_files(files, n_threads=1)


def test_the_baseline_is_the_very_logistic_regression_of_the_blend(blended: TrainingResult) -> None:
    files = blended.primary.bundle.files
    assert blended.baseline.bundle.kind is ModelKind.LOGISTIC
    if "logistic-linear.json" in files:
        assert files["logistic-linear.json"] == blended.baseline.bundle.files["linear.json"]
