"""The net against scikit-learn's, and its explanations against every order of the features."""

import dataclasses
import json
from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from app.ml.encoding import Matrix
from app.ml.explain import contributions
from app.ml.frame import Floats
from app.ml.model_files import read_model
from app.ml.models import ModelKind, explanations_of, make_learner
from app.ml.network import NetworkLearner, NetworkModel
from app.schemas.config import ModelConfig, ModelType
from tests.ml.planted import Data, quick

NUMBERS = {"hidden_units": 8, "n_epochs": 6, "batch_size": 64, "learning_rate": 0.01, "alpha": 0.05}


def learner_of(**params: float) -> NetworkLearner:
    learner = make_learner(ModelKind.MLP, ModelConfig(mlp_params=NUMBERS | params))
    assert isinstance(learner, NetworkLearner)
    return learner


def rows(n: int = 700, seed: int = 3) -> tuple[Matrix, Floats]:
    """Four columns, the second with holes; the first two act together."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4)).astype(np.float32)
    y = (rng.random(n) < 1 / (1 + np.exp(-2 * X[:, 0] * X[:, 1] - X[:, 2]))).astype(np.float64)
    X[rng.random(n) < 0.1, 1] = np.nan
    return X, y


def fitted(n_rounds: int = 6) -> tuple[NetworkModel, Matrix, Floats]:
    X, y = rows()
    return learner_of().fit(X, y, n_rounds=n_rounds, n_threads=1), X, y


@pytest.mark.parametrize("n_epochs", [1, 6])
def test_it_scores_what_scikit_learn_would(n_epochs: int) -> None:
    model, X, y = fitted(n_epochs)
    inputs = model.scaling.design(X)[1:].T
    theirs = MLPClassifier(
        (8,),
        alpha=learner_of().params["alpha"],
        learning_rate_init=0.01,
        batch_size=64,
        random_state=np.random.RandomState(42),
    )
    for _ in range(n_epochs):
        theirs.partial_fit(inputs, y, classes=[0.0, 1.0])
    again = NetworkModel.from_bytes(model.to_bytes(), n_threads=1)
    expected = theirs.predict_proba(inputs)[:, 1]
    np.testing.assert_allclose(1 / (1 + np.exp(-again.margins(X))), expected, atol=1e-5)


def test_epochs_add_up_and_stages_are_the_shorter_fits() -> None:
    model, X, _ = fitted()
    stages = list(model.staged_margins(X))
    np.testing.assert_array_equal(stages[-1], model.margins(X))
    np.testing.assert_allclose(np.sum([model.round_margins(X, at) for at in range(6)], axis=0), stages[-1])
    np.testing.assert_array_equal(stages[2], fitted(3)[0].margins(X))


def test_threads_have_no_effect() -> None:
    X, y = rows()
    with threadpool_limits(1, user_api="blas"):
        one = learner_of().fit(X, y, n_rounds=3, n_threads=1).to_bytes()
        assert learner_of().fit(X, y, n_rounds=3, n_threads=2).to_bytes() == one


def test_the_estimate_sums_exactly_to_the_margin_minus_that_of_the_background() -> None:
    model, X, _ = fitted()
    base = model.stages[-1].margins(model.background).mean()
    np.testing.assert_allclose(model.native_contributions(X).sum(axis=1), model.margins(X) - base, atol=1e-10)


def test_the_estimate_is_near_the_shapley_values() -> None:
    """Slow and obvious: all 24 orders of the four columns from each background row."""
    model, X, _ = fitted()
    layers, d = model.stages[-1], X.shape[1]
    columns = [np.append(at, d + np.flatnonzero(model.scaling.flagged == at)) for at in range(d)]
    inputs = model.scaling.design(X[:5])[1:].T.astype(np.float64)
    expected = np.zeros((5, d))
    orders = list(permutations(range(d)))
    for start in model.background:
        for order in orders:
            now = np.tile(start, (5, 1))
            before = layers.margins(now)
            for at in order:
                now[:, columns[at]] = inputs[:, columns[at]]
                after = layers.margins(now)
                expected[:, at] += (after - before) / (len(model.background) * len(orders))
                before = after
    np.testing.assert_allclose(model.native_contributions(X[:5]), expected, atol=0.15 * np.abs(expected).max())


def test_where_features_do_not_act_together_the_estimate_is_exact() -> None:
    """Each hidden unit reads one column: then a feature changes the margin by the same in every order."""
    model, X, _ = fitted()
    layers = model.stages[-1]
    alone = np.zeros_like(layers.hidden)
    alone[np.arange(4), np.arange(4)] = 1.0
    model = dataclasses.replace(model, stages=(dataclasses.replace(layers, hidden=alone),))
    first = np.maximum(model.scaling.design(X)[1].astype(np.float64) + layers.hidden_bias[0], 0) * layers.output[0]
    base = np.maximum(model.background[:, 0] + layers.hidden_bias[0], 0) * layers.output[0]
    np.testing.assert_allclose(model.native_contributions(X)[:, 0], first - base.mean(), atol=1e-10)


def test_one_row_is_explained_like_many_and_the_same_twice() -> None:
    model, X, _ = fitted()
    many = model.native_contributions(np.tile(X, (10, 1)))
    np.testing.assert_allclose(model.native_contributions(X[3:4])[0], many[3], atol=1e-12)
    np.testing.assert_array_equal(many[: len(X)], model.native_contributions(X))


def test_the_columns_of_a_feature_are_walked_through_together(data: Data) -> None:
    result = data.train(quick(ModelType.MLP), shap=True)
    bundle = result.primary.bundle
    model = read_model(bundle.kind, bundle.files, n_threads=1)
    X = bundle.encoder.encode(data.frame.features)[:50]
    by_feature = contributions(model, X, bundle.encoder)
    assert by_feature.shape == (50, 4)
    assert np.ptp(model.margins(X) - by_feature.sum(axis=1)) < 1e-10


def test_it_says_that_it_is_an_estimate(data: Data) -> None:
    result = data.train(quick(ModelType.MLP), shap=True)
    told = {role: fit.shap_summary for role, fit in (("net", result.primary), ("logistic", result.baseline))}
    assert told["net"] is not None
    assert told["net"].to_json()["method"] == "estimate"
    assert told["logistic"] is not None
    assert told["logistic"].to_json()["method"] == "exact"
    assert [kind for kind in ModelKind if explanations_of(kind) == "estimate"] == [ModelKind.MLP]


def test_a_net_sees_signs_that_logistic_regression_can_not() -> None:
    X, y = rows(4000)
    model = learner_of(n_epochs=30).fit(X, y, n_rounds=30, n_threads=1)
    X_new, y_new = rows(2000, seed=4)
    assert roc_auc_score(y_new, model.margins(X_new)) > 0.8


@pytest.mark.parametrize(
    "change",
    [
        {"hidden": [[1.0]]},
        {"hidden_bias": [1.0]},
        {"output": []},
        {"output_bias": None},
        {"background": []},
        {"background": [[0.0]]},
        {"scaling": {}},
        {"seed": "x"},
    ],
)
def test_parts_that_do_not_fit_are_refused(change: dict[str, object]) -> None:
    raw = json.loads(fitted(1)[0].to_bytes()) | change
    with pytest.raises((ValueError, TypeError)):
        NetworkModel.from_bytes(json.dumps(raw).encode(), n_threads=1)


def test_rows_of_another_width_are_refused() -> None:
    model, X, _ = fitted(1)
    for call in (model.margins, model.native_contributions):
        with pytest.raises(ValueError, match="columns"):
            call(X[:, :3])


def test_rows_that_do_not_fill_a_batch_have_no_more_say_than_others() -> None:
    """The penalty is shared by a batch: two rows left over would shrink all weights, twice an epoch."""
    X, y = rows(1026)
    full, two_over = (
        learner_of(n_epochs=20, alpha=3.0).fit(X[:n], y[:n], n_rounds=20, n_threads=1) for n in (1024, 1026)
    )
    assert two_over.margins(X).std() == pytest.approx(full.margins(X).std(), rel=0.1)
