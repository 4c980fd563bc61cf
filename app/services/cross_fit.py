"""Evidence where the test side holds too few churners: recipes refitted in the same folds over all labelled rows."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from app.errors import Conflict
from app.ml.checks.rules import MIN_CHURNERS
from app.ml.cross_fitting import Recipe, Refitted, deal_repeats, refit
from app.ml.frame import Feature, FeatureKind, Floats, Frame
from app.ml.gate import FEW_CHURNERS
from app.ml.judgement import CrossFit
from app.ml.search_space import with_params
from app.schemas.config import ModelConfig, TrainingConfig
from app.stats.arrays import Ints
from app.tables import TrainedModel, Training

# 20 trainings of each recipe: at so many rows and 30 columns about 120 seconds of one core with xgboost's defaults.
MAX_ROWS = 50_000
Plan = Mapping[str, Any] | None
Progress = Callable[[float], None]
FrameOf = Callable[[Plan], Awaitable[Frame]]


@dataclass(frozen=True)
class Made:
    """A version to refit: its model, the training that made it, and the plan its features are built by."""

    name: str
    trained: TrainedModel
    training: Training
    plan: Plan

    @property
    def found_params(self) -> Mapping[str, Any]:
        """The parameters that a search found better than those it was asked with; empty where there are none."""
        search = self.trained.report.get("search")
        return search["best_params"] if search and search["best_trial"] else {}

    @property
    def recipe(self) -> Recipe:
        """What the training was asked for, with the parameters it found, as far as it decides a probability."""
        config, found = self.training.config, self.found_params
        model = ModelConfig.model_validate(config["model"])
        told = self.trained.report["features"]
        return Recipe(
            with_params(model, found) if found else model,
            TrainingConfig.model_validate(config["training"]).n_folds,
            tuple(Feature(each["name"], FeatureKind(each["kind"])) for each in told),
        )


def too_many_rows(n: int) -> str:
    """Why nothing is refitted."""
    return (
        f"Refitting the recipe in folds takes {MAX_ROWS:,} labelled rows at most, there are {n:,}: "
        "these figures are of the test side alone."
    )


def wants_cross_fit(frame: Frame, n_test_churners: int) -> bool:
    """The test side holds under 200 churners, and all rows together enough accounts to tell anything."""
    if n_test_churners >= FEW_CHURNERS:
        return False
    churned = np.asarray(frame.churned, dtype=np.float64) == 1
    return len(frame.accounts.filter(pa.array(churned)).unique()) >= MIN_CHURNERS


class CrossFitter:
    """Refits recipes in the same folds; equal ones once."""

    def __init__(self, frame_of: FrameOf, folds: Ints, *, n_threads: int) -> None:
        self._frame_of = frame_of
        self._folds = folds
        self._n_threads = n_threads
        self._done: list[tuple[Recipe, Any, Refitted]] = []

    async def refit(self, made: Made, progress: Progress) -> Refitted:
        """The scores of a version's recipe, and of the baseline beside it."""
        recipe = made.recipe
        for other, plan, refitted in self._done:
            if (other, plan) == (recipe, made.plan):
                progress(1.0)
                return refitted
        frame = await self._frame_of(made.plan)
        try:
            refitted = await asyncio.to_thread(
                refit, frame, self._folds, recipe, n_threads=self._n_threads, progress=progress
            )
        except ValueError as error:
            if not type(error).__module__.startswith("app.ml"):
                raise
            hint = 'Ask for the figures of the test side alone: {"evaluation": {"evidence": "test_side"}}.'
            raise Conflict(f"{made.name} can't be refitted in folds of these rows: {error}.", hint=hint) from error
        self._done.append((recipe, made.plan, refitted))
        return refitted

    async def scores(self, made: Made, progress: Progress) -> Floats:
        """The scores of the version's own recipe: that of the baseline where it is one."""
        refitted = await self.refit(made, progress)
        return refitted.baseline if made.trained.role == "baseline" else refitted.primary


async def cross_fit(
    frame: Frame,
    frame_of: FrameOf,
    versions: dict[str, Made],
    *,
    seed: int,
    n_threads: int,
    progress: Progress,
) -> CrossFit:
    """Refit the candidate (`model`), and where there are any `production` and `anchor`, in the same folds.

    `frame_of` gives the rows of `frame`, in its order, as a plan builds them.
    """
    folds = await asyncio.to_thread(deal_repeats, frame, seed=seed)
    fitter = CrossFitter(frame_of, folds, n_threads=n_threads)
    scores: dict[str, Floats] = {}
    for at, (name, made) in enumerate(versions.items()):

        def part(share: float, at: int = at) -> None:
            progress((at + share) / len(versions))

        scores[name] = await fitter.scores(made, part)
    baseline = (await fitter.refit(versions["model"], lambda share: None)).baseline
    return CrossFit(
        y=np.asarray(frame.churned, dtype=np.float64),
        folds=folds,
        p_model=scores["model"],
        p_baseline=baseline,
        p_production=scores.get("production"),
        p_anchor=scores.get("anchor"),
        dated=frame.as_of is not None and len(frame.as_of.unique()) > 1,
        searched=tuple(name for name, made in versions.items() if made.found_params),
    )
