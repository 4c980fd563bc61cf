"""The checks that a policy may ask for beside the six."""

from collections.abc import Iterator

from app.ml.checks.leak_suspicion import check_leak_suspicion
from app.ml.checks.list_stability import check_list_stability
from app.ml.checks.profit import check_profit
from app.ml.checks.segments import check_segments
from app.ml.judgement import Check, Evidence
from app.schemas.config import EvaluationConfig


def further_checks(evidence: Evidence, config: EvaluationConfig) -> Iterator[Check]:
    """Those that are on."""
    if config.segments is not None:
        yield check_segments(evidence, config, config.segments)
    if config.profit is not None and config.profit.require is not None:
        yield check_profit(evidence, config, config.profit)
    if config.list_stability is not None:
        yield check_list_stability(evidence, config, config.list_stability)
    if config.leak_suspicion is not None:
        yield check_leak_suspicion(evidence, config, config.leak_suspicion)
