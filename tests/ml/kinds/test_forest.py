"""The forest against what its trees say, and against a forest of scikit-learn."""

import warnings

import numpy as np
import pytest
import xgboost as xgb
from scipy.special import expit
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from app.ml.encoding import Matrix
from app.ml.explain import _woodelf
from app.ml.frame import Floats
from app.ml.kinds.boosters import XGBoostModel
from app.ml.kinds.forest import RandomForestLearner
from app.ml.kinds.models import ModelKind, make_learner
from app.ml.trainer import TrainingResult
from app.schemas.config import ModelConfig, ModelType
from tests.ml.planted import Data, planted


def learner_of(**params: float) -> RandomForestLearner:
    learner = make_learner(ModelKind.RANDOM_FOREST, ModelConfig(random_forest_params=params))
    assert isinstance(learner, RandomForestLearner)
    return learner


def interaction(n: int = 2000, seed: int = 3) -> tuple[Matrix, Floats]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    return X, (rng.random(n) < expit(1.5 * X[:, 0] * X[:, 1] - 0.5)).astype(np.float64)


def test_a_leaf_holds_the_scaled_churn_rate_of_its_rows() -> None:
    """One tree on all rows and columns: by hand, leaf by leaf."""
    X, y = interaction(500)
    model = learner_of(n_estimators=1, subsample=1, max_features=1, max_depth=3).fit(X, y, n_rounds=1, n_threads=1)
    leaves = model.booster.predict(xgb.DMatrix(X), pred_leaf=True).ravel()
    rate = y.mean()
    for leaf in np.unique(leaves):
        inside = leaves == leaf
        expected = np.log(rate / (1 - rate)) + (y[inside].mean() - rate) / (rate * (1 - rate))
        np.testing.assert_allclose(model.margins(X)[inside], expected, rtol=1e-4)
        assert inside.sum() >= 10


@pytest.mark.parametrize("least", [1, 30])
def test_leaves_hold_at_least_so_many_rows(least: int) -> None:
    X, y = interaction(600)
    model = learner_of(n_estimators=5, subsample=1, min_samples_leaf=least).fit(X, y, n_rounds=1, n_threads=1)
    leaves = model.booster.predict(xgb.DMatrix(X), pred_leaf=True).reshape(len(X), -1)
    sizes = np.concatenate([np.unique(column, return_counts=True)[1] for column in leaves.T])
    assert least <= sizes.min() < least + 20


def test_its_trees_differ_and_there_are_as_many_as_asked_for() -> None:
    X, y = interaction()
    model = learner_of(n_estimators=7).fit(X, y, n_rounds=1, n_threads=1)
    assert model.booster.num_boosted_rounds() == 1
    assert len(set(model.booster.get_dump())) == 7


def test_it_ranks_like_a_forest_of_scikit_learn() -> None:
    X, y = interaction()
    X_test, y_test = interaction(seed=4)
    ours = learner_of(max_features=0.4).fit(X, y, n_rounds=1, n_threads=1).margins(X_test)
    theirs = RandomForestClassifier(100, min_samples_leaf=10, max_features=2, random_state=0).fit(X, y)
    expected = roc_auc_score(y_test, theirs.predict_proba(X_test)[:, 1])
    assert roc_auc_score(y_test, ours) == pytest.approx(expected, abs=0.01)


def test_shap_values_equal_those_of_shap() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap
    X, y = interaction(400)
    model = learner_of(n_estimators=10, max_depth=6).fit(X, y, n_rounds=1, n_threads=1)
    again = XGBoostModel.from_bytes(model.to_bytes(), n_threads=1)
    explainer = shap.TreeExplainer(model.booster, feature_perturbation="tree_path_dependent")
    expected = explainer.shap_values(X.astype(np.float64))
    np.testing.assert_allclose(again.native_contributions(X), expected, atol=1e-5)
    np.testing.assert_allclose(_woodelf(again, X), expected, atol=1e-5)


def test_it_is_calibrated_though_its_margin_is_no_log_odds() -> None:
    """Over seeds: one data set can't show it."""
    lines = []
    for seed in range(5):
        data = planted(3000, seed=seed)
        found: TrainingResult = data.train(
            ModelConfig(model_type=ModelType.RANDOM_FOREST, random_forest_params={"n_estimators": 50})
        )
        lines.append(found.metrics["test"]["calibration_slope"])
    assert np.mean(lines) == pytest.approx(1, abs=0.12)


def test_trees_see_the_interaction(data: Data) -> None:
    assert data.train(ModelConfig(model_type=ModelType.RANDOM_FOREST)).improvement_over_baseline > 0.01
