"""The gate: six checks, and what they together recommend."""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite

from app.ml.checks.cross_fitted import measures_of
from app.ml.checks.further import further_checks
from app.ml.checks.improvement import (
    baseline_as_good,
    check_baseline,
    check_production,
    production_threshold,
    rule_of,
)
from app.ml.checks.measures import Measures, Rival
from app.ml.checks.rules import MIN_CHURNERS, count_churners, passing_confidence, percent
from app.ml.checks.thresholds import auc_verdict, check_thresholds
from app.ml.checks.trust import check_calibration, check_distribution, check_stability
from app.ml.judgement import Check, CrossFit, Evidence, Judgement, Power, Production, Recommendation, Verdict
from app.schemas.config import EvaluationConfig
from app.stats.arrays import cluster_codes, normal_quantile
from app.stats.power import pass_probability, planned_se

__all__ = ["Check", "CrossFit", "Evidence", "Judgement", "Power", "Production", "Recommendation", "Verdict", "judge"]

_WHOSE = {
    "model": "this version",
    "production": "the version in production",
    "anchor": "the last version promoted as better",
}
_DATED = ("Each fold judges accounts it has not met, at instants it has: how a model ages is not in these figures.",)
_OF_FOLDS = {"thresholds", "improvement_over_baseline", "improvement_over_production", "calibration"}
FEW_CHURNERS = 200  # under it one test side says little, and the answer says so: STATISTICS.md section 3
STATED = 0.02
N_DRAWS = 1000  # of the bootstrap that is shown beside DeLong's interval
MAX_CELLS = 100_000_000  # rows times draws; of more than 100,000 rows fewer draws are made
TIRED_LOOK = 5  # from this look on a test side should be replaced: STATISTICS.md section 3


def judge(evidence: Evidence, config: EvaluationConfig, *, n_draws: int = N_DRAWS) -> Judgement:
    """Run the six checks, and those that the policy asks for beside them, and recommend.

    `reject` on any fail. `promote` where the deciding check passes and every other that could not decide has its
    estimate on the right side. The deciding check is the improvement over production; while nothing is in production
    it is AUC. Then also, provisionally, where no check fails, all estimates are on the right side and the AUC is
    shown to be above .5. Else `hold`; so too where a first champion's own baseline is as good, for that one is simpler.

    Parameters
    ----------
    evidence : Evidence
        Scores, labels and what else the checks read.
    config : EvaluationConfig
        Thresholds and confidence.
    n_draws : int
        Of the bootstrap that is shown in the details of the deciding check; 0 for none. It decides nothing.
    """
    evidence = replace(evidence, accounts=cluster_codes(evidence.accounts, evidence.y.size))
    checks = (
        check_thresholds(evidence, config),
        check_baseline(evidence, config),
        check_production(evidence, config),
        check_calibration(evidence, config),
        check_distribution(evidence, config),
        check_stability(evidence, config),
        *further_checks(evidence, config),
    )
    as_good = baseline_as_good(evidence, config)
    recommendation, provisional = _recommend(checks, first=evidence.production is None, as_good=as_good)
    power = _power(evidence, measures_of(evidence), checks, config)
    deciding = "thresholds" if evidence.production is None else "improvement_over_production"
    return Judgement(
        checks=_with_bootstrap(checks, deciding, evidence, config, n_draws),
        recommendation=recommendation,
        provisional=provisional,
        rule=rule_of(evidence.production, config),
        deciding_check=deciding,
        insufficient=tuple(check.name for check in checks if check.verdict is Verdict.INSUFFICIENT),
        baseline_as_good=as_good,
        power=power,
        evidence=measures_of(evidence).kind,
        look=evidence.look,
        confidence=passing_confidence(evidence.look, config),
        sentences=(
            _summary(checks, deciding, recommendation, provisional=provisional, as_good=as_good),
            *_baseline_sentence(checks[1], as_good=as_good),
            *_weak_sentence(evidence, config),
            *_look_sentence(evidence, config),
            *_few_sentence(evidence, checks),
        ),
    )


def _with_bootstrap(
    checks: Sequence[Check], deciding: str, evidence: Evidence, config: EvaluationConfig, n_draws: int
) -> tuple[Check, ...]:
    """The checks, with a bootstrap of the deciding one's figure in its details: the other way to the same error."""
    n_draws = min(n_draws, MAX_CELLS // max(evidence.y.size, 1))
    rival = None if evidence.production is None else Rival.PRODUCTION
    found = measures_of(evidence).bootstrap(rival, n_draws=n_draws) if n_draws else None
    if found is None:
        return tuple(checks)
    interval = found.interval(config.confidence)
    told = {"se": found.se, "interval": interval, "confidence": config.confidence, "n_draws": found.values.size}
    return tuple(
        replace(each, details={**each.details, "bootstrap": told}) if each.name == deciding else each for each in checks
    )


def _recommend(checks: Sequence[Check], *, first: bool, as_good: bool) -> tuple[Recommendation, bool]:
    """The recommendation, and whether it is provisional."""
    thresholds, _, production, *_ = checks
    if any(check.verdict is Verdict.FAIL for check in checks):
        return Recommendation.REJECT, False
    decided = auc_verdict(thresholds) if first else production.verdict
    undecided = [check for check in checks if check.verdict is Verdict.INSUFFICIENT]
    if not all(check.right_side for check in undecided) or (first and as_good):
        return Recommendation.HOLD, False
    if decided is Verdict.PASS:
        return Recommendation.PROMOTE, False
    ranks = thresholds.interval is not None and thresholds.interval.low > 0.5
    return (Recommendation.PROMOTE, True) if first and ranks else (Recommendation.HOLD, False)


def _power(evidence: Evidence, measures: Measures, checks: Sequence[Check], config: EvaluationConfig) -> Power:
    """How often the deciding check would pass a model that is truly equal, better or worse."""
    production, confidence = evidence.production, passing_confidence(evidence.look, config)
    if production is None:
        y, check, threshold, weak = measures.labels(), checks[0], 0.0, False
        se = different_se = measures.auc().se
    else:
        y, check = measures.labels(Rival.PRODUCTION), checks[2]
        threshold = production_threshold(production, config)
        weak = rule_of(production, config) == "no_harm"
        se = float(check.details["se"])
        different_se = max(se, planned_se(count_churners(y)))  # a model that truly differs also ranks differently

    def chance(true_difference: float, error: float) -> float | None:
        if min(count_churners(y), y.size - count_churners(y)) < MIN_CHURNERS:
            return 0.0
        if not isfinite(error):
            return None
        passes = pass_probability(
            true_difference, se=error, threshold=threshold, confidence=confidence, degrees=measures.degrees
        )
        if not weak:
            return passes
        # the estimate alone must reach the margin, or the half width where that is less
        reach = max(threshold, -normal_quantile(config.confidence) * error)
        return max(passes, pass_probability(true_difference, se=error, threshold=reach, confidence=0.0))

    return Power(
        reference="min_auc" if production is None else "production",
        n_churners=count_churners(y),
        equal=chance(0.0, se),
        better=chance(STATED, different_se),
        worse=chance(-STATED, different_se),
        churners_needed=check.details["churners_needed"],
    )


def _summary(
    checks: Sequence[Check], deciding: str, recommendation: Recommendation, *, provisional: bool, as_good: bool
) -> str:
    decider = next(check for check in checks if check.name == deciding)
    failed = [check for check in checks if check.verdict is Verdict.FAIL]
    if failed:
        return f"Reject for {_told(failed)}"
    open_checks = [check for check in checks if check.verdict is Verdict.INSUFFICIENT]
    wrong = [check for check in open_checks if not check.right_side]
    if recommendation is Recommendation.HOLD:
        held_by = checks[1] if as_good and decider is checks[0] else decider
        unknown = wrong and "refused" not in decider.details
        return _wrong_side(wrong) if unknown else f"Hold: {held_by.sentence}"
    told = "Promote provisionally: no check fails and every estimate is on the right side, but" if provisional else ""
    others = [check.name for check in open_checks]
    if provisional:
        return f"{told} {_list(others)} rest on too little to be sure; judge again as outcomes mature."
    tail = f" Not decided, but on the right side: {_list(others)}." if others else ""
    return f"Promote: {decider.sentence}{tail}"


def _wrong_side(checks: Sequence[Check]) -> str:
    """In the words of the checks: some have an estimate on the wrong side, others none at all."""
    return f"Hold, with too little evidence to reject, for {_told(checks)}"


def _told(checks: Sequence[Check]) -> str:
    return f"{_list([check.name for check in checks])}: {' '.join(check.sentence for check in checks)}"


def _list(names: Sequence[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in names)


def _baseline_sentence(check: Check, *, as_good: bool) -> tuple[str, ...]:
    if not as_good or check.estimate is None:
        return ()
    return (
        f"The logistic baseline is not shown to be worse: the model's AUC is {check.estimate:+.3f} against it. "
        f"It is simpler, and can be registered, judged and promoted like any other version.",
    )


def _weak_sentence(evidence: Evidence, config: EvaluationConfig) -> tuple[str, ...]:
    if rule_of(evidence.production, config) != "no_harm":
        return ()
    return (
        "Weak evidence: the policy promotes what is not shown to be worse, which is no evidence that it is as good.",
    )


def _look_sentence(evidence: Evidence, config: EvaluationConfig) -> tuple[str, ...]:
    look = evidence.look
    if look.number == 1:
        return ()
    rows = "this test side, which has" if evidence.cross_fit is None else "these labelled rows, which have"
    told = (
        f"Look {look.number} at {rows} judged {look.n_candidates} candidates: to pass takes "
        f"{percent(passing_confidence(look, config))} confidence instead of {percent(config.confidence)}."
    )
    if look.number < TIRED_LOOK:
        return (told,)
    return (f"{told} Judge on fresh rows: a newer revision, once outcomes have matured that none of these saw.",)


def _searched_sentence(searched: Sequence[str]) -> tuple[str, ...]:
    """The search has seen most of the rows that the folds judge."""
    whose = " and of ".join(_WHOSE[name] for name in searched)
    told = f"The parameters of {whose} were found by a search on rows that are among these, and not searched for again"
    return (f"{told} in each fold: this flatters the figures a little.",) if searched else ()


def _few_sentence(evidence: Evidence, checks: Sequence[Check]) -> tuple[str, ...]:
    n_churners, fit = count_churners(evidence.y), evidence.cross_fit
    if fit is not None:
        own = _list([check.name for check in checks if check.name not in _OF_FOLDS])
        return (
            f"The test side has {n_churners} churners, under {FEW_CHURNERS}: the whole recipe was refitted in "
            f"{len(fit.folds)} x {int(fit.folds[0].max()) + 1} folds over all {fit.y.size:,} labelled rows with "
            f"{count_churners(fit.y)} churners. These figures judge the recipe, not these very bytes. "
            f"{own.capitalize()} judge the version itself.",
            *(_DATED if fit.dated else ()),
            *_searched_sentence(fit.searched),
        )
    if n_churners >= FEW_CHURNERS:
        return ()
    return (
        f"The test side has {n_churners} churners. Under {FEW_CHURNERS} one test side says little: "
        f"read the intervals, not the estimates.",
    )
