"""The evidence of the gate as bytes, and back: data only, so that a judgement can be made again."""

import io
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from app.ml.judgement import CrossFit, Evidence, Look, Production
from app.stats.arrays import Ints, cluster_codes

# Members of evidence that have members of their own.
_PARTS: Mapping[str, type[Any]] = {"production": Production, "look": Look, "cross_fit": CrossFit}
_PLAIN, _KEYS = "plain", "row_keys"


def evidence_to_bytes(evidence: Evidence, keys: Ints) -> bytes:
    """Arrays as a compressed npz without pickle, all else as JSON inside it; accounts become numbers.

    Parameters
    ----------
    evidence : Evidence
        n rows.
    keys : ndarray of shape (n,)
        See `app.ml.fingerprint.row_keys`.

    Returns
    -------
    bytes
        About 45 a row at most, before compression, and 16 for each active account.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {_KEYS: keys}
    plain: dict[str, Any] = {}
    _take_apart(replace(evidence, accounts=cluster_codes(evidence.accounts, evidence.y.size)), "", arrays, plain)
    arrays[_PLAIN] = np.frombuffer(json.dumps(plain).encode(), dtype=np.uint8)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def evidence_from_bytes(data: bytes) -> tuple[Evidence, Ints]:
    """The evidence and the keys of its rows; what was written before a member existed has that member's default."""
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    plain = json.loads(arrays.pop(_PLAIN).tobytes())
    keys = arrays.pop(_KEYS)
    evidence: Evidence = _put_together(Evidence, "", arrays, plain)
    return evidence, keys


def _take_apart(part: Any, prefix: str, arrays: dict[str, np.ndarray[Any, Any]], plain: dict[str, Any]) -> None:
    for each in fields(part):
        name, value = prefix + each.name, getattr(part, each.name)
        if isinstance(value, np.ndarray):
            arrays[name] = value
        elif is_dataclass(value):
            _take_apart(value, f"{name}.", arrays, plain)
        elif value is not None:
            plain[name] = value


def _put_together(kind: type[Any], prefix: str, arrays: Mapping[str, Any], plain: Mapping[str, Any]) -> Any:
    found: dict[str, Any] = {}
    for each in fields(kind):
        name = prefix + each.name
        if name in arrays:
            found[each.name] = arrays[name]
        elif name in plain:
            value = plain[name]
            found[each.name] = tuple(value) if isinstance(value, list) else value
        elif each.name in _PARTS and any(known.startswith(f"{name}.") for known in (*arrays, *plain)):
            found[each.name] = _put_together(_PARTS[each.name], f"{name}.", arrays, plain)
    return kind(**found)
