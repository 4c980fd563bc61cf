"""Does the list of accounts at risk stay much the same when the version changes."""

import numpy as np

from app.ml.checks.measures import flag
from app.ml.checks.rules import span, verdict_at_least
from app.ml.judgement import Check, Evidence, Verdict
from app.schemas.config import EvaluationConfig, ListStabilityConfig
from app.stats.proportions import proportion

NAME = "list_stability"


def check_list_stability(evidence: Evidence, config: EvaluationConfig, asked: ListStabilityConfig) -> Check:
    """Of the active accounts on production's list, the share that is on the new version's list too.

    Each list is what the cut-off flags among the accounts that both have scored. The interval takes these accounts as
    draws from those to come: for these themselves the share is exact.
    """
    production = evidence.production
    if production is None:
        return _undecided("Nothing is in production, so there is no list to keep.", asked, config, applies=False)
    if production.active_paired is None:
        return _undecided("The evidence does not hold both scores of each active account.", asked, config)
    both = np.isfinite(production.active_paired)
    mine, theirs = evidence.active_scores[both], production.active_paired[both]
    new, old = (flag(p, asked.cutoff, evidence.development_churn_rate) for p in (mine, theirs))
    stays = proportion(new, old)
    if stays is None:
        return _undecided("Production's list is empty at this cut-off.", asked, config)
    interval, verdict = stays.interval(config.confidence), verdict_at_least(stays, asked.min_stay, config)
    return Check(
        name=NAME,
        estimate=stays.value,
        interval=interval,
        confidence=config.confidence,
        threshold=asked.min_stay,
        verdict=verdict,
        sentence=(
            f"{stays.value:.0%}{span(interval, config.confidence)} of the {stays.n:,} accounts on the list of version "
            f"{production.version} stay on it, {_RULING[verdict]} the {asked.min_stay:.0%} asked for."
        ),
        right_side=stays.value >= asked.min_stay,
        details={
            "cutoff": asked.cutoff.model_dump(),
            "n_active": int(both.sum()),
            "n_old": stays.n,
            "n_new": int(new.sum()),
            "n_stay": int((new & old).sum()),
            "n_leave": int((old & ~new).sum()),
            "n_enter": int((new & ~old).sum()),
        },
    )


_RULING = {Verdict.PASS: "at or above", Verdict.FAIL: "below", Verdict.INSUFFICIENT: "not told from"}


def _undecided(reason: str, asked: ListStabilityConfig, config: EvaluationConfig, *, applies: bool = True) -> Check:
    return Check(
        name=NAME,
        estimate=None,
        interval=None,
        confidence=config.confidence,
        threshold=asked.min_stay,
        verdict=Verdict.INSUFFICIENT if applies else Verdict.NOT_APPLICABLE,
        sentence=reason,
        right_side=not applies,
    )
