"""The recipes of a model and of its rivals, refitted in the same folds: what judges them where a test side is small."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from app.ml.checks.rules import MIN_CHURNERS
from app.ml.cross_fitting import Recipe, Refitted, deal_repeats, refit
from app.ml.frame import Feature, Floats, Frame
from app.ml.gate import FEW_CHURNERS
from app.ml.judgement import CrossFit
from app.ml.search_space import with_params
from app.schemas.config import ModelConfig

# 20 trainings of each recipe: at so many rows and 30 columns about 120 seconds of one core with xgboost's defaults.
MAX_ROWS = 50_000
Progress = Callable[[float], None]


class RefitError(ValueError):
    """A recipe that can't be refitted in folds of these rows: whose, and why."""


@dataclass(frozen=True)
class Contender:
    """A model whose recipe is to be refitted.

    Attributes
    ----------
    name : what a refusal calls it
    recipe : its own
    frame : the labelled rows, with the features as they are built for it
    is_baseline : of the two models that the recipe trains it is the baseline
    searched : a search has found parameters of the recipe
    """

    name: str
    recipe: Recipe
    frame: Frame
    is_baseline: bool = False
    searched: bool = False

    def own(self, refitted: Refitted) -> Floats:
        """The scores of the one of the two that it is."""
        return refitted.baseline if self.is_baseline else refitted.primary

    def is_fitted_like(self, other: "Contender") -> bool:
        """Refitting the one is refitting the other."""
        return self.recipe == other.recipe and self.frame is other.frame


def make_recipe(model: ModelConfig, found: Mapping[str, Any], n_folds: int, features: Sequence[Feature]) -> Recipe:
    """What was asked for, with the parameters that a search found better than those; none where it found none."""
    return Recipe(with_params(model, found) if found else model, n_folds, tuple(features))


def wants_cross_fit(frame: Frame, n_test_churners: int) -> bool:
    """The test side holds under 200 churners, and all rows together enough accounts to tell anything."""
    if n_test_churners >= FEW_CHURNERS:
        return False
    churned = np.asarray(frame.churned, dtype=np.float64) == 1
    return len(frame.accounts.filter(pa.array(churned)).unique()) >= MIN_CHURNERS


def too_many_rows(n: int) -> str | None:
    """Why nothing is refitted, where it is not."""
    if n <= MAX_ROWS:
        return None
    return (
        f"Refitting the recipe in folds takes {MAX_ROWS:,} labelled rows at most, there are {n:,}: "
        "these figures are of the test side alone."
    )


def cross_fit(contenders: Mapping[str, Contender], *, seed: int, n_threads: int, progress: Progress) -> CrossFit:
    """Refit all of them in the same folds; equal recipes on the same frame once.

    Parameters
    ----------
    contenders : mapping
        The candidate as `model`, and where there are any `production` and `anchor`. Their frames hold the same rows,
        in the same order.
    seed : int
        Deals the folds.
    n_threads : int
        Has no effect on the result.
    progress : callable
        Told the share done, 0..1.

    Raises
    ------
    RefitError
        Where the rows are no good for the recipe of one of them.
    """
    model = contenders["model"]
    with _refusing(model):
        folds = deal_repeats(model.frame, seed=seed)
    fitted: dict[str, Refitted] = {}
    for at, (name, each) in enumerate(contenders.items()):

        def part(share: float, at: int = at) -> None:
            progress((at + share) / len(contenders))

        twin = next((other for other in fitted if contenders[other].is_fitted_like(each)), None)
        with _refusing(each):
            fitted[name] = (
                fitted[twin] if twin else refit(each.frame, folds, each.recipe, n_threads=n_threads, progress=part)
            )
        part(1.0)
    scores = {name: each.own(fitted[name]) for name, each in contenders.items()}
    return CrossFit(
        y=np.asarray(model.frame.churned, dtype=np.float64),
        folds=folds,
        p_model=scores["model"],
        p_baseline=fitted["model"].baseline,
        p_production=scores.get("production"),
        p_anchor=scores.get("anchor"),
        dated=model.frame.as_of is not None and len(model.frame.as_of.unique()) > 1,
        searched=tuple(name for name, each in contenders.items() if each.searched),
    )


@contextmanager
def _refusing(contender: Contender) -> Iterator[None]:
    """The mathematics' own refusals are told with the name; any other ValueError is a bug."""
    try:
        yield
    except ValueError as error:
        if not type(error).__module__.startswith("app.ml"):
            raise
        raise RefitError(f"{contender.name} can't be refitted in folds of these rows: {error}") from error
