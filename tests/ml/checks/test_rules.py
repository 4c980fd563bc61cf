import numpy as np
import pytest

from app.ml.checks.rules import (
    failing_confidence,
    needed,
    percent,
    span,
    too_few,
    verdict_at_least,
    worst_verdict,
    would_decide,
)
from app.ml.judgement import Verdict
from app.schemas.config import EvaluationConfig
from app.stats.arrays import Estimate, Interval

CONFIG = EvaluationConfig()


def test_six_chances_to_fail_share_the_error() -> None:
    assert failing_confidence(CONFIG) == pytest.approx(0.992, abs=0.0005)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [  # standard error .01: 95 % reaches .0196, 99.17 % reaches .0264
        (0.720, Verdict.PASS),
        (0.719, Verdict.INSUFFICIENT),
        (0.675, Verdict.INSUFFICIENT),
        (0.673, Verdict.FAIL),
        (float("nan"), Verdict.INSUFFICIENT),
    ],
)
def test_passing_takes_95_failing_99_percent(value: float, verdict: Verdict) -> None:
    assert verdict_at_least(Estimate(value, 0.01), 0.70, CONFIG) is verdict


def test_the_worst_verdict_rules() -> None:
    assert worst_verdict(Verdict.PASS, Verdict.FAIL, Verdict.INSUFFICIENT) is Verdict.FAIL
    assert worst_verdict(Verdict.PASS, Verdict.INSUFFICIENT) is Verdict.INSUFFICIENT
    assert worst_verdict(Verdict.NOT_APPLICABLE, Verdict.PASS) is Verdict.PASS
    assert worst_verdict(Verdict.NOT_APPLICABLE) is Verdict.NOT_APPLICABLE


@pytest.mark.parametrize(("n_churners", "n_others", "few"), [(19, 100, True), (20, 20, False), (100, 19, True)])
def test_twenty_of_either_kind_are_needed(n_churners: int, n_others: int, *, few: bool) -> None:
    assert too_few(np.repeat([1.0, 0.0], [n_churners, n_others])) is few


def test_churners_needed_are_for_stated_differences_never_the_observed_one() -> None:
    y = np.repeat([1.0, 0.0], [100, 900])
    # c = .02 * 10 = .2; ((1.96 + .8416) * .2 / .02)^2 = 784.9, four times as many for half the difference
    assert needed(0.02, y) == {"0.01": 3140, "0.02": 785}
    assert needed(0.0, y, least=0.122) == {"0.01": 1169, "0.02": 293}
    assert needed(float("nan"), y) == {}


def test_what_is_not_known_is_not_said() -> None:
    assert span(Interval(float("nan"), 1.0), 0.95) == ""
    assert span(Interval(0.7, 0.8), 0.95) == " (95 % interval 0.700 to 0.800)"
    assert would_decide({}) == ""


@pytest.mark.parametrize("confidence", [0.95, 1 - 0.05 / 6, 0.9999999, float(np.nextafter(1, 0)), 1.0])
def test_every_confidence_can_be_said(confidence: float) -> None:
    assert float(percent(confidence).removesuffix(" %")) / 100 == pytest.approx(confidence, abs=1e-3)
