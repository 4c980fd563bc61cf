"""Search for better parameters by Optuna, one trial at a time, so that it can stop anywhere and go on.

Optuna proposes, nothing else: what trial k tries depends on the seed, on k and on the trials before it alone, and those
are plain records that a caller stores and hands back. It is imported where it is used.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.ml.bench import Bench, Outcome
from app.ml.kinds.models import ModelKind, make_learner
from app.ml.rows import Rows
from app.ml.search_space import Dimension, Space, point_of, resolve_space, with_params
from app.ml.trials import Searched, Trial, TrialState, is_hopeless
from app.schemas.config import MAX_TRIALS, ModelConfig, SearchConfig, TrainingConfig


class _OutOfTime(Exception):
    """The budget of seconds ended in the middle of a trial."""


def search_model(
    rows: Rows,
    model: ModelConfig,
    training: TrainingConfig,
    *,
    history: Sequence[Trial],
    on_trial: Callable[[Trial], None],
    progress: Callable[[str, float], None],
    n_threads: int,
) -> tuple[ModelConfig, Searched | None]:
    """The config with the parameters that a search finds best, and what it tried; where none is asked for, as it is.

    Only the development rows have a part in it.
    """
    if training.search is None:
        return model, None
    space, kind = resolve_space(model, training.search), ModelKind(model.model_type.value)
    bench = Bench(
        np.ascontiguousarray(rows.X[rows.development]),
        rows.y[rows.development],
        rows.folds,
        lambda params: make_learner(kind, with_params(model, params)),
        n_threads,
    )
    trials = search(
        bench,
        space,
        training.search,
        asked=point_of(model, space),
        seed=model.seed,
        history=history,
        on_trial=on_trial,
        progress=progress,
    )
    found = Searched(space, trials)
    return (with_params(model, found.best.params) if found.best.number else model), found


@dataclass(frozen=True)
class _Budget:
    """What a search may use: trials, and seconds, of which some were used by earlier attempts."""

    config: SearchConfig
    used_before: float
    clock: Callable[[], float]
    began: float

    @property
    def is_out_of_time(self) -> bool:
        return self.config.seconds is not None and self._seconds >= self.config.seconds

    def share(self, n_trials: float) -> float:
        """The share that is used after so many trials; from 1 on no other is begun."""
        of_time = self._seconds / self.config.seconds if self.config.seconds else 0.0
        return max(of_time, n_trials / (self.config.n_trials or MAX_TRIALS))

    @property
    def _seconds(self) -> float:
        return self.used_before + self.clock() - self.began


def search(
    bench: Bench,
    space: Space,
    config: SearchConfig,
    *,
    asked: Mapping[str, Any],
    seed: int,
    history: Sequence[Trial] = (),
    on_trial: Callable[[Trial], None] = lambda _trial: None,
    progress: Callable[[str, float], None] = lambda _step, _share: None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Trial, ...]:
    """Try parameters until the budget is used; the first trial is the config as asked, and always made.

    A search that was cut off and goes on from its `history` ends, under a budget of trials, with the same trials as one
    that was not. A trial that is under way when time is up is dropped.

    Parameters
    ----------
    bench : Bench
        The development rows, and what makes a learner of parameters.
    space : mapping
        What may vary.
    config : SearchConfig
        The budget.
    asked : mapping
        The values of the config as asked, as far as they are known.
    seed : int
        Of the proposals.
    history : sequence of Trial
        Those of earlier attempts; what was tried on other rows counts as not tried.
    on_trial : callable
        Told each new trial as it ends.
    progress : callable
        Told in words what is tried, and the share of the budget that is used, 0..1.
    clock : callable
        Seconds, from whatever beginning.
    """
    rows_hash = bench.hash()
    trials = [trial for trial in history if trial.rows_hash == rows_hash]
    budget = _Budget(config, sum(trial.seconds for trial in trials), clock, clock())
    while not trials or budget.share(len(trials)) < 1:
        params = propose(space, trials, seed=seed) if trials else asked
        try:
            trial = _try(bench, params, trials, budget, rows_hash=rows_hash, progress=progress)
        except _OutOfTime:
            break
        trials.append(trial)
        on_trial(trial)
    return tuple(trials)


def _try(
    bench: Bench,
    params: Mapping[str, Any],
    trials: Sequence[Trial],
    budget: _Budget,
    *,
    rows_hash: str,
    progress: Callable[[str, float], None],
) -> Trial:
    """Make the trial with number len(trials)."""
    number, words, began = len(trials), _words(trials, budget.config), budget.clock()

    def goes_on(fold_losses: Sequence[float]) -> bool:
        progress(words, min(budget.share(number + len(fold_losses) / bench.n_folds), 1.0))
        if number and budget.is_out_of_time:
            raise _OutOfTime
        return not number or not is_hopeless(fold_losses, trials)

    try:
        outcome = bench.evaluate(params if number else {}, goes_on=goes_on)
    except (MemoryError, _OutOfTime):
        raise
    except Exception as error:  # whatever the libraries raise: it is stored as what became of these parameters
        if not number:
            raise  # the config as asked can't be fitted, searched or not
        outcome = Outcome((), error=f"{type(error).__name__}: {error}"[:500])
    return Trial(
        number=number,
        params=dict(params),
        state=_state(outcome),
        log_loss=outcome.log_loss,
        fold_losses=outcome.fold_losses,
        n_rounds=outcome.n_rounds,
        seconds=budget.clock() - began,
        rows_hash=rows_hash,
        error=outcome.error,
    )


def _state(outcome: Outcome) -> TrialState:
    if outcome.error is not None:
        return TrialState.FAILED
    return TrialState.PRUNED if outcome.log_loss is None else TrialState.COMPLETE


def _words(trials: Sequence[Trial], config: SearchConfig) -> str:
    of = f" of {config.n_trials}" if config.n_trials else ""
    losses = [trial.log_loss for trial in trials if trial.log_loss is not None]
    best = f", best log-loss {min(losses):.4f}" if losses else ""
    return f"search: trial {len(trials) + 1}{of}{best}"


def propose(space: Space, trials: Sequence[Trial], *, seed: int) -> dict[str, Any]:
    """What the next trial tries: by the trials so far, at random where they are few.

    References
    ----------
    Bergstra et al. (2011), Algorithms for hyper-parameter optimization: the tree-structured Parzen estimator.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    [of_this_trial] = np.random.SeedSequence([seed, len(trials)]).generate_state(1)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=int(of_this_trial)))
    distributions = {name: _distribution(values) for name, values in space.items()}
    study.add_trials([_told(trial, space, distributions) for trial in trials if _is_of(trial, space)])
    return study.ask(distributions).params


def _is_of(trial: Trial, space: Space) -> bool:
    """Whether it tells something of the space: the config as asked may lie outside."""
    return all(values.holds(trial.params.get(name)) for name, values in space.items())


def _told(trial: Trial, space: Space, distributions: Mapping[str, Any]) -> Any:
    """The trial as Optuna knows it."""
    from optuna.trial import TrialState as Theirs
    from optuna.trial import create_trial

    states = {TrialState.COMPLETE: Theirs.COMPLETE, TrialState.PRUNED: Theirs.PRUNED, TrialState.FAILED: Theirs.FAIL}
    means = np.cumsum(trial.fold_losses) / np.arange(1, len(trial.fold_losses) + 1)
    return create_trial(
        state=states[trial.state],
        value=trial.log_loss,
        params={name: trial.params[name] for name in space},
        distributions=dict(distributions),
        intermediate_values={at: float(mean) for at, mean in enumerate(means)},
    )


def _distribution(values: Dimension) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if values.low is None or values.high is None:
        return CategoricalDistribution(values.choices)
    if isinstance(values.low, int) and isinstance(values.high, int):
        return IntDistribution(values.low, values.high, log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)
