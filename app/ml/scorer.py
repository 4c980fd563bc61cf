"""Scoring with a bundle: tables in chunks, or one account at a time."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from app.ml.bundle import Bundle, BundleError
from app.ml.encoding import EncodingError, Matrix, Value
from app.ml.explain import Reason, contributions, row_reasons, table_reasons
from app.ml.frame import FeatureKind, Floats
from app.ml.kinds.model_files import read_model

_ARROW_TYPES = {
    FeatureKind.NUMERIC: pa.float64(),
    FeatureKind.BOOLEAN: pa.bool_(),
    FeatureKind.CATEGORICAL: pa.string(),
}
_PROBE_TOLERANCE = 1e-6  # boosters sum in float32


@dataclass(frozen=True)
class ScoredRow:
    """One account's calibrated churn probability, and why."""

    probability: float
    reasons: tuple[Reason, ...]


class Scorer:
    """A bundle made ready; safe to use from several threads, for nothing in it changes.

    Parameters
    ----------
    bundle : Bundle
    n_threads : int
        For tables; a single row is always scored by one thread.

    Raises
    ------
    BundleError
        Where the model's own files can't be read, or wants other columns than the encoder gives.
    """

    def __init__(self, bundle: Bundle, *, n_threads: int = 1) -> None:
        self.bundle = bundle
        try:
            self._model = read_model(bundle.kind, bundle.files, n_threads=n_threads)
            self._single = read_model(bundle.kind, bundle.files, n_threads=1)
            self._single.margins(np.zeros((1, bundle.encoder.width), dtype=np.float32))
        except Exception as error:  # each library has exceptions of its own for bad files
            raise BundleError(f"the model in the bundle can't be used: {error}") from error

    @property
    def features(self) -> pa.Schema:
        """The columns a table must have, with their types."""
        return pa.schema([(f.feature.name, _ARROW_TYPES[f.feature.kind]) for f in self.bundle.encoder.features])

    def score(self, features: pa.Table) -> Floats:
        """Calibrated churn probabilities, 0..1, of shape (n,).

        Raises
        ------
        app.ml.encoding.EncodingError
            Where a column is missing or of another kind.
        """
        return self._probabilities(self.bundle.encoder.encode(features))

    def _probabilities(self, X: Matrix) -> Floats:
        if not len(X):
            return np.empty(0)
        return self.bundle.calibrator.apply(self._model.margins(X))

    def score_and_explain(self, features: pa.Table, n_reasons: int) -> tuple[Floats, pa.ListArray]:
        """Probabilities of shape (n,), and per row a list of `explain.REASON_TYPE`, largest effect first.

        A contribution is what the feature adds to the model's log-odds before calibration; calibration never falls,
        so it keeps their order.
        """
        encoder = self.bundle.encoder
        X = encoder.encode(features)
        by_feature = np.zeros((len(X), len(encoder.features)))
        if n_reasons and len(X):
            by_feature = contributions(self._model, X, encoder)
        return self._probabilities(X), table_reasons(by_feature, features, encoder, n_reasons)

    def score_one(self, row: Mapping[str, Value], n_reasons: int = 0) -> ScoredRow:
        """One account; a feature that is left out, or None, is missing.

        Raises
        ------
        app.ml.encoding.EncodingError
            Where a value is of another kind.
        """
        encoder = self.bundle.encoder
        X = encoder.encode_row(row)
        probability = float(self.bundle.calibrator.apply(self._single.margins(X))[0])
        if not n_reasons:
            return ScoredRow(probability, ())
        by_feature = contributions(self._single, X, encoder)[0]
        values = [row.get(name) for name in encoder.names]
        return ScoredRow(probability, row_reasons(by_feature, values, encoder, n_reasons))

    def probe(self) -> None:
        """Score the stored examples, alone and as a table.

        Raises
        ------
        BundleError
            Where they don't come out as they did at training.
        """
        probes = self.bundle.probes
        expected = np.array([each.probability for each in probes])
        rows = [{name: each.features.get(name) for name in self.features.names} for each in probes]
        try:
            alone = np.array([self.score_one(row).probability for row in rows])
            together = self.score(pa.Table.from_pylist(rows, schema=self.features))
        except (EncodingError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise BundleError(f"the stored examples can't be scored: {error}") from error
        worst = max(np.abs(alone - expected).max(initial=0), np.abs(together - expected).max(initial=0))
        if not worst <= _PROBE_TOLERANCE:
            raise BundleError(f"the stored examples are scored {worst:.2g} away from what they were at training")


def score_table(scorer: Scorer, table: pa.Table, n_reasons: int) -> pa.Table:
    """Arrow table in, scored Arrow table out: a pure function of the bundle, to map over chunks or partitions.

    Parameters
    ----------
    scorer : Scorer
        The bundle made ready.
    table : pyarrow table of n rows
        The bundle's features, and columns such as `account_id` and `as_of` that are carried over.
    n_reasons : int
        At most so many reasons per row; 0 for none.

    Returns
    -------
    pyarrow table of n rows
        The columns that are no features, then `churn_probability` (double) and `reasons` (list of struct).
    """
    probabilities, reasons = scorer.score_and_explain(table, n_reasons)
    carried = table.drop_columns([name for name in scorer.features.names if name in table.column_names])
    scored = carried.append_column("churn_probability", pa.array(probabilities, pa.float64()))
    return scored.append_column("reasons", reasons)
