"""What a model is measured by: logistic regression, the base rate, and the best single rule, on the same test rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.ml.checks.improvement import AS_GOOD_MARGIN
from app.ml.checks.rules import too_few
from app.ml.frame import Floats
from app.ml.metrics import cut_intervals, known, known_interval
from app.stats.arrays import Bools, Clusters
from app.stats.calibration import brier, log_loss
from app.stats.gains import lift
from app.stats.ranking import auc_difference, auc_estimate
from app.stats.thresholds import metrics_at, recall_difference, top_cut


@dataclass(frozen=True)
class Baseline:
    """One thing a model is measured by.

    Attributes
    ----------
    name : 'logistic', 'base_rate' or 'single_rule'
    words : what it is
    p : ndarray of shape (test rows,), its probabilities
    flagged : boolean ndarray of shape (test rows,), or None to flag as many as churn among the development rows
    facts : more of it, as plain data
    """

    name: str
    words: str
    p: Floats
    flagged: Bools | None = None
    facts: dict[str, Any] | None = None


def compare(
    model: Floats, baselines: Sequence[Baseline], y: Floats, top_share: float, clusters: Clusters | None
) -> list[dict[str, Any]]:
    """Each baseline's figures on the test rows next to the model's where it flags as many rows, and who is better.

    A baseline that flags nobody stands beside the model at `top_share`.

    Parameters
    ----------
    model : ndarray of shape (n,)
        The model's calibrated probabilities.
    baselines : sequence of Baseline
        With probabilities of the same rows.
    y : ndarray of shape (n,)
        1 churned, 0 stayed.
    top_share : float
        The share of rows that is flagged where a baseline doesn't say whom it flags.
    clusters : ndarray of shape (n,) or None
        Rows of one account carry the same value.
    """
    return [_compare(model, each, y, top_share, clusters) for each in baselines]


def _compare(model: Floats, each: Baseline, y: Floats, top_share: float, clusters: Clusters | None) -> dict[str, Any]:
    n_top = round(top_share * y.size)
    flagged = np.asarray(each.p >= top_cut(each.p, n_top)) if each.flagged is None else each.flagged
    listed = _first(model, int(flagged.sum()) or n_top)
    difference = auc_difference(y, model, each.p, clusters)
    interval = known_interval(difference.interval())
    as_good = interval is not None and not too_few(y) and difference.value <= AS_GOOD_MARGIN and interval[0] <= 0
    found = {
        "name": each.name,
        "words": each.words,
        **_figures(each.p, flagged, y, clusters),
        "model": _figures(model, listed, y, clusters),
        "auc_gain": known(difference.value),
        "auc_gain_interval": interval,
        "as_good": as_good,
        **(_list_gain(y, listed, each.flagged, clusters) if each.flagged is not None else {}),
        **(each.facts or {}),
    }
    return found | {"sentence": _sentence(found, enough=not too_few(y))}


def _list_gain(y: Floats, listed: Bools, flagged: Bools, clusters: Clusters | None) -> dict[str, Any]:
    """What the model's list of the same length catches more than the rule's."""
    gain = recall_difference(y, listed, flagged, clusters)
    return {"recall_gain": known(gain.value), "recall_gain_interval": known_interval(gain.interval())}


def _first(p: Floats, n: int) -> Bools:
    """Just so many rows with the highest probabilities; of equal ones those of the first accounts."""
    listed = np.zeros(p.size, dtype=np.bool_)
    listed[np.argsort(-p, kind="stable")[:n]] = True
    return listed


def _figures(p: Floats, flagged: Bools, y: Floats, clusters: Clusters | None) -> dict[str, Any]:
    at_cut, auc = metrics_at(y, flagged), auc_estimate(y, p, clusters)
    return {
        "n_flagged": at_cut.n_flagged,
        "metrics": {
            "roc_auc": known(auc.value),
            "precision": at_cut.precision and at_cut.precision.value,
            "recall": at_cut.recall and at_cut.recall.value,
            "lift": known(lift(y, flagged).value),
            "log_loss": known(log_loss(y, p)),
            "brier": known(brier(y, p)),
        },
        "intervals": {"roc_auc": known_interval(auc.interval())} | cut_intervals(y, flagged, clusters),
    }


def _sentence(found: dict[str, Any], *, enough: bool) -> str:
    words, gain, interval = found["words"], found["auc_gain"], found["auc_gain_interval"]
    if gain is None or interval is None or not enough:
        return f"Whether the model beats {words} can't be told: too few test rows of either kind."
    told = f"AUC {found['model']['metrics']['roc_auc']:.3f} against {found['metrics']['roc_auc']:.3f} on the test side"
    told += f" ({gain:+.3f}, 95 % interval {interval[0]:+.3f} to {interval[1]:+.3f})"
    return f"{_verdict(found, interval)}: {told}.{_list_words(found)}"


def _verdict(found: dict[str, Any], interval: list[float]) -> str:
    words = found["words"]
    if interval[1] < 0:
        return f"The model is worse than {words}"
    if found["as_good"]:
        return f"{words[0].upper()}{words[1:]} is as good as the model, and simpler"
    if interval[0] > 0:
        return f"The model beats {words}"
    return f"The model looks better than {words}, but these rows can't show it"


def _list_words(found: dict[str, Any]) -> str:
    """A rule has two values only, so its AUC is small: as a list it may still be as good."""
    gain, interval = found.get("recall_gain"), found.get("recall_gain_interval")
    if gain is None or interval is None:
        return ""
    own, other = found["model"]["metrics"]["recall"], found["metrics"]["recall"]
    told = f" As a list of {found['n_flagged']:,} accounts the rule catches {other:.1%} of the churners, the model's "
    told += f"{own:.1%} ({100 * gain:+.1f} points, 95 % interval {100 * interval[0]:+.1f} to {100 * interval[1]:+.1f})"
    return told + (": such a list needs no model." if interval[0] <= 0 else ".")
