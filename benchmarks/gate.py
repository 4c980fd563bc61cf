"""How often the gate promotes an equal, a better and a worse model: python -m benchmarks.gate [runs]."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from app.ml.frame import Floats
from app.ml.gate import Evidence, Judgement, Production, Recommendation, Verdict, judge
from app.schemas.config import EvaluationConfig

SETTINGS = ((1000, 0.05), (2000, 0.10), (10_000, 0.10))  # rows on the test side, churn rate
DIFFERENCES = (0.0, 0.02, -0.02)  # true AUC of the candidate minus production's
SHARED = 0.9  # of the noise is common to two models, so that their difference has the usual error, c = .122
N_FEATURES, N_FOLDS = 20, 5


def draw_scores(rng: np.random.Generator, y: Floats, rate: float, aucs: tuple[float, ...]) -> list[Floats]:
    """Calibrated probabilities of models with these true AUCs (equal-variance binormal), alike as real ones are."""
    common = rng.normal(size=y.size)
    scores = []
    for auc in aucs:
        gap = float(np.sqrt(2) * norm.ppf(auc))
        margin = gap * y + np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * rng.normal(size=y.size)
        scores.append(np.asarray(expit(np.log(rate / (1 - rate)) + gap * margin - gap**2 / 2), dtype=np.float64))
    return scores


def draw_evidence(
    rng: np.random.Generator,
    n: int,
    rate: float,
    *,
    auc: float = 0.77,
    baseline_auc: float = 0.74,
    production_auc: float | None = None,
    same_recipe: bool = False,
) -> Evidence:
    """Evidence with a planted truth: calibrated models, one row per account, stable features, no drift."""
    y = (rng.random(n) < rate).astype(np.float64)
    p, p_baseline, p_production = draw_scores(rng, y, rate, (auc, baseline_auc, production_auc or 0.5))
    everyone = (rng.random(4000) < rate).astype(np.float64)
    importances = np.sort(rng.gamma(1.0, size=N_FEATURES))[::-1] * rng.uniform(0.9, 1.1, (N_FOLDS, N_FEATURES))
    production = Production(1, p_production, np.ones(n, dtype=bool), same_recipe) if production_auc else None
    return Evidence(
        y=y,
        accounts=np.arange(n),
        p_model=p,
        p_baseline=p_baseline,
        development_churn_rate=rate,
        reference_scores=draw_scores(rng, everyone[:3000], rate, (auc,))[0],
        active_scores=draw_scores(rng, everyone[3000:], rate, (auc,))[0],
        fold_importances=importances,
        feature_names=tuple(f"f{i}" for i in range(N_FEATURES)),
        production=production,
    )


@dataclass(frozen=True)
class Rates:
    """Shares of runs, 0..1, for one setting, rule and true difference."""

    n: int
    rate: float
    rule: str
    difference: float
    passes: float  # the deciding check, improvement over production
    promoted: float
    rejected: float
    stated_power: float  # mean of the power the judgements state for this difference
    se_constant: float  # mean standard error times the root of the churners


def study(n: int, rate: float, difference: float, *, same_recipe: bool, runs: int, seed: int) -> Rates:
    """Judge `runs` drawn candidates against a production model of AUC .75 under the default config."""
    rng, config = np.random.default_rng(seed), EvaluationConfig()
    judged = [
        judge(
            draw_evidence(rng, n, rate, auc=0.75 + difference, production_auc=0.75, same_recipe=same_recipe),
            config,
            n_draws=0,
        )
        for _ in range(runs)
    ]
    deciding = [judgement.checks[2] for judgement in judged]
    return Rates(
        n=n,
        rate=rate,
        rule=judged[0].rule,
        difference=difference,
        passes=float(np.mean([check.verdict is Verdict.PASS for check in deciding])),
        promoted=_share(judged, Recommendation.PROMOTE),
        rejected=_share(judged, Recommendation.REJECT),
        stated_power=float(np.mean([_stated(judgement, difference) for judgement in judged])),
        se_constant=float(np.mean([c.details["se"] * np.sqrt(c.details["n_churners"]) for c in deciding])),
    )


def _share(judged: list[Judgement], recommendation: Recommendation) -> float:
    return float(np.mean([judgement.recommendation is recommendation for judgement in judged]))


def _stated(judgement: Judgement, difference: float) -> float:
    power = judgement.power
    stated = power.equal if difference == 0 else power.better if difference > 0 else power.worse
    return float("nan") if stated is None else stated


def studies(runs: int) -> Iterator[Rates]:
    """Every setting under `better`, and the twin recipe under `not_worse`."""
    for n, rate in SETTINGS:
        for difference in DIFFERENCES:
            yield study(n, rate, difference, same_recipe=False, runs=runs, seed=1)
        yield study(n, rate, 0.0, same_recipe=True, runs=runs, seed=1)


def main() -> None:
    """Print the table."""
    runs, started = int(sys.argv[1]) if len(sys.argv) > 1 else 1000, time.perf_counter()
    print(f"{runs} runs each; production AUC .75; rates in %")
    head = ("rows", "churn", "rule", "true", "passes", "promote", "reject", "stated", "c")
    print("{:>6} {:>6} {:<10} {:>5} {:>7} {:>8} {:>7} {:>7} {:>6}".format(*head))
    for r in studies(runs):
        print(
            f"{r.n:>6} {r.rate:>6.0%} {r.rule:<10} {r.difference:>+5.2f} {r.passes:>7.1%} {r.promoted:>8.1%} "
            f"{r.rejected:>7.1%} {r.stated_power:>7.1%} {r.se_constant:>6.3f}",
            flush=True,
        )
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
