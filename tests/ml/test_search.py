"""A search: what it measures, that it can be cut anywhere, what it never sees, when it ends."""

import dataclasses
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from app.ml.bench import Bench
from app.ml.kinds.models import Learner, ModelKind, make_learner
from app.ml.recipe import fit_by_recipe
from app.ml.search import search
from app.ml.search_space import DEFAULT_SPACES, Dimension, Space, point_of, with_params
from app.ml.trainer import TrainingResult, train
from app.ml.trials import N_UNPRUNED_TRIALS, Trial, TrialState, is_hopeless
from app.schemas.config import ModelConfig, ModelType, SearchConfig, SearchRange, TrainingConfig
from tests.ml.planted import Data
from tests.ml.test_recipe import development

MODEL = ModelConfig(model_type=ModelType.LIGHTGBM, lightgbm_params={"n_estimators": 12}, seed=7)
SPACE: Space = {
    "learning_rate": Dimension(0.001, 0.5, log=True),
    "max_depth": Dimension(1, 6),
    "num_leaves": Dimension(choices=(4, 8, 31)),
}
N_TRIALS = 16


def bench_of(data: Data, *, model: ModelConfig = MODEL, n_threads: int = 1) -> Bench:
    X, y, folds = development(data)
    kind = ModelKind(model.model_type.value)

    def make(params: Mapping[str, Any]) -> Learner:
        return make_learner(kind, with_params(model, params))

    return Bench(X, y, folds, make, n_threads)


def run(bench: Bench, n_trials: int = N_TRIALS, **options: Any) -> tuple[Trial, ...]:
    given: dict[str, Any] = {"asked": point_of(MODEL, SPACE), "seed": 7, **options}
    return search(bench, SPACE, SearchConfig(n_trials=n_trials), **given)


def timeless(trials: Sequence[Trial]) -> list[Trial]:
    return [dataclasses.replace(trial, seconds=0.0) for trial in trials]


@pytest.fixture(scope="module")
def whole(data: Data) -> tuple[Trial, ...]:
    return run(bench_of(data))


def test_the_first_trial_is_the_config_as_asked_measured_by_the_recipe(whole: tuple[Trial, ...], data: Data) -> None:
    X, y, folds = development(data)
    learner = make_learner(ModelKind.LIGHTGBM, MODEL)
    fitted = fit_by_recipe(learner, X, y, folds, n_threads=1, progress=lambda _share: None)
    assert whole[0].log_loss == fitted.round_losses.min()
    assert whole[0].n_rounds == fitted.n_rounds
    assert whole[0].params == {"learning_rate": 0.1, "max_depth": 6, "num_leaves": 31}


@pytest.mark.parametrize("n_before", [1, 4, 9, 13])
def test_a_search_cut_off_goes_on_as_if_it_had_not_been(n_before: int, whole: tuple[Trial, ...], data: Data) -> None:
    """Its trials have been stored as JSON meanwhile."""
    stored = json.loads(json.dumps([dataclasses.asdict(trial) for trial in whole[:n_before]]))
    history = [
        Trial(**each | {"state": TrialState(each["state"]), "fold_losses": tuple(each["fold_losses"])})
        for each in stored
    ]
    new: list[Trial] = []
    again = run(bench_of(data), history=history, on_trial=new.append)
    assert timeless(again) == timeless(whole)
    assert timeless(new) == timeless(whole[n_before:])


def test_threads_have_no_effect(whole: tuple[Trial, ...], data: Data) -> None:
    assert timeless(run(bench_of(data, n_threads=3))) == timeless(whole)


def test_another_seed_tries_other_parameters(whole: tuple[Trial, ...], data: Data) -> None:
    other = run(bench_of(data), n_trials=3, seed=8)
    assert other[0].params == whole[0].params
    assert all(a.params != b.params for a, b in zip(other[1:], whole[1:3], strict=True))


def test_what_was_tried_on_other_rows_counts_as_not_tried(whole: tuple[Trial, ...], data: Data) -> None:
    bench = bench_of(data)
    flipped = dataclasses.replace(bench, y=np.where(np.arange(bench.y.size) == 0, 1 - bench.y, bench.y))
    assert timeless(run(bench, n_trials=2, history=run(flipped, n_trials=2))) == timeless(whole[:2])


def test_what_is_proposed_lies_in_the_space(whole: tuple[Trial, ...]) -> None:
    for trial in whole:
        assert all(SPACE[name].holds(value) for name, value in trial.params.items())
        assert trial.params.keys() == SPACE.keys()
        assert isinstance(trial.params["max_depth"], int)
    assert len({trial.params["learning_rate"] for trial in whole}) == N_TRIALS


def test_trials_worse_than_most_are_stopped_early(whole: tuple[Trial, ...]) -> None:
    """Told by hand: the mean of the folds so far against the median of that of the complete trials before."""
    assert {trial.state for trial in whole} == {TrialState.COMPLETE, TrialState.PRUNED}
    for trial in whole:
        before = [each for each in whole[: trial.number] if each.state is TrialState.COMPLETE]
        looks = range(1, len(trial.fold_losses) + (trial.state is TrialState.PRUNED))
        verdicts = [
            len(before) >= N_UNPRUNED_TRIALS
            and sum(trial.fold_losses[:n]) / n > np.median([sum(each.fold_losses[:n]) / n for each in before])
            for n in looks
        ]
        assert verdicts == [False] * (len(verdicts) - 1) + [trial.state is TrialState.PRUNED]
        assert (trial.log_loss is None) == (trial.state is TrialState.PRUNED)


def complete(number: int, *losses: float) -> Trial:
    return Trial(number, {}, TrialState.COMPLETE, 0.5, losses, 1, 1.0, "")


def test_the_median_rule_by_hand() -> None:
    trials = [complete(number, 0.1 * number, 0.5) for number in range(5)]  # first folds: 0, .1, .2, .3, .4
    assert not is_hopeless([0.2], trials)
    assert is_hopeless([0.21], trials)
    assert not is_hopeless([0.3, 0.4], trials)  # mean .35, as the median of .25, .3, .35, .4, .45
    assert is_hopeless([0.3, 0.41], trials)
    assert not is_hopeless([9.0], trials[:4])


def test_the_budget_of_trials_is_kept(data: Data) -> None:
    assert len(run(bench_of(data), n_trials=1)) == 1
    assert len(run(bench_of(data), n_trials=3)) == 3


def seconds_of(step: float) -> Callable[[], float]:
    ticks = itertools.count()
    return lambda: next(ticks) * step


def test_the_budget_of_seconds_is_kept_and_counts_earlier_attempts(data: Data) -> None:
    """Each look at the clock is a second."""
    bench, asked = bench_of(data), point_of(MODEL, SPACE)
    in_all: list[float] = []
    for seconds in (1.0, 40.0, 80.0):
        config = SearchConfig(seconds=seconds)
        trials = search(bench, SPACE, config, asked=asked, seed=7, clock=seconds_of(1.0))
        in_all.append(sum(trial.seconds for trial in trials))
        assert trials[0].state is TrialState.COMPLETE  # the config as asked is tried whatever it takes
        assert search(bench, SPACE, SearchConfig(seconds=in_all[-1]), asked=asked, seed=7, history=trials) == trials
    assert in_all[0] < in_all[1] <= 40.0
    assert in_all[1] < in_all[2] <= 80.0


def test_a_trial_under_way_when_time_is_up_is_dropped(data: Data) -> None:
    kept: list[Trial] = []
    config = SearchConfig(n_trials=50, seconds=40.0)
    asked = point_of(MODEL, SPACE)
    trials = search(bench_of(data), SPACE, config, asked=asked, seed=7, clock=seconds_of(1.0), on_trial=kept.append)
    assert 1 < len(trials) < 50
    assert tuple(kept) == trials
    assert all(trial.state is not TrialState.PRUNED for trial in trials[:N_UNPRUNED_TRIALS])


def test_parameters_that_cannot_be_fitted_are_told_and_the_search_goes_on(data: Data) -> None:
    bench = bench_of(data)

    def make(params: Mapping[str, Any]) -> Learner:
        if params.get("max_depth", 6) < 4:
            raise FloatingPointError("too shallow")
        return bench.make_learner(params)

    trials = run(dataclasses.replace(bench, make_learner=make), n_trials=12)
    failed = {trial.number for trial in trials if trial.state is TrialState.FAILED}
    assert failed == {trial.number for trial in trials if trial.params["max_depth"] < 4} != set()
    assert {trial.error for trial in trials} == {None, "FloatingPointError: too shallow"}
    assert len(trials) == 12


def test_a_config_as_asked_that_cannot_be_fitted_is_no_trial(data: Data) -> None:
    def make(params: Mapping[str, Any]) -> Learner:
        raise FloatingPointError("nothing works")

    with pytest.raises(FloatingPointError):
        run(dataclasses.replace(bench_of(data), make_learner=make))


def test_progress_says_what_is_tried_and_goes_forward(data: Data) -> None:
    said: list[tuple[str, float]] = []
    trials = run(bench_of(data), n_trials=3, progress=lambda step, share: said.append((step, share)))
    shares = [share for _, share in said]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    best = min(trial.log_loss or 9 for trial in trials[:2])
    assert said[-1][0] == f"search: trial 3 of 3, best log-loss {best:.4f}"


def searched(data: Data, model: ModelConfig, **config: Any) -> TrainingResult:
    assert data.frame.churned is not None
    return train(
        data.frame,
        data.sides,
        data.features,
        model,
        TrainingConfig(shap=False, search=SearchConfig(**config)),
        profile_rows=np.ones(len(data.frame), dtype=np.bool_),
        progress=lambda _step, _share: None,
        n_threads=2,
    )


def test_a_search_finds_what_was_planted(data: Data) -> None:
    """Risk hangs on an interaction, which trees of depth 1 cannot see."""
    model = ModelConfig(model_type=ModelType.LIGHTGBM, lightgbm_params={"n_estimators": 30, "max_depth": 1})
    space = {"max_depth": SearchRange(choices=[1, 2, 4])}
    found = searched(data, model, n_trials=6, space=space)
    assert found.search is not None
    best = found.search.best
    assert best.params["max_depth"] > 1
    assert found.primary.bundle.params["max_depth"] == best.params["max_depth"]
    assert best.log_loss == found.primary.round_losses.min()
    told = found.search.to_json()
    assert told["best_log_loss"] < told["log_loss_as_asked"] - 0.02
    assert "flattered" in told["summary"]
    assert found.primary.auc > data.train(model).primary.auc + 0.02


def test_the_test_side_has_no_part_in_it(data: Data) -> None:
    assert data.frame.churned is not None
    flipped = np.where(data.sides == "test", 1 - data.frame.churned, data.frame.churned)
    other = dataclasses.replace(data, frame=dataclasses.replace(data.frame, churned=flipped))
    space = {"max_depth": SearchRange(low=1, high=6), "learning_rate": SearchRange(low=0.01, high=0.5, log=True)}
    before, after = (searched(each, MODEL, n_trials=8, space=space).search for each in (data, other))
    assert before is not None
    assert after is not None
    assert timeless(before.trials) == timeless(after.trials)


@pytest.mark.parametrize("model_type", DEFAULT_SPACES)
def test_each_kind_can_be_searched_in_its_default_space(model_type: str, data: Data) -> None:
    found = searched(data, ModelConfig(model_type=ModelType(model_type)), n_trials=2)
    assert found.search is not None
    assert [trial.state for trial in found.search.trials] == [TrialState.COMPLETE] * 2
    assert found.search.trials[1].params.keys() == DEFAULT_SPACES[model_type].keys()
    assert found.search.best.log_loss == found.primary.round_losses.min()


@pytest.mark.parametrize("model_type", ["xgboost", "lightgbm", "random_forest", "mlp"])
def test_the_default_spaces_hold_the_defaults(model_type: str) -> None:
    """So that the sampler learns from the first trial too."""
    space = DEFAULT_SPACES[model_type]
    asked = point_of(ModelConfig(model_type=ModelType(model_type)), space)
    assert all(values.holds(asked[name]) for name, values in space.items())


@pytest.mark.parametrize("model_type", ["xgboost", "lightgbm"])
def test_values_not_given_are_those_that_the_library_takes(model_type: str, data: Data) -> None:
    X, y, _ = development(data)
    model = ModelConfig(model_type=ModelType(model_type))
    spelt_out = with_params(model, point_of(model, DEFAULT_SPACES[model_type]))
    short, long = (
        make_learner(ModelKind(model_type), each).fit(X, y, n_rounds=10, n_threads=1) for each in (model, spelt_out)
    )
    np.testing.assert_array_equal(short.margins(X), long.margins(X))
