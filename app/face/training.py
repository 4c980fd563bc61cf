"""Training on frames: the service's own trainer, leak probes included, without service or database."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from app.face.columns import FrameError, Rows, Values
from app.face.model import ChurnModel
from app.face.rows import DealtFrame, LabelledFrame, deal, keep_sides, read_labelled
from app.ml.frame import Feature, Floats, Frame
from app.ml.leaks.find import find_leaks, find_twins
from app.ml.leaks.findings import Finding, sort_findings
from app.ml.trainer import TrainingResult, train
from app.schemas.config import ModelConfig, TrainingConfig
from app.services.leaks import SEED, require_no_leaks


@dataclass(frozen=True, repr=False, kw_only=True)
class TrainedModel(TrainingResult):
    """A model and its baseline, trained on a frame; everything that a training of the service reports.

    Attributes
    ----------
    config, training : what it was trained with
    features : the columns it was given to learn from
    rows : the rows that were used, and their sides
    split_seed : deals folds over all rows, where the gate wants them
    leaks : what the probes found and did not stop at
    named : the caller said whose rows they are
    model : the model, to score and explain with
    baseline_model : its baseline, likewise
    """

    config: ModelConfig
    training: TrainingConfig
    features: tuple[Feature, ...]
    rows: DealtFrame
    split_seed: int
    leaks: tuple[Finding, ...]
    named: bool
    model: ChurnModel
    baseline_model: ChurnModel

    @property
    def test(self) -> Frame:
        """The rows of the test side, of which nothing was learned."""
        return self.rows.frame.take(np.flatnonzero(self.rows.sides == "test"))

    @property
    def found_params(self) -> Mapping[str, Any]:
        """The parameters that a search found better than those it was asked with; empty where there are none."""
        return self.search.best.params if self.search and self.search.best.number else {}

    def predict_proba(self, X: Rows) -> Floats:
        """Calibrated probabilities of staying and of churning: shape (n, 2)."""
        return self.model.predict_proba(X)

    def explain(self, X: Rows, *, n_reasons: int = 3) -> pd.DataFrame:
        """Why each account is at risk: see `ChurnModel.explain`."""
        return self.model.explain(X, n_reasons=n_reasons)

    def save(self, path: str | Path) -> Path:
        """Write the model to a file, for `ChurnModel.load`."""
        return self.model.save(path)

    def __repr__(self) -> str:
        kinds = self.primary.bundle.kind.value, self.baseline.bundle.kind.value
        gain = self.improvement_over_baseline
        return f"TrainedModel({kinds[0]}, test AUC {self.primary.auc:.3f}, {gain:+.3f} over {kinds[1]})"


class ModelTrainer:
    """Trains a model and its baseline on a frame.

    Parameters
    ----------
    config : ModelConfig
        Kind, parameters and seed.
    training : TrainingConfig
        Folds, split, SHAP, features to leave out, leaks to accept. Experiment and tags are for the service.

    Examples
    --------
    >>> result = ModelTrainer(ModelConfig(model_type="logistic"), TrainingConfig(shap=False)).train(X, y)
    >>> 0.5 < result.metrics["auc"] < 1
    True
    >>> result.n_rows
    {'train': 900, 'validation': 300, 'test': 300}
    """

    def __init__(self, config: ModelConfig | None = None, training: TrainingConfig | None = None) -> None:
        self.config = ModelConfig.model_validate({} if config is None else config)
        self.training = TrainingConfig.model_validate({} if training is None else training)

    def train(
        self,
        X: Rows,
        y: Values,
        *,
        accounts: Values | None = None,
        as_of: Values | None = None,
        sides: Values | None = None,
        horizon_days: int = 0,
        split_seed: int = 1,
        progress: Callable[[str, float], None] | None = None,
    ) -> TrainedModel:
        """Train on the rows of X; 60/20/20 of them are for training, validation and test.

        Parameters
        ----------
        X : DataFrame or pyarrow Table of n rows
            Columns by dtype: numbers, booleans, text or categories. Keep ids and dates out of it. Its index is no
            feature.
        y : Series, array or list of n
            1 or True churned, 0 or False stayed.
        accounts : Series, array or list of n, optional
            Whose row it is; rows of one account stay together. Without it each row is an account of its own.
        as_of : likewise, optional
            When the features were seen. With two instants or more the split is by time, the newest are for the test.
        sides : likewise, optional
            'train', 'validation' or 'test' for each row, where the split is made outside.
        horizon_days : int
            Days after `as_of` in which a churn counts: a gap so long lies before validation and test.
        split_seed : int
            Deals the accounts of a random split.
        progress : callable, optional
            Told the step and the share of it that is done.

        Raises
        ------
        FrameError
            A ValueError: what can't be used as it is, naming the column or argument.
        TrainingError, app.ml.split.SplitError, app.ml.kinds.params.ParamsError
            ValueErrors: too few churners, or parameters that can't be used.
        app.errors.LeaksFound
            Where a column knows the outcome; leave it out, or accept the finding by name in `accept_leaks`.
        """
        if horizon_days < 0:
            raise FrameError(f"horizon_days must not be negative; it is {horizon_days}")
        rows = read_labelled(X, y, accounts, as_of)
        features = _without(rows.features, self.training.exclude_features)
        if sides is None:
            dealt = deal(rows, self.training.split, horizon_days=horizon_days, split_seed=split_seed)
        else:
            dealt = keep_sides(rows, sides, X, horizon_days=horizon_days)
        leaks = self._probe(rows, dealt, features)
        found = require_no_leaks(leaks, self.training.accept_leaks)
        result = train(
            dealt.frame,
            dealt.sides,
            features,
            self.config,
            self.training,
            profile_rows=dealt.profile_rows,
            progress=progress or _tell_nobody,
            n_threads=os.cpu_count() or 1,
        )
        told = {each.name: getattr(result, each.name) for each in fields(TrainingResult)}
        return TrainedModel(
            **told | {"warnings": (*dealt.warnings, *found, *result.warnings)},
            config=self.config,
            training=self.training,
            features=features,
            rows=dealt,
            split_seed=split_seed,
            leaks=leaks,
            named=rows.named,
            model=ChurnModel(result.primary.bundle),
            baseline_model=ChurnModel(result.baseline.bundle),
        )

    def _probe(self, rows: LabelledFrame, dealt: DealtFrame, features: Sequence[Feature]) -> tuple[Finding, ...]:
        """The leak probes of the service; numbers that stand for accounts are ours, so they tell nothing."""
        development = dealt.frame.take(np.flatnonzero(dealt.sides != "test"))
        leaks = [
            *find_leaks(development, features, seed=SEED),
            *find_twins(dealt.frame, features, dealt.sides, seed=SEED),
        ]
        return sort_findings(each for each in leaks if rows.named or each.feature != "account_id")


def _without(features: Sequence[Feature], left_out: Sequence[str]) -> tuple[Feature, ...]:
    unknown = sorted(set(left_out) - {each.name for each in features})
    if unknown:
        raise FrameError(f"exclude_features names {unknown[0]!r}, which is no column of X")
    return tuple(each for each in features if each.name not in left_out)


def _tell_nobody(step: str, share: float) -> None:
    """Nobody listens."""
