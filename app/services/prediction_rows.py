"""From a frame of accounts to the rows of `predictions`, column by column."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.ml.explain import Reason
from app.ml.frame import Floats, Frame
from app.ml.scorer import Scorer
from app.ml.tiers import tiers_at

_encode = json.JSONEncoder(ensure_ascii=False).encode
_INSTANT = pa.timestamp("us", "UTC")


def score_frame(
    scorer: Scorer,
    frame: Frame,
    *,
    run_id: int,
    version: int,
    cutoffs: tuple[float, float],
    n_reasons: int,
    scored_at: datetime,
) -> tuple[pa.Table, Floats]:
    """The frame's rows of `predictions`, ready for COPY, and their probabilities of shape (n,)."""
    probabilities, reasons = scorer.score_and_explain(frame.features, n_reasons)
    n = len(frame)
    instant = pa.scalar(scored_at, _INSTANT)
    rows = {
        "run_id": pa.repeat(pa.scalar(run_id, pa.int64()), n),
        "account_id": frame.accounts,
        "churn_probability": pa.array(probabilities, pa.float64()),
        "risk_tier": pa.array(tiers_at(probabilities, *cutoffs)),
        "model_version": pa.repeat(pa.scalar(version, pa.int32()), n),
        "scored_at": pa.repeat(instant, n),
        "as_of": pa.repeat(instant, n) if frame.as_of is None else frame.as_of.cast(_INSTANT),
        "reasons": reasons_json(reasons),
    }
    return pa.table(rows), probabilities


def reasons_json(reasons: pa.ListArray) -> pa.Array:
    """Each row's reasons as the text of a JSON array: built from whole columns, in a third of the time of a loop.

    Parameters
    ----------
    reasons : pyarrow list array of shape (n,)
        Of `app.ml.explain.REASON_TYPE`.
    """
    parts = reasons.flatten()
    objects = pc.binary_join_element_wise(
        '{"feature":',
        _json_texts(parts.field("feature")),
        ',"value":',
        _json_texts(parts.field("value")),
        ',"contribution":',
        pc.cast(parts.field("contribution"), pa.string()),
        ',"text":',
        _json_texts(parts.field("text")),
        "}",
        "",
    )
    lists = pa.ListArray.from_arrays(_offsets(reasons), objects)
    return pc.binary_join_element_wise("[", pc.binary_join(lists, ","), "]", "")


def _offsets(lists: pa.ListArray) -> pa.Array:
    lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())


def _json_texts(texts: pa.Array) -> pa.Array:
    """Each text in quotes, escaped once per distinct text; null where missing."""
    coded = texts.dictionary_encode()
    quoted = pa.array([*map(_encode, coded.dictionary.to_pylist()), "null"], pa.string())
    return quoted.take(coded.indices.fill_null(len(quoted) - 1))


def plain_reasons(reasons: Iterable[Reason]) -> list[dict[str, Any]]:
    """The reasons of one account, as they are stored."""
    return [dict(r.__dict__) for r in reasons]
