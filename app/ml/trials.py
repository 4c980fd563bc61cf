"""The record of a search: its trials, the best of them, and what is told of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from app.ml.search_space import Space

N_UNPRUNED_TRIALS = 5  # complete ones, before any is stopped early: Optuna's own default


class TrialState(StrEnum):
    """How a trial ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"  # stopped early, as it was worse than most
    FAILED = "failed"  # the model can't be fitted with these parameters


@dataclass(frozen=True)
class Trial:
    """One set of parameters, tried.

    Attributes
    ----------
    number : from 0, which is the config as asked
    params : a value for each parameter of the space; of trial 0 as far as they are known
    log_loss : out of fold, in nats, after recalibration, at the best common round; None unless complete
    fold_losses : log-loss of each fold's model on its own fold, at its own best round; as far as the trial came
    n_rounds : the best common round
    seconds : that it took
    rows_hash : of the rows it was tried on
    error : why it failed
    """

    number: int
    params: Mapping[str, Any]
    state: TrialState
    log_loss: float | None
    fold_losses: tuple[float, ...]
    n_rounds: int | None
    seconds: float
    rows_hash: str
    error: str | None = None


@dataclass(frozen=True)
class Searched:
    """A search that has ended: its space, and its trials in order, of which the first is complete."""

    space: Space
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The complete trial with the lowest loss; of equal ones the first."""
        complete = [trial for trial in self.trials if trial.state is TrialState.COMPLETE]
        return min(complete, key=lambda trial: (trial.log_loss, trial.number))

    @property
    def space_json(self) -> dict[str, Any]:
        """The space as a caller would write it."""
        return {name: values.to_json() for name, values in self.space.items()}

    def to_json(self) -> dict[str, Any]:
        """What is told of it."""
        counts = {f"n_{state.value}": sum(trial.state is state for trial in self.trials) for state in TrialState}
        first, best = self.trials[0], self.best
        return {
            "n_trials": len(self.trials),
            **counts,
            "seconds": sum(trial.seconds for trial in self.trials),
            "best_trial": best.number,
            "best_log_loss": best.log_loss,
            "best_params": dict(best.params),
            "log_loss_as_asked": first.log_loss,
            "params_as_asked": dict(first.params),
            "space": self.space_json,
            "summary": _sentence(first, best, len(self.trials)),
        }


def _sentence(first: Trial, best: Trial, n_trials: int) -> str:
    if best is first:
        return f"No trial of {n_trials} beats the parameters as asked (out-of-fold log-loss {first.log_loss:.4f})."
    return (
        f"The best of {n_trials} trials has out-of-fold log-loss {best.log_loss:.4f}, the parameters as asked "
        f"{first.log_loss:.4f}. The best of many is partly luck: this figure, and those of the validation rows and "
        "folds, are flattered by the choice; the test side had no part in it."
    )


def is_hopeless(fold_losses: Sequence[float], trials: Sequence[Trial]) -> bool:
    """Whether the mean loss of the folds so far is above the median of the complete trials on the same folds.

    References
    ----------
    Golovin et al. (2017), Google Vizier, section 3.2: the median stopping rule.
    """
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    if len(complete) < N_UNPRUNED_TRIALS:
        return False
    so_far = [np.mean(trial.fold_losses[: len(fold_losses)]) for trial in complete]
    return bool(np.mean(fold_losses) > np.median(so_far))
