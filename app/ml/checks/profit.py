"""Does contacting the riskiest accounts pay, as many as there is capacity for, under the assumptions stated."""

import numpy as np

from app.ml.checks.rules import few, passing_confidence, sizes, span, too_few, verdict_at_least
from app.ml.frame import Floats
from app.ml.judgement import Check, Evidence, Verdict
from app.schemas.config import EvaluationConfig, ProfitConfig
from app.stats.arrays import cluster_codes
from app.stats.influence import Figure, hits_in_top_share, mean_of

NAME = "profit_at_capacity"


def check_profit(evidence: Evidence, config: EvaluationConfig, assumed: ProfitConfig) -> Check:
    """Profit per account judged of contacting the top share that the capacity allows.

    `positive` asks for more than nothing; `not_below_production` for no more than `max_loss` below what production's
    list of the same length earns on the same rows, paired. Errors are clustered by account. Rows are those of the test
    side, whatever the other checks rest on.
    """
    production = evidence.production
    relative = assumed.require == "not_below_production"
    if relative and production is None:
        return _no_production(config)
    rows = production.fair if relative and production else np.ones(evidence.y.size, dtype=np.bool_)
    y, threshold = evidence.y[rows], 0.0 - assumed.max_loss if relative else 0.0
    earned = _earned(y, evidence.p_model[rows], assumed)
    if relative and production:
        earned = earned.less(_earned(y, production.p[rows], assumed))
    found = earned.estimate(cluster_codes(evidence.accounts[rows], y.size))
    confidence = passing_confidence(evidence.look, config)
    decided = verdict_at_least(found, threshold, config, look=evidence.look)
    verdict = Verdict.INSUFFICIENT if too_few(y) else decided
    interval = found.interval(confidence)
    against = f" more than version {production.version} in production" if relative and production else ""
    told = f"Contacting the riskiest {assumed.capacity:.1%} earns {found.value:.3g} per account{against}"
    return Check(
        name=NAME,
        estimate=found.value,
        interval=interval,
        confidence=confidence,
        threshold=threshold,
        verdict=verdict,
        sentence=f"{told}{span(interval, confidence)}, {_RULING[verdict]} {threshold:g}."
        + (f" {few(y)}" if too_few(y) else ""),
        right_side=found.value >= threshold,
        details={"assumptions": assumed.model_dump(mode="json"), **sizes(y)},
    )


_RULING = {
    Verdict.PASS: "shown to be at or above",
    Verdict.FAIL: "shown to be below",
    Verdict.INSUFFICIENT: "not told from",
}


def _earned(y: Floats, p: Floats, assumed: ProfitConfig) -> Figure:
    hits, flagged = hits_in_top_share(y, p, assumed.capacity or 0.0)
    return mean_of(assumed.save_rate * assumed.value_per_account * hits - assumed.contact_cost * flagged)


def _no_production(config: EvaluationConfig) -> Check:
    return Check(
        name=NAME,
        estimate=None,
        interval=None,
        confidence=config.confidence,
        threshold=None,
        verdict=Verdict.NOT_APPLICABLE,
        sentence="Nothing is in production whose profit could be compared.",
        right_side=True,
    )
