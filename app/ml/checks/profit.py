"""Does contacting the riskiest accounts pay, as many as there is capacity for, under the assumptions stated."""

import numpy as np

from app.ml.checks.rules import few, passing_confidence, sizes, span, too_few, verdict_at_least
from app.ml.frame import Floats
from app.ml.judgement import Check, Evidence, Verdict
from app.schemas.config import EvaluationConfig, ProfitConfig
from app.stats.arrays import cluster_codes
from app.stats.influence import Figure, count_in_top_share, hits_in_top_share, mean_of

NAME = "profit_at_capacity"


def check_profit(evidence: Evidence, config: EvaluationConfig, assumed: ProfitConfig) -> Check:
    """Profit per account judged of contacting the top share that the capacity allows.

    `positive` asks for more than nothing; `not_below_production` for no more than `max_loss` below what production's
    list of the same length earns on the same rows, paired. Errors are clustered by account. Rows are those of the test
    side, whatever the other checks rest on.
    """
    relative = assumed.require == "not_below_production"
    production = evidence.production if relative else None
    if relative and production is None:
        return _untold(Verdict.NOT_APPLICABLE, "Nothing is in production whose profit could be compared.", config)
    rows = production.fair if production else np.ones(evidence.y.size, dtype=np.bool_)
    if production and not rows.any():
        sentence = f"No profit to compare with version {production.version} in production: {production.unfair}"
        return _untold(Verdict.INSUFFICIENT, sentence, config)
    y, threshold = evidence.y[rows], 0.0 - assumed.max_loss if relative else 0.0
    listed = [p[rows] for p in (evidence.p_model, *([production.p] if production else []))]
    earned = _earned(y, listed[0], assumed)
    if production:
        earned = earned.less(_earned(y, listed[1], assumed))
    found = earned.estimate(cluster_codes(evidence.accounts[rows], y.size))
    confidence = passing_confidence(evidence.look, config)
    undecided = few(y) if too_few(y) else _nobody(listed, assumed)
    decided = verdict_at_least(found, threshold, config, look=evidence.look)
    verdict = Verdict.INSUFFICIENT if undecided else decided
    interval = found.interval(confidence)
    against = f" more than version {production.version} in production" if production else ""
    told = f"Contacting the riskiest {assumed.capacity:.1%} earns {found.value:.3g} per account{against}"
    return Check(
        name=NAME,
        estimate=found.value,
        interval=interval,
        confidence=confidence,
        threshold=threshold,
        verdict=verdict,
        sentence=" ".join(
            filter(None, [f"{told}{span(interval, confidence)}, {_RULING[verdict]} {threshold:g}.", undecided])
        ),
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


def _nobody(listed: list[Floats], assumed: ProfitConfig) -> str:
    """Why nothing is told where a list is empty; the empty string where none is."""
    if all(count_in_top_share(p, assumed.capacity or 0.0) for p in listed):
        return ""
    return f"Of {listed[0].size:,} rows nobody is among them, as equal scores are not parted."


def _untold(verdict: Verdict, sentence: str, config: EvaluationConfig) -> Check:
    return Check(
        name=NAME,
        estimate=None,
        interval=None,
        confidence=config.confidence,
        threshold=None,
        verdict=verdict,
        sentence=sentence,
        right_side=True,
    )
