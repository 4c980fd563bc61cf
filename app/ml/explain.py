"""Why an account is at risk: exact SHAP values of the log-odds, summed by feature, and put into words."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.ml.encoding import Encoder, Matrix, Value, find_column
from app.ml.frame import Feature, Floats
from app.ml.kinds.blend import BlendModel
from app.ml.kinds.boosters import LightGBMModel, XGBoostModel
from app.ml.kinds.models import Model, ModelKind, explanations_of
from app.ml.kinds.network import NetworkModel

# Below so many rows WOODELF's fixed cost per tree exceeds the booster's own cost per row (100 trees of depth 6, timed).
_MIN_ROWS_WOODELF: dict[type[Model], int] = {XGBoostModel: 2_000, LightGBMModel: 5_000}

REASON_TYPE = pa.struct(
    [
        pa.field("feature", pa.string(), nullable=False),
        pa.field("value", pa.string()),
        pa.field("contribution", pa.float64(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
    ]
)


class ExplanationError(RuntimeError):
    """The model was fitted but can't be explained."""


@dataclass(frozen=True)
class Reason:
    """One feature's part in a score.

    Attributes
    ----------
    feature : its name
    value : as people read it; None where missing
    contribution : what it adds to the log-odds of churn
    text : the same in words
    """

    feature: str
    value: str | None
    contribution: float
    text: str


def contributions(model: Model, X: Matrix, encoder: Encoder) -> Floats:
    """SHAP values by feature, in log-odds: shape (n, number of features); exact, save those of nets.

    Trees: path-dependent TreeSHAP, by WOODELF for many rows, by the booster itself for few. Logistic: coefficient x
    (value - mean). Blend: the weighted sum of those of its components. Nets: sampled walks from a few stored rows. The
    columns of one feature are summed back.
    Each row sums to its margin minus a constant.

    References
    ----------
    Lundberg, Erion, Lee (2018), arXiv:1802.03888. Nadel, Wettenstein (2025), AAAI 2026, arXiv:2511.09376.
    """
    if isinstance(model, NetworkModel):
        return model.sampled_contributions(X, encoder.owners)
    starts = np.searchsorted(encoder.owners, np.arange(len(encoder.features)))
    return np.asarray(np.add.reduceat(_by_column(model, X), starts, axis=1), dtype=np.float64)


def _by_column(model: Model, X: Matrix) -> Floats:
    if isinstance(model, BlendModel):
        parts = (each.weight * _by_column(each.model, X) for each in model.components)
        return np.asarray(sum(parts), dtype=np.float64)
    many = len(X) >= _MIN_ROWS_WOODELF.get(type(model), len(X) + 1)
    return _woodelf(model, X) if many else model.native_contributions(X)


def _woodelf(model: Any, X: Matrix) -> Floats:
    """WOODELF takes a frame with the names the booster gave its columns; LightGBM compares in double precision."""
    import pandas as pd
    from woodelf import WoodelfExplainer

    is_xgboost = isinstance(model, XGBoostModel)
    names = [f"f{i}" if is_xgboost else f"Column_{i}" for i in range(X.shape[1])]
    frame = pd.DataFrame(X if is_xgboost else X.astype(np.float64), columns=names)
    return np.asarray(WoodelfExplainer(model.booster).shap_values(frame, verbose=False), dtype=np.float64)


def value_text(value: Value) -> str | None:
    """A value as people read it: 1,234 or 0.25, yes or no; None where missing or not finite."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not np.isfinite(value):
        return None
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}"


def reason_text(feature: str, value: str | None, contribution: float) -> str:
    """One reason in words.

    Parameters
    ----------
    feature : str
        In words.
    value : str or None
        By `value_text`; None where missing.
    contribution : float
        Log-odds; only its sign is used.

    Examples
    --------
    >>> reason_text("tenure", "2", 0.7)
    'tenure is 2 (raises the risk)'
    """
    effect = "raises" if contribution > 0 else "lowers"
    return f"{feature} is {'missing' if value is None else value} ({effect} the risk)"


def feature_words(feature: Feature) -> str:
    """What reasons call a feature; where it says nothing its name as words: `tickets_90d` becomes 'tickets 90d'."""
    return feature.words or feature.name.replace("_", " ").strip()


def row_reasons(by_feature: Floats, values: list[Value], encoder: Encoder, n_reasons: int) -> tuple[Reason, ...]:
    """The reasons of one row, largest effect first; features without effect are left out.

    Parameters
    ----------
    by_feature : ndarray of shape (number of features,)
        SHAP values, log-odds.
    values : list of float, str, bool or None
        The row's values, in the order of the features.
    encoder : Encoder
        It names the features.
    n_reasons : int
        At most so many.
    """
    order = np.argsort(-np.abs(by_feature), kind="stable")[:n_reasons]
    found = []
    for at in (int(i) for i in order if by_feature[i] != 0):
        feature, value, effect = encoder.features[at].feature, value_text(values[at]), float(by_feature[at])
        found.append(Reason(feature.name, value, effect, reason_text(feature_words(feature), value, effect)))
    return tuple(found)


def table_reasons(by_feature: Floats, table: pa.Table, encoder: Encoder, n_reasons: int) -> pa.ListArray:
    """The reasons of each row as an Arrow list of `REASON_TYPE`, made feature by feature, not row by row.

    Parameters
    ----------
    by_feature : ndarray of shape (n, number of features)
        SHAP values, log-odds.
    table : pyarrow table of n rows
        It holds the values.
    encoder : Encoder
        It names the features.
    n_reasons : int
        At most so many per row.
    """
    n, n_features = by_feature.shape
    k = min(n_reasons, n_features)
    top = np.argsort(-np.abs(by_feature), axis=1, kind="stable")[:, :k]
    effects = np.take_along_axis(by_feature, top, axis=1)
    kept = effects != 0
    offsets = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int32)
    rows = np.repeat(np.arange(n), k).reshape(n, k)[kept]
    structs = _reason_structs(rows, top[kept], effects[kept], table, encoder)
    return pa.ListArray.from_arrays(pa.array(offsets), structs)


def _reason_structs(
    rows: npt.NDArray[np.int64], features: npt.NDArray[np.int64], effects: Floats, table: pa.Table, encoder: Encoder
) -> pa.StructArray:
    values = np.empty(rows.size, dtype=object)
    for at in np.unique(features):
        where = np.flatnonzero(features == at)
        values[where] = _value_texts(find_column(table, encoder.names[at]).take(pa.array(rows[where])))
    words = pa.array([feature_words(each.feature) for each in encoder.features], pa.string()).take(pa.array(features))
    value = pa.array(values, pa.string(), from_pandas=True)
    effect = pa.array(np.where(effects > 0, " (raises the risk)", " (lowers the risk)"), pa.string())
    text = pc.binary_join_element_wise(words, " is ", pc.fill_null(value, "missing"), effect, "")
    names = pa.array(encoder.names, pa.string()).take(pa.array(features))
    return pa.StructArray.from_arrays([names, value, pa.array(effects), text], fields=list(REASON_TYPE))


def _value_texts(values: pa.Array) -> npt.NDArray[np.object_]:
    """`value_text` of each, done once per distinct value."""
    coded = values.dictionary_encode()
    texts = np.array([value_text(value) for value in coded.dictionary.to_pylist()] + [None], dtype=object)
    return np.asarray(texts[coded.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)])


@dataclass(frozen=True)
class ShapSummary:
    """Mean absolute SHAP value of each feature over a sample.

    Attributes
    ----------
    mean_absolute : by feature name, log-odds, largest first
    features : names of the columns of the arrays
    n_sample : how many development rows, drawn at random, it is the mean of
    contributions : ndarray of shape (n_sample, number of features), log-odds
    method : 'exact', or 'estimate' where the values were sampled
    values : ndarray of shape (n_sample, number of features)
        For plots: numbers, or the code of a level; NaN where missing.
    """

    mean_absolute: dict[str, float]
    features: tuple[str, ...]
    n_sample: int
    contributions: Floats
    values: Floats
    method: Literal["exact", "estimate"] = "exact"

    def to_json(self) -> dict[str, Any]:
        """Plain data with its unit and population; the arrays stay behind."""
        return {
            "unit": "mean absolute log-odds",
            "method": self.method,
            "population": "development rows drawn at random",
            "n_sample": self.n_sample,
            "mean_absolute": self.mean_absolute,
        }


def summarise(model: Model, X: Matrix, encoder: Encoder) -> ShapSummary:
    """The SHAP summary of a sample that is encoded already.

    Raises
    ------
    ExplanationError
        Where the values can't be computed; training can go on without them.
    """
    try:
        by_feature = contributions(model, X, encoder)
    except Exception as error:
        raise ExplanationError(
            f"SHAP values could not be computed ({error}). Train with --no-shap (shap: false) to go without them."
        ) from error
    means = np.abs(by_feature).mean(axis=0)
    order = np.argsort(-means, kind="stable")
    ranked = {encoder.names[i]: float(means[i]) for i in order}
    method = explanations_of(ModelKind.MLP) if isinstance(model, NetworkModel) else "exact"
    return ShapSummary(ranked, encoder.names, len(X), by_feature, _plot_values(X, encoder), method)


def _plot_values(X: Matrix, encoder: Encoder) -> Floats:
    columns, at = [], 0
    for each in encoder.features:
        block = X[:, at : at + each.width].astype(np.float64)
        code = np.where(block.any(axis=1), block.argmax(axis=1), np.nan)
        columns.append(code if each.levels else block[:, 0])
        at += each.width
    return np.column_stack(columns)
