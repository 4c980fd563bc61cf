"""Does the model look as if a feature knew the outcome: what the probes suspect, and one feature that is everything."""

from app.ml.checks.rules import failing_confidence, span, worst_verdict
from app.ml.judgement import Check, Evidence, Verdict
from app.schemas.config import EvaluationConfig, LeakSuspicionConfig
from app.stats.dominance import LeadingShare, leading_share

NAME = "leak_suspicion"


def check_leak_suspicion(evidence: Evidence, config: EvaluationConfig, asked: LeakSuspicionConfig) -> Check:
    """The training's probes suspect nothing that was not accepted by name, and no feature has nearly all importance.

    A suspicion fails as it stands: its own 99 % bound is behind it (see `app.ml.leaks`). The importance of the leading
    feature is judged by its interval over the folds; with one feature there is nothing to judge.
    """
    suspected = evidence.suspected_leaks
    single = evidence.fold_importances.shape[1] < 2
    found = None if single else leading_share(evidence.fold_importances)
    probes = _of_probes(suspected)
    importance = Verdict.NOT_APPLICABLE if single else _of_importance(found, asked, config)
    name = evidence.feature_names[found.feature] if found else None
    return Check(
        name=NAME,
        estimate=found.value if found else None,
        interval=found.interval(config.confidence) if found else None,
        confidence=config.confidence,
        threshold=asked.max_importance_share,
        verdict=worst_verdict(probes, importance),
        sentence=f"{_told_probes(suspected)} {_told_importance(found, name, importance, asked, config)}",
        right_side=not suspected
        and suspected is not None
        and (single or (found is not None and found.value <= asked.max_importance_share)),
        details={"suspected": suspected, "leading_feature": name, "probes": probes, "importance": importance},
    )


def _of_probes(suspected: tuple[str, ...] | None) -> Verdict:
    if suspected is None:
        return Verdict.INSUFFICIENT
    return Verdict.FAIL if suspected else Verdict.PASS


def _of_importance(found: LeadingShare | None, asked: LeakSuspicionConfig, config: EvaluationConfig) -> Verdict:
    if found is None:
        return Verdict.INSUFFICIENT
    if found.interval(config.confidence).high <= asked.max_importance_share:
        return Verdict.PASS
    beyond = found.interval(failing_confidence(config)).low > asked.max_importance_share
    return Verdict.FAIL if beyond else Verdict.INSUFFICIENT


def _told_probes(suspected: tuple[str, ...] | None) -> str:
    if suspected is None:
        return "The evidence does not hold what the probes found."
    if not suspected:
        return "The probes suspect no leak that was not accepted."
    more = " and others" if len(suspected) > 3 else ""
    return f"The probes suspect {', '.join(suspected[:3])}{more}; the warnings of the training say why."


def _told_importance(
    found: LeadingShare | None, name: str | None, verdict: Verdict, asked: LeakSuspicionConfig, config: EvaluationConfig
) -> str:
    if verdict is Verdict.NOT_APPLICABLE:
        return "It has one feature, so none can dominate."
    if found is None:
        return "No feature has any importance in two folds."
    ruling = {Verdict.PASS: "within", Verdict.FAIL: "above"}.get(verdict, "not told from")
    interval = span(found.interval(config.confidence), config.confidence)
    told = f"{name} has {found.value:.0%} of the importance{interval}"
    return f"{told}, {ruling} the {asked.max_importance_share:.0%} allowed."
