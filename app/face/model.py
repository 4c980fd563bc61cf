"""A fitted model on people's frames: probabilities, reasons, tiers, a file."""

import os
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from app.face.columns import Rows, index_of, read_known_columns
from app.ml.bundle import Bundle
from app.ml.frame import Feature, Floats
from app.ml.profile import SCORE_NAME
from app.ml.scorer import Scorer
from app.ml.tiers import tier_cutoffs, tiers_at
from app.schemas.config import ScoringConfig


class ChurnModel:
    """A model with its encoder and calibrator, ready to score frames; safe to use from several threads.

    Made by `ModelTrainer.train`, `ModelRegistry.load_production_model` or `ChurnModel.load`.

    Parameters
    ----------
    bundle : Bundle
        What is stored of a model: data only, no code.
    version : int or None
        Its number in a registry.

    Examples
    --------
    >>> model.feature_names
    ('tenure', 'plan', 'autopay')
    >>> model.predict_proba(X.head(2)).shape
    (2, 2)
    """

    def __init__(self, bundle: Bundle, *, version: int | None = None) -> None:
        self.version = version
        self._scorer = Scorer(bundle, n_threads=os.cpu_count() or 1)

    @property
    def bundle(self) -> Bundle:
        """What is stored of it."""
        return self._scorer.bundle

    @property
    def sha256(self) -> str:
        """The hash of its bytes: the same data, parameters and seed give the same one."""
        return self.bundle.sha256

    @property
    def features(self) -> tuple[Feature, ...]:
        """The columns it reads."""
        return tuple(each.feature for each in self.bundle.encoder.features)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the columns it reads; others of a frame are passed over."""
        return self.bundle.encoder.names

    def read(self, X: Rows) -> pa.Table:
        """The columns it reads, out of a frame.

        Raises
        ------
        FrameError
            Naming the columns that are missing, or one that holds something else than at training.
        """
        return read_known_columns(X, self.features)

    def churn_probability(self, X: Rows) -> "pd.Series[float]":
        """The calibrated probability that each account churns, under the index of X.

        Examples
        --------
        >>> model.churn_probability(X).between(0, 1).all()
        np.True_
        """
        return pd.Series(self._scorer.score(self.read(X)), index=index_of(X), name=SCORE_NAME)

    def predict_proba(self, X: Rows) -> Floats:
        """Calibrated probabilities of staying and of churning, as scikit-learn has them: shape (n, 2).

        Examples
        --------
        >>> model.predict_proba(X)[:, 1].round(6).tolist() == model.churn_probability(X).round(6).tolist()
        True
        """
        p = self._scorer.score(self.read(X))
        return np.column_stack([1 - p, p])

    def explain(self, X: Rows, *, n_reasons: int = 3) -> pd.DataFrame:
        """Why each account is at risk: a row for each reason, the largest effect first.

        Parameters
        ----------
        X : DataFrame or Table of n rows
            The accounts.
        n_reasons : int
            At most so many for each account.

        Returns
        -------
        DataFrame
            Under the index of X, repeated: `feature`, `value` (as people read it), `contribution` (SHAP value: what
            the feature adds to the log-odds before calibration) and `text`.

        Examples
        --------
        >>> list(model.explain(X.head(2), n_reasons=1).columns)
        ['feature', 'value', 'contribution', 'text']
        """
        _, reasons = self._scorer.score_and_explain(self.read(X), n_reasons)
        told: pd.DataFrame = pa.Table.from_struct_array(reasons.flatten()).to_pandas()
        told.index = index_of(X)[pc.list_parent_indices(reasons).to_numpy(zero_copy_only=False)]
        return told

    def risk_tiers(self, X: Rows, scoring: ScoringConfig | None = None) -> "pd.Series[Any]":
        """`high`, `medium` or `low` for each account, under the index of X.

        Examples
        --------
        >>> set(model.risk_tiers(X)) <= {"high", "medium", "low"}
        True
        """
        p = self._scorer.score(self.read(X))
        policy = (scoring or ScoringConfig()).tiers
        high, medium = tier_cutoffs(p, policy, self.bundle.development_churn_rate)
        return pd.Series(tiers_at(p, high, medium), index=index_of(X), name="risk_tier")

    def save(self, path: str | Path) -> Path:
        """Write it to a file: data only, nothing that is run when it is read."""
        target = Path(path)
        target.write_bytes(self.bundle.to_bytes())
        return target

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; the stored examples must score as they did at training.

        Raises
        ------
        app.ml.bundle.BundleError
            A ValueError: the file is damaged, or no model.

        Examples
        --------
        >>> path = model.save(folder / "churn.bundle")
        >>> ChurnModel.load(path).sha256 == model.sha256
        True
        """
        model = cls(Bundle.from_bytes(Path(path).read_bytes()))
        model._scorer.probe()
        return model

    def __repr__(self) -> str:
        numbered = "" if self.version is None else f"version {self.version}, "
        return f"ChurnModel({numbered}{self.bundle.kind.value}, {len(self.features)} features)"
