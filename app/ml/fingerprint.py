"""What a training was made of: a hash of its rows, the key of each, and the libraries that can change a number."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.ml.encoding import as_levels, find_column
from app.ml.frame import Feature, FeatureKind, Frame
from app.ml.kinds.models import ModelKind
from app.ml.split import Sides

_LIBRARIES = {
    ModelKind.XGBOOST: ("numpy", "scipy", "xgboost"),
    ModelKind.LIGHTGBM: ("lightgbm", "numpy", "scipy"),
    ModelKind.RANDOM_FOREST: ("numpy", "scipy", "xgboost"),
    ModelKind.MLP: ("numpy", "scikit-learn", "scipy"),
    ModelKind.LOGISTIC: ("numpy", "scipy"),
    ModelKind.BASE_RATE: ("numpy", "scipy"),
}


def library_versions(kind: ModelKind, params: Mapping[str, Any]) -> dict[str, str]:
    """By name, those that fitted this kind of model with these parameters."""
    names = _LIBRARIES[ModelKind(params["booster"]) if kind is ModelKind.BLEND else kind]
    return {name: version(name) for name in names}


def training_data_hash(frame: Frame, sides: Sides, features: Sequence[Feature]) -> str:
    """SHA-256 of accounts, instants, sides, labels and features, of rows that are sorted already.

    How Arrow happens to hold a column (chunks, offsets, padding, the payload of a NaN) has no effect.
    """
    digest = hashlib.sha256()
    _add_texts(digest, frame.accounts)
    _add_texts(digest, pa.array(sides, pa.string()))
    _add_numbers(digest, np.asarray(frame.churned, dtype=np.float64))
    if frame.as_of is not None:
        digest.update(np.asarray(frame.as_of.cast(pa.int64()).to_numpy(zero_copy_only=False)).tobytes())
    for feature in features:
        digest.update(f"{feature.kind.value}:{feature.name}\0".encode())
        column = find_column(frame.features, feature.name)
        if feature.kind is FeatureKind.CATEGORICAL:
            _add_texts(digest, as_levels(column, feature.name))
        else:
            numbers = pc.cast(column, pa.float64()).fill_null(np.nan)
            _add_numbers(digest, np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64))
    return digest.hexdigest()


def row_keys(frame: Frame) -> npt.NDArray[np.int64]:
    """A key of each row that stays the same for ever: 64 bits of BLAKE2b of its account and its instant.

    Returns
    -------
    ndarray of shape (n,)
        Two different rows share a key about n^2 / 2^65 of the time.
    """
    instants = [""] * len(frame) if frame.as_of is None else frame.as_of.cast(pa.int64()).to_pylist()
    names = frame.accounts.to_pylist()
    digests = (
        hashlib.blake2b(f"{account}\0{instant}".encode(), digest_size=8).digest()
        for account, instant in zip(names, instants, strict=True)
    )
    return np.frombuffer(b"".join(digests), dtype="<i8").astype(np.int64)


def _add_numbers(digest: "hashlib._Hash", values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    canonical = np.where(np.isnan(values), np.nan, values + 0.0)  # one NaN, one zero
    digest.update(canonical.astype("<f8").tobytes())


def _add_texts(digest: "hashlib._Hash", texts: pa.Array) -> None:
    lengths = pc.fill_null(pc.binary_length(texts), -1).cast(
        pa.int64()
    )  # tells "" from missing, "ab","c" from "a","bc"
    digest.update(np.asarray(lengths.to_numpy(zero_copy_only=False)).astype("<i8").tobytes())
    present = texts.drop_null().cast(pa.large_string())
    if len(present):  # their bytes lie one after another, from the first offset to the last
        _, offsets, payload = present.buffers()
        ends = np.frombuffer(offsets, dtype="<i8")[[present.offset, present.offset + len(present)]]
        digest.update(memoryview(payload)[ends[0] : ends[1]])
