"""Evidence where the test side holds too few churners: the recipes of versions, refitted in the same folds."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import Conflict
from app.ml.contenders import Contender, Progress, RefitError, cross_fit, make_recipe
from app.ml.cross_fitting import Recipe
from app.ml.frame import Feature, FeatureKind, Frame
from app.ml.judgement import CrossFit
from app.schemas.config import ModelConfig, TrainingConfig
from app.tables import TrainedModel, Training

Plan = Mapping[str, Any] | None
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
        config = self.training.config
        return make_recipe(
            ModelConfig.model_validate(config["model"]),
            self.found_params,
            TrainingConfig.model_validate(config["training"]).n_folds,
            [Feature(each["name"], FeatureKind(each["kind"])) for each in self.trained.report["features"]],
        )

    def on(self, frame: Frame) -> Contender:
        """It, to be refitted on these rows."""
        is_baseline = self.trained.role == "baseline"
        return Contender(self.name, self.recipe, frame, is_baseline, searched=bool(self.found_params))


async def refit_versions(
    frame_of: FrameOf, versions: Mapping[str, Made], *, seed: int, n_threads: int, progress: Progress
) -> CrossFit:
    """Refit the candidate (`model`), and where there are any `production` and `anchor`, in the same folds.

    `frame_of` gives the same rows, in the same order, as a plan builds them.
    """
    contenders = await _contenders(frame_of, versions)
    try:
        return await asyncio.to_thread(cross_fit, contenders, seed=seed, n_threads=n_threads, progress=progress)
    except RefitError as error:
        hint = 'Ask for the figures of the test side alone: {"evaluation": {"evidence": "test_side"}}.'
        raise Conflict(f"{error}.", hint=hint) from error


async def _contenders(frame_of: FrameOf, versions: Mapping[str, Made]) -> dict[str, Contender]:
    """The versions, each on its frame; those of an equal plan share one."""
    plans: list[Plan] = []
    frames: list[Frame] = []
    for made in versions.values():
        if made.plan not in plans:
            frames.append(await frame_of(made.plan))
            plans.append(made.plan)
    return {name: made.on(frames[plans.index(made.plan)]) for name, made in versions.items()}
