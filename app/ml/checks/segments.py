"""Does the model work everywhere: its ranking and its calibration in each segment of the rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.ml.checks.rules import error_of_failing, passing_confidence, sizes, span, too_few, worst_verdict
from app.ml.judgement import Check, Evidence, Verdict
from app.schemas.config import EvaluationConfig, SegmentsConfig
from app.stats.arrays import Estimate
from app.stats.calibration import mean_error
from app.stats.multiplicity import step_down
from app.stats.ranking import AucEstimate, auc_estimate

NAME = "weak_segments"


@dataclass(frozen=True)
class _Segment:
    """One segment with enough rows of either class."""

    name: str
    auc: AucEstimate
    mean: Estimate
    size: dict[str, int]

    def fails(self, part: int, asked: SegmentsConfig, confidence: float) -> bool:
        """Part 0: the AUC's interval lies below its limit; part 1: that of the mean error outside of its own."""
        if part == 0:
            return self.auc.interval(confidence).high < asked.min_auc
        low, high = self.mean.interval(confidence)
        return high < -asked.max_mean_error or low > asked.max_mean_error


def check_segments(evidence: Evidence, config: EvaluationConfig, asked: SegmentsConfig) -> Check:
    """In each segment the AUC reaches `min_auc`, and the mean probability is within `max_mean_error` or its own error.

    Segments with fewer than 20 churners or 20 others are not judged. The check passes where every segment does, which
    needs no correction; it fails where Holm's procedure rejects any of the two tests of each segment, so that the
    chance to fail wrongly does not grow with their number. Rows are those of the test side, whatever the other checks
    rest on.
    """
    judged, too_small = _part(evidence)
    absent = [name for name in asked.features if name not in evidence.segment_features]
    if absent or not judged:
        return _undecided(absent, too_small, asked, config)
    failed = step_down(
        lambda at, confidence: judged[at // 2].fails(at % 2, asked, confidence),
        2 * len(judged),
        error_of_failing(config),
    )
    told = [
        _tell(each, asked, evidence, config, failed={0, 1} & {test - 2 * at for test in failed})
        for at, each in enumerate(judged)
    ]
    confidence, worst = passing_confidence(evidence.look, config), min(judged, key=lambda each: each.auc.value)
    return Check(
        name=NAME,
        estimate=worst.auc.value,
        interval=worst.auc.interval(confidence),
        confidence=confidence,
        threshold=asked.min_auc,
        verdict=worst_verdict(*(each["verdict"] for each in told)),
        sentence=_sentence(told, worst, confidence),
        right_side=all(each["right_side"] for each in told),
        details={"segments": told, "too_small": too_small, "n_tests": 2 * len(judged), "multiplicity": "holm"},
    )


def _part(evidence: Evidence) -> tuple[list[_Segment], list[str]]:
    """The segments that can be judged, and the names of those that are too small."""
    judged, too_small = [], []
    codes = evidence.segment_codes if evidence.segment_codes is not None else np.empty((0, evidence.y.size))
    for by_feature in codes:
        for code in np.unique(by_feature):
            name, rows = evidence.segment_names[int(code)], by_feature == code
            y, p, accounts = evidence.y[rows], evidence.p_model[rows], evidence.accounts[rows]
            if too_few(y):
                too_small.append(name)
            else:
                judged.append(_Segment(name, auc_estimate(y, p, accounts), mean_error(y, p, accounts), sizes(y)))
    return judged, too_small


def _tell(
    segment: _Segment, asked: SegmentsConfig, evidence: Evidence, config: EvaluationConfig, *, failed: set[int]
) -> dict[str, Any]:
    """Its figures and verdicts; `failed` holds 0 for the AUC and 1 for the mean."""
    confidence = passing_confidence(evidence.look, config)
    reaches = segment.auc.interval(confidence).low >= asked.min_auc
    half_width = segment.mean.interval(config.confidence).high - segment.mean.value
    near = abs(segment.mean.value) <= max(asked.max_mean_error, half_width)
    return {
        "segment": segment.name,
        "auc": {"estimate": segment.auc.value, "interval": segment.auc.interval(confidence)},
        "mean_error": {"estimate": segment.mean.value, "interval": segment.mean.interval(config.confidence)},
        "verdict": worst_verdict(_verdict(reaches, failed=0 in failed), _verdict(near, failed=1 in failed)),
        "right_side": segment.auc.value >= asked.min_auc and near,
        **segment.size,
    }


def _verdict(passes: bool, *, failed: bool) -> Verdict:
    if failed:
        return Verdict.FAIL
    return Verdict.PASS if passes else Verdict.INSUFFICIENT


def _sentence(told: Sequence[dict[str, Any]], worst: _Segment, confidence: float) -> str:
    failed = [each["segment"] for each in told if each["verdict"] is Verdict.FAIL]
    undecided = [each["segment"] for each in told if each["verdict"] is Verdict.INSUFFICIENT]
    lowest = (
        f"the lowest AUC is {worst.auc.value:.3f}{span(worst.auc.interval(confidence), confidence)} in {worst.name}"
    )
    if failed:
        return f"Of {len(told)} segments {len(failed)} are weak ({_some(failed)}); {lowest}."
    if undecided:
        return f"Of {len(told)} segments {len(undecided)} can't be told from weak ones ({_some(undecided)}); {lowest}."
    return f"None of {len(told)} segments is weak; {lowest}."


def _some(names: Sequence[str], n: int = 3) -> str:
    return ", ".join(names[:n]) + (" ..." if len(names) > n else "")


def _undecided(
    absent: Sequence[str], too_small: Sequence[str], asked: SegmentsConfig, config: EvaluationConfig
) -> Check:
    reason = (
        f"The evidence is not parted by {_some(absent)}: no such feature, or it was kept before the policy named it."
        if absent
        else "No segment holds 20 churners and 20 others."
    )
    return Check(
        name=NAME,
        estimate=None,
        interval=None,
        confidence=config.confidence,
        threshold=asked.min_auc,
        verdict=Verdict.INSUFFICIENT,
        sentence=f"Weak segments can't be looked for: {reason}",
        right_side=False,
        details={"absent": list(absent), "too_small": list(too_small)},
    )
