"""The recipes of models trained on frames, refitted in folds over all rows of the training, as the service does it."""

import os
from dataclasses import dataclass, replace

import numpy as np

from app.face.columns import FrameError, read_known_columns
from app.face.model import ChurnModel
from app.face.training import TrainedModel
from app.ml.contenders import Contender, RefitError, cross_fit, make_recipe, too_many_rows, wants_cross_fit
from app.ml.frame import Frame
from app.ml.judgement import CrossFit

_NO_RECIPE = (
    "What is in production was given as a ChurnModel, whose recipe is not known and can't be refitted in folds: these "
    "figures are of the test side alone. Give the TrainedModel."
)


@dataclass(frozen=True)
class Refit:
    """What came of it: the folds, or None; and where they were wanted and could not be had, why, in sentences."""

    fit: CrossFit | None = None
    notes: tuple[str, ...] = ()


def refit_recipes(result: TrainedModel, production: TrainedModel | ChurnModel | None) -> Refit:
    """Refit them where the test side of the training holds too few churners.

    Raises
    ------
    FrameError
        Where the rows are no good for that.
    """
    frame = result.rows.frame
    if not wants_cross_fit(frame, int(np.asarray(result.test.churned).sum())):
        return Refit()
    if too_many := too_many_rows(len(frame)):
        return Refit(notes=(too_many,))
    if isinstance(production, ChurnModel):
        return Refit(notes=(_NO_RECIPE,))
    contenders = {"model": _contender("The model", result, frame)}
    if production is not None:
        try:
            contenders["production"] = _contender("Production", production, _as_read(production, frame))
        except FrameError as error:
            told = f"The recipe in production can't be refitted on these rows, as {error}"
            return Refit(notes=(f"{told}: these figures are of the test side alone.",))
    try:
        fit = cross_fit(contenders, seed=result.split_seed, n_threads=os.cpu_count() or 1, progress=_tell_nobody)
    except RefitError as error:
        raise FrameError(f"{error}; EvaluationConfig(evidence='test_side') judges on the test side alone") from error
    return Refit(fit)


def _contender(name: str, result: TrainedModel, frame: Frame) -> Contender:
    found = result.found_params
    recipe = make_recipe(result.config, found, result.training.n_folds, result.features)
    return Contender(name, recipe, frame, searched=bool(found))


def _as_read(other: TrainedModel, frame: Frame) -> Frame:
    """The rows with the features as another model learned them; the very frame where that makes no difference."""
    table = read_known_columns(frame.features, other.features)
    same = table.schema.equals(frame.features.select(table.column_names).schema)
    return frame if same else replace(frame, features=table)


def _tell_nobody(share: float) -> None:
    """Nobody listens."""
