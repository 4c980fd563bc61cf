"""The reference profile: how the scored population looked at training, as counts that drift is measured against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.ml.frame import Feature, FeatureKind, Floats, Frame
from app.stats.arrays import Ints
from app.stats.binning import bin_counts, quantile_edges

MAX_LEVELS = 100  # rarer levels of a category share its 'other' bin
SCORE_NAME = "churn_probability"


@dataclass(frozen=True)
class FeatureProfile:
    """Frozen bins of one feature and the reference rows in each.

    Attributes
    ----------
    name : str
    kind : FeatureKind
    edges : tuple of float
        Inner edges of a numeric feature, rising; empty for the other kinds. Bin i holds edge[i-1] < x <= edge[i].
    levels : tuple of str
        Levels of a category ('false', 'true' of a boolean), most frequent first; empty for numbers.
    counts : tuple of int
        Rows per bin. Numbers: len(edges) + 1 bins, then missing. Else: the levels, other, then missing.
    """

    name: str
    kind: FeatureKind
    edges: tuple[float, ...]
    levels: tuple[str, ...]
    counts: tuple[int, ...]

    @property
    def n_bins(self) -> int:
        """Bins, 'other' and missing included."""
        return len(self.counts)


@dataclass(frozen=True)
class Profile:
    """What the scored population looked like: a profile of each feature and of the scores."""

    features: tuple[FeatureProfile, ...]
    scores: FeatureProfile
    n_rows: int

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` gives back an equal profile, to the last bit."""
        return {
            "n_rows": self.n_rows,
            "features": [_plain(feature) for feature in self.features],
            "scores": _plain(self.scores),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Profile":
        """Read what `to_json` wrote."""
        features = tuple(_read(feature) for feature in data["features"])
        return cls(features, _read(data["scores"]), data["n_rows"])


@dataclass(frozen=True)
class Counts:
    """Rows per bin of a profile; counts of chunks add up to those of the whole.

    Attributes
    ----------
    features : mapping of feature name to integer ndarray of shape (bins of that feature,)
    scores : integer ndarray of shape (bins of the score,)
    n_rows : int
    """

    features: Mapping[str, Ints]
    scores: Ints
    n_rows: int

    def __add__(self, other: "Counts") -> "Counts":
        together = {name: counts + other.features[name] for name, counts in self.features.items()}
        return Counts(together, self.scores + other.scores, self.n_rows + other.n_rows)

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` reads it back."""
        features = {name: counts.tolist() for name, counts in self.features.items()}
        return {"n_rows": self.n_rows, "features": features, "scores": self.scores.tolist()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Counts":
        """Read what `to_json` wrote."""
        features = {name: np.array(counts, dtype=np.int64) for name, counts in data["features"].items()}
        return cls(features, np.array(data["scores"], dtype=np.int64), data["n_rows"])


def build_profile(frame: Frame, features: Sequence[Feature], scores: Floats) -> Profile:
    """Freeze bins on these rows and count them.

    Parameters
    ----------
    frame : Frame
        The population that is scored, as it was at training: n rows, one or more.
    features : sequence of Feature
        The model's inputs, in order.
    scores : ndarray of shape (n,)
        Out-of-fold calibrated probabilities of the same rows.
    """
    return Profile(profile_features(frame, features), profile_scores(scores), len(frame))


def profile_features(frame: Frame, features: Sequence[Feature]) -> tuple[FeatureProfile, ...]:
    """Freeze the bins of each feature on these rows, and count them."""
    return tuple(_profile_feature(frame, feature) for feature in features)


def profile_scores(scores: Floats) -> FeatureProfile:
    """Freeze the bins of calibrated probabilities, and count them."""
    edges = quantile_edges(scores)
    counts = _count_numbers(scores, edges)
    return FeatureProfile(SCORE_NAME, FeatureKind.NUMERIC, tuple(edges.tolist()), (), tuple(counts.tolist()))


def count_frame(profile: Profile, frame: Frame, scores: Floats) -> Counts:
    """Count rows into the bins of a profile.

    Parameters
    ----------
    profile : Profile
        Whose bins are used; its own counts are not read.
    frame : Frame
        n rows that have every feature of the profile; an infinite number counts as missing, an unknown level as other.
    scores : ndarray of shape (n,)
        Their calibrated probabilities.
    """
    counts = {feature.name: _count(feature, frame) for feature in profile.features}
    return Counts(counts, _count_numbers(scores, np.array(profile.scores.edges)), len(frame))


def _profile_feature(frame: Frame, feature: Feature) -> FeatureProfile:
    edges: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()
    if feature.kind is FeatureKind.NUMERIC:
        numbers = _numbers(frame, feature.name)
        edges = tuple(quantile_edges(numbers[np.isfinite(numbers)]).tolist())
    elif feature.kind is FeatureKind.BOOLEAN:
        levels = ("false", "true")
    else:
        levels = _most_frequent_levels(_texts(frame, feature.name))
    empty = FeatureProfile(feature.name, feature.kind, edges, levels, ())
    return FeatureProfile(feature.name, feature.kind, edges, levels, tuple(_count(empty, frame).tolist()))


def _count(feature: FeatureProfile, frame: Frame) -> Ints:
    if feature.kind is FeatureKind.NUMERIC:
        return _count_numbers(_numbers(frame, feature.name), np.array(feature.edges))
    return _count_levels(_texts(frame, feature.name), feature.levels)


def _numbers(frame: Frame, name: str) -> Floats:
    column = frame.features.column(name).cast(pa.float64())
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _texts(frame: Frame, name: str) -> pa.ChunkedArray:
    return frame.features.column(name).cast(pa.string())


def _count_numbers(numbers: Floats, edges: Floats) -> Ints:
    known = np.isfinite(numbers)
    counts = bin_counts(numbers[known], edges)
    return np.append(counts, numbers.size - int(known.sum())).astype(np.int64)


def _count_levels(texts: pa.ChunkedArray, levels: Sequence[str]) -> Ints:
    other, missing = len(levels), len(levels) + 1
    found = pc.fill_null(pc.index_in(texts, value_set=pa.array(levels, pa.string())), other)
    bins = pc.if_else(pc.is_null(texts), missing, found)
    return np.bincount(bins.to_numpy(), minlength=len(levels) + 2).astype(np.int64)


def _most_frequent_levels(texts: pa.ChunkedArray) -> tuple[str, ...]:
    """At most MAX_LEVELS levels, most frequent first; equally frequent ones by the alphabet."""
    tally = {row["values"]: row["counts"] for row in pc.value_counts(texts.drop_null()).to_pylist()}
    return tuple(sorted(tally, key=lambda level: (-tally[level], level))[:MAX_LEVELS])


def _plain(feature: FeatureProfile) -> dict[str, Any]:
    return {
        "name": feature.name,
        "kind": feature.kind.value,
        "edges": list(feature.edges),
        "levels": list(feature.levels),
        "counts": list(feature.counts),
    }


def _read(data: Mapping[str, Any]) -> FeatureProfile:
    return FeatureProfile(
        name=data["name"],
        kind=FeatureKind(data["kind"]),
        edges=tuple(float(edge) for edge in data["edges"]),
        levels=tuple(data["levels"]),
        counts=tuple(data["counts"]),
    )
