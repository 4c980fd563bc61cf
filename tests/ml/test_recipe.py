"""The walk over rounds against a slow and obvious one, and what the rounds add up to."""

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.metrics import log_loss

from app.ml.encoding import Matrix
from app.ml.frame import Floats
from app.ml.kinds.linear import C_PATH
from app.ml.kinds.models import Learner, Model, ModelKind, PrefixLearner, SharingLearner, StagedModel, make_learner
from app.ml.recipe import Fitted, Folds, fit_by_recipe, walk_rounds
from app.ml.split import deal_folds
from app.schemas.config import ModelConfig
from tests.ml.planted import Data

BOOSTERS = [ModelKind.XGBOOST, ModelKind.LIGHTGBM]
N_ROUNDS = 30


def learner_of(kind: ModelKind) -> Learner:
    params = {"n_estimators": N_ROUNDS}
    return make_learner(kind, ModelConfig(xgboost_params=params, lightgbm_params=params))


def development(data: Data) -> tuple[Matrix, Floats, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    X = np.column_stack(
        [
            data.frame.features["usage"].to_numpy(),
            data.frame.features["spend"].to_numpy(),
            [value == "monthly" for value in data.frame.features["contract"].to_pylist()],
        ]
    ).astype(np.float32)
    assert data.frame.churned is not None
    y = data.frame.churned
    return X, y, deal_folds(data.frame.accounts.to_pylist(), y, 4, seed=1)


def by_recipe(kind: ModelKind, data: Data, *, n_threads: int = 1) -> Fitted:
    X, y, folds = development(data)
    return fit_by_recipe(learner_of(kind), X, y, folds, n_threads=n_threads, progress=lambda _share: None)


def fit_inside(learner: Learner, X: Matrix, y: Floats, inside: Folds, n_rounds: int) -> Model:
    """On some of the rows, prepared with all of them where the learner can."""
    if isinstance(learner, SharingLearner):
        return learner.share(X, y, n_threads=1).fit(inside, n_rounds=n_rounds, n_threads=1)
    return learner.fit(X[inside], y[inside], n_rounds=n_rounds, n_threads=1)


def recalibrated_loss(margins: Floats, y: Floats) -> float:
    """By statsmodels and scikit-learn."""
    targets = np.where(y == 1, (y.sum() + 1) / (y.sum() + 2), 1 / ((1 - y).sum() + 2))
    columns = sm.add_constant(margins)
    line = sm.GLM(targets, columns, family=sm.families.Binomial()).fit(tol=1e-12)
    return float(log_loss(y, line.predict(columns)))


@pytest.mark.parametrize("kind", BOOSTERS)
def test_rounds_add_up_to_the_margin(kind: ModelKind, data: Data) -> None:
    X, y, _ = development(data)
    model = learner_of(kind).fit(X, y, n_rounds=N_ROUNDS, n_threads=1)
    total = np.sum([model.round_margins(X, at) for at in range(N_ROUNDS)], axis=0)
    np.testing.assert_allclose(total, model.margins(X), atol=1e-5)


@pytest.mark.parametrize("kind", BOOSTERS)
def test_stages_are_the_margins_of_fits_with_so_many_rounds(kind: ModelKind, data: Data) -> None:
    X, y, _ = development(data)
    fits = {n: learner_of(kind).fit(X, y, n_rounds=n, n_threads=1) for n in (1, 50, 51, 130)}
    assert isinstance(fits[130], StagedModel)
    stages = [stage.copy() for stage in fits[130].staged_margins(X)]
    assert len(stages) == 130
    for n, model in fits.items():
        np.testing.assert_allclose(stages[n - 1], model.margins(X), atol=5e-6)  # its own sum is in float32


def test_stages_stay_where_they_are_after_a_fit_ended_by_itself() -> None:
    """LightGBM stops where no split is left to make: here two leaves' worth of rows, all of one label in each."""
    X = np.repeat([[0.0], [1.0]], 50, axis=0).astype(np.float32)
    learner = make_learner(ModelKind.LIGHTGBM, ModelConfig(lightgbm_params={"min_split_gain": 1000.0}))
    model = learner.fit(X, X[:, 0].astype(np.float64), n_rounds=120, n_threads=1)
    assert isinstance(model, StagedModel)
    stages = [stage.copy() for stage in model.staged_margins(X)]
    assert len(stages) == 120
    np.testing.assert_allclose(stages[-1], model.margins(X), atol=1e-9)


@pytest.mark.parametrize("kind", BOOSTERS)
def test_the_walk_equals_a_slow_one(kind: ModelKind, data: Data) -> None:
    """Slow: for each round fit every fold anew to just so many rounds, and recalibrate with statsmodels."""
    X, y, folds = development(data)
    learner = learner_of(kind)
    losses, all_margins = [], []
    for n_rounds in range(1, N_ROUNDS + 1, 4):
        margins = np.empty(y.size)
        for fold in range(4):
            model = fit_inside(learner, X, y, np.flatnonzero(folds != fold), n_rounds)
            margins[folds == fold] = model.margins(X[folds == fold])
        losses.append(recalibrated_loss(margins, y))
        all_margins.append(margins)
    models = [fit_inside(learner, X, y, np.flatnonzero(folds != fold), N_ROUNDS) for fold in range(4)]
    walk = walk_rounds(models, X, y, folds, N_ROUNDS)
    np.testing.assert_allclose(walk.round_losses[::4], losses, atol=1e-6)
    assert walk.n_rounds == np.argmin(walk.round_losses) + 1
    if walk.n_rounds % 4 == 1:
        np.testing.assert_allclose(walk.margins, all_margins[walk.n_rounds // 4], atol=1e-5)


@pytest.mark.parametrize("kind", BOOSTERS)
def test_out_of_fold_margins_are_those_of_models_that_did_not_see_the_row(kind: ModelKind, data: Data) -> None:
    X, y, folds = development(data)
    fitted = by_recipe(kind, data)
    model = fit_inside(learner_of(kind), X, y, np.flatnonzero(folds != 2), fitted.n_rounds)
    np.testing.assert_allclose(fitted.oof_margins[folds == 2], model.margins(X[folds == 2]), atol=1e-4)


@pytest.mark.parametrize("kind", BOOSTERS)
def test_labels_held_out_have_no_effect_on_their_margins(kind: ModelKind, data: Data) -> None:
    X, y, folds = development(data)
    inside, turned = np.flatnonzero(folds != 2), np.where(folds == 2, 1 - y, y)
    one, other = (fit_inside(learner_of(kind), X, labels, inside, N_ROUNDS) for labels in (y, turned))
    np.testing.assert_array_equal(one.margins(X), other.margins(X))


def test_shared_bins_are_those_of_a_fit_where_values_are_few(data: Data) -> None:
    """With fewer values than bins every value has a bin of its own, whichever rows it comes from."""
    X, y, folds = development(data)
    X = np.mod(np.round(X), 8)
    learner, inside = learner_of(ModelKind.LIGHTGBM), np.flatnonzero(folds != 2)
    assert isinstance(learner, SharingLearner)
    shared = learner.share(X, y, n_threads=1).fit(inside, n_rounds=N_ROUNDS, n_threads=1)
    alone = learner.fit(X[inside], y[inside], n_rounds=N_ROUNDS, n_threads=1)
    np.testing.assert_allclose(shared.margins(X), alone.margins(X), atol=1e-9)


@pytest.mark.parametrize("kind", BOOSTERS)
def test_the_final_model_has_the_common_number_of_rounds(kind: ModelKind, data: Data) -> None:
    X, y, _ = development(data)
    fitted = by_recipe(kind, data)
    again = learner_of(kind).fit(X, y, n_rounds=fitted.n_rounds, n_threads=1)
    assert fitted.model.n_rounds == fitted.n_rounds
    assert fitted.model.to_files() == again.to_files()


@pytest.mark.parametrize("kind", BOOSTERS)
def test_the_first_rounds_of_a_long_fit_are_the_short_fit(kind: ModelKind, data: Data) -> None:
    X, y, _ = development(data)
    learner = learner_of(kind)
    assert isinstance(learner, PrefixLearner)
    long, short = (learner.fit(X, y, n_rounds=n, n_threads=1) for n in (N_ROUNDS, 11))
    first = learner.first(long, 11, n_threads=2)
    assert first.to_files() == short.to_files()
    np.testing.assert_array_equal(first.margins(X), short.margins(X))
    np.testing.assert_array_equal(first.gains(3, 11), short.gains(3, 11))
    np.testing.assert_array_equal(first.native_contributions(X), short.native_contributions(X))


@pytest.mark.parametrize("kind", BOOSTERS)
def test_threads_have_no_effect(kind: ModelKind, data: Data) -> None:
    one, *more = [by_recipe(kind, data, n_threads=n) for n in (1, 2, 3)]  # 3 leave one to spare, with 4 folds
    for other in more:
        assert one.model.to_files() == other.model.to_files()
        assert one.model.n_rounds == other.model.n_rounds
        assert one.calibrator == other.calibrator


def test_c_is_the_one_with_the_lowest_out_of_fold_loss(data: Data) -> None:
    """Slow: each C by itself, in the same folds, recalibrated with statsmodels."""
    X, y, folds = development(data)
    tuned = fit_by_recipe(
        make_learner(ModelKind.LOGISTIC, ModelConfig()), X, y, folds, n_threads=2, progress=lambda _share: None
    )
    losses = {}
    for C in C_PATH:
        margins = np.empty(y.size)
        learner = make_learner(ModelKind.LOGISTIC, ModelConfig(logistic_params={"C": C}))
        for fold in range(4):
            model = learner.fit(X[folds != fold], y[folds != fold], n_rounds=1, n_threads=1)
            margins[folds == fold] = model.margins(X[folds == fold])
        losses[str(C)] = recalibrated_loss(margins, y)
    assert tuned.losses_by_c == pytest.approx(losses, abs=1e-6)
    chosen = min(losses, key=lambda C: losses[C])
    assert tuned.params == {"C": float(chosen), "max_iter": 1000}
    assert tuned.model.n_rounds == 1


def test_a_c_that_is_given_is_used_as_it_is(data: Data) -> None:
    X, y, folds = development(data)
    learner = make_learner(ModelKind.LOGISTIC, ModelConfig(logistic_params={"C": 7}))
    found = fit_by_recipe(learner, X, y, folds, n_threads=1, progress=lambda _share: None)
    assert (found.params["C"], found.losses_by_c) == (7.0, {})
    assert found.model.to_files() == learner.fit(X, y, n_rounds=1, n_threads=1).to_files()
