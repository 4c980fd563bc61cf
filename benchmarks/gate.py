"""How often the gate is right, through the code that the service runs, beside gates on point values.

Run: python -m benchmarks.gate [rates instants margin coverage looks small] [--runs 1000] [--seed 1]; by default all.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from app.ml.checks.improvement import check_production
from app.ml.frame import Floats
from app.ml.gate import Evidence, Judgement, Production, Recommendation, Verdict, judge
from app.ml.judgement import Look
from app.schemas.config import EvaluationConfig
from app.stats.arrays import Ints
from app.stats.looks import count_looks
from benchmarks.gate_peers import PointGates
from benchmarks.gate_small import small_business

SETTINGS = ((1000, 0.05), (2000, 0.10), (10_000, 0.10))  # rows on the test side, churn rate
DIFFERENCES = (0.0, 0.02, -0.02)  # true AUC of the candidate minus production's
SHARED = 0.9  # of the noise is common to two models, so that their difference has the usual error, c = .122
N_FEATURES, N_FOLDS = 20, 5
N_INSTANTS = 5  # rows of an account, where it has several
ALIKE = 0.8  # of the noise of a row is that of its account
N_CANDIDATES = 20  # equal ones, on one test side
PRODUCTION_AUC = 0.75


def draw_scores(
    rng: np.random.Generator, y: Floats, rate: float, aucs: tuple[float, ...], accounts: Ints | None = None
) -> list[Floats]:
    """Calibrated probabilities of models with these true AUCs (equal-variance binormal), alike as real ones are."""
    common, scores = _noise(rng, y.size, accounts), []
    for auc in aucs:
        gap = float(np.sqrt(2) * norm.ppf(auc))
        margin = gap * y + np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * _noise(rng, y.size, accounts)
        scores.append(np.asarray(expit(np.log(rate / (1 - rate)) + gap * margin - gap**2 / 2), dtype=np.float64))
    return scores


def _noise(rng: np.random.Generator, n: int, accounts: Ints | None) -> Floats:
    """Of variance 1; rows of one account have most of it in common."""
    if accounts is None:
        return rng.normal(size=n)
    own = rng.normal(size=int(accounts.max()) + 1)[accounts]
    return np.asarray(np.sqrt(ALIKE) * own + np.sqrt(1 - ALIKE) * rng.normal(size=n), dtype=np.float64)


def draw_labels(rng: np.random.Generator, n: int, rate: float, instants: int = 1) -> tuple[Floats, Ints]:
    """Labels and accounts of n rows; of several instants an account churns at about half of them, or at none."""
    accounts = np.arange(n) // instants
    if instants == 1:
        return (rng.random(n) < rate).astype(np.float64), accounts
    churner = rng.random(int(accounts.max()) + 1) < 2 * rate
    return (churner[accounts] & (rng.random(n) < 0.5)).astype(np.float64), accounts


def draw_evidence(
    rng: np.random.Generator,
    n: int,
    rate: float,
    *,
    auc: float = 0.77,
    baseline_auc: float = 0.74,
    production_auc: float | None = None,
    same_recipe: bool = False,
    instants: int = 1,
) -> Evidence:
    """Evidence with a planted truth: calibrated models, stable features, no drift."""
    y, accounts = draw_labels(rng, n, rate, instants)
    noise_of = accounts if instants > 1 else None
    aucs = (auc, baseline_auc, production_auc or 0.5)
    p, p_baseline, p_production = draw_scores(rng, y, rate, aucs, noise_of)
    everyone = (rng.random(4000) < rate).astype(np.float64)
    importances = np.sort(rng.gamma(1.0, size=N_FEATURES))[::-1] * rng.uniform(0.9, 1.1, (N_FOLDS, N_FEATURES))
    production = Production(1, p_production, np.ones(n, dtype=bool), same_recipe) if production_auc else None
    return Evidence(
        y=y,
        accounts=accounts,
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
    point: float  # the point value lies .005 above production's
    mlflow: float  # mlflow.validate_evaluation_results lets it pass, by the same difference and the same minimum


def study(
    n: int,
    rate: float,
    difference: float,
    *,
    same_recipe: bool,
    runs: int,
    seed: int,
    instants: int = 1,
    peers: bool = False,
) -> Rates:
    """Judge `runs` drawn candidates against a production model of AUC .75 under the default config."""
    rng, config, gates = np.random.default_rng(seed), EvaluationConfig(), PointGates(mlflow=peers)
    judged: list[Judgement] = []
    for _ in range(runs):
        evidence = draw_evidence(
            rng,
            n,
            rate,
            auc=PRODUCTION_AUC + difference,
            production_auc=PRODUCTION_AUC,
            same_recipe=same_recipe,
            instants=instants,
        )
        judged.append(judge(evidence, config, n_draws=0))
        gates.look(evidence)
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
        point=gates.point_share,
        mlflow=gates.mlflow_share,
    )


def _share(judged: list[Judgement], recommendation: Recommendation) -> float:
    return float(np.mean([judgement.recommendation is recommendation for judgement in judged]))


def _stated(judgement: Judgement, difference: float) -> float:
    power = judgement.power
    stated = power.equal if difference == 0 else power.better if difference > 0 else power.worse
    return float("nan") if stated is None else stated


@dataclass(frozen=True)
class Coverage:
    """Shares of runs, 0..1, whose 95 % interval holds the true value."""

    auc: float
    difference: float


def coverage(n: int, rate: float, *, runs: int, seed: int, instants: int = 1) -> Coverage:
    """Intervals of the AUC and of the difference to production, as the checks tell them; the truth is drawn from."""
    rng, truth = np.random.default_rng(seed), (0.77, 0.02)
    held = np.zeros((runs, 2))
    for run in range(runs):
        evidence = draw_evidence(rng, n, rate, auc=truth[0], production_auc=truth[0] - truth[1], instants=instants)
        judgement = judge(evidence, EvaluationConfig(), n_draws=0)
        for at, check in enumerate((judgement.checks[0], judgement.checks[2])):
            held[run, at] = check.interval is not None and check.interval.low <= truth[at] <= check.interval.high
    return Coverage(*map(float, held.mean(axis=0)))


@dataclass(frozen=True)
class Looks:
    """Shares of rounds, 0..1, in which any of 20 equal candidates passes `better` on one test side."""

    in_turn: float  # each judged as it comes
    best_last: float  # all tried as advisory first, then the best submitted
    unpaid: float  # each at 95 %, as if it were the first
    point: float  # any point value .005 above production's


def looks(n: int, rate: float, *, runs: int, seed: int) -> Looks:
    """Candidates that are truly equal to production, counted by the ledger of looks."""
    rng, config = np.random.default_rng(seed), EvaluationConfig()
    rounds = np.zeros((runs, 4))
    for at in range(runs):
        found = _round(rng, n, rate, config)
        passed = np.array([paid for _, paid, _ in found])
        best = int(np.argmax([estimate for estimate, _, _ in found]))
        rounds[at] = (
            passed.any(),
            passed[best],
            any(unpaid for _, _, unpaid in found),
            any(estimate > 0.005 for estimate, _, _ in found),
        )
    return Looks(*map(float, rounds.mean(axis=0)))


def _round(rng: np.random.Generator, n: int, rate: float, config: EvaluationConfig) -> list[tuple[float, bool, bool]]:
    """For each candidate the estimate, whether it passes at its look, and whether it would at the first."""
    y, accounts = draw_labels(rng, n, rate)
    production, *candidates = draw_scores(rng, y, rate, (PRODUCTION_AUC,) * (N_CANDIDATES + 1))
    churners, judged, found = np.flatnonzero(y == 1), list[tuple[str, int, Ints | None]](), []
    for number, p in enumerate(candidates):
        look = Look(*count_looks(churners, judged, f"candidate {number}"))
        judged.append((f"candidate {number}", number, churners))
        checks = [check_production(_comparison(y, accounts, p, production, each), config) for each in (look, Look())]
        paid, unpaid = (check.verdict is Verdict.PASS for check in checks)
        found.append((float(checks[0].estimate or 0.0), paid, unpaid))
    return found


def _comparison(y: Floats, accounts: Ints, p: Floats, production: Floats, look: Look) -> Evidence:
    """What the deciding check reads, and nothing else."""
    nothing = np.empty(0)
    return Evidence(
        y=y,
        accounts=accounts,
        p_model=p,
        p_baseline=p,
        development_churn_rate=float(y.mean()),
        reference_scores=nothing,
        active_scores=nothing,
        fold_importances=np.empty((0, 0)),
        feature_names=(),
        production=Production(1, production, np.ones(y.size, dtype=bool)),
        look=look,
    )


# ---- tables --------------------------------------------------------------------------------------------------------

_HEAD = ("rows", "churn", "rule", "true", "passes", "promote", "reject", "stated", "c", "point", "mlflow")


def _rates(runs: int, seed: int, *, instants: int) -> Iterator[str]:
    yield "{:>6} {:>6} {:<10} {:>5} {:>7} {:>8} {:>7} {:>7} {:>6} {:>7} {:>7}".format(*_HEAD)
    for n, rate in SETTINGS:
        for difference in DIFFERENCES:
            yield _line(
                study(n, rate, difference, same_recipe=False, runs=runs, seed=seed, instants=instants, peers=True)
            )


def _margin(runs: int, seed: int) -> Iterator[str]:
    """`not_worse` for a twin, and at a true loss that equals its margin."""
    yield "{:>6} {:>6} {:<10} {:>5} {:>7} {:>8} {:>7} {:>7} {:>6} {:>7} {:>7}".format(*_HEAD)
    for n, rate in SETTINGS:
        for difference in (0.0, -EvaluationConfig().not_worse_margin):
            yield _line(study(n, rate, difference, same_recipe=True, runs=runs, seed=seed))


def _line(r: Rates) -> str:
    return (
        f"{r.n:>6} {r.rate:>6.0%} {r.rule:<10} {r.difference:>+5.2f} {r.passes:>7.1%} {r.promoted:>8.1%} "
        f"{r.rejected:>7.1%} {r.stated_power:>7.1%} {r.se_constant:>6.3f} {r.point:>7.1%} {r.mlflow:>7.1%}"
    )


def _coverage(runs: int, seed: int) -> Iterator[str]:
    yield "{:>6} {:>6} {:>8} {:>7} {:>11}".format("rows", "churn", "instants", "AUC", "difference")
    for n, rate in SETTINGS:
        for instants in (1, N_INSTANTS):
            found = coverage(n, rate, runs=runs, seed=seed, instants=instants)
            yield f"{n:>6} {rate:>6.0%} {instants:>8} {found.auc:>7.1%} {found.difference:>11.1%}"


def _looks(runs: int, seed: int) -> Iterator[str]:
    yield f"any of {N_CANDIDATES} equal candidates passes on one test side"
    yield "{:>6} {:>6} {:>8} {:>10} {:>7} {:>7}".format("rows", "churn", "in turn", "best last", "unpaid", "point")
    for n, rate in SETTINGS:
        r = looks(n, rate, runs=runs, seed=seed)
        yield f"{n:>6} {rate:>6.0%} {r.in_turn:>8.1%} {r.best_last:>10.1%} {r.unpaid:>7.1%} {r.point:>7.1%}"


def _small(runs: int, seed: int) -> Iterator[str]:
    yield "1,500 accounts, 100 churners, logistic regression by the whole recipe, cross-fitted"
    yield "{:>9} {:>8} {:>12} {:>7} {:>8} {:>9} {:>9}".format(
        "true AUC", "promote", "provisional", "hold", "reject", "mean AUC", "coverage"
    )
    for auc in (0.766, 0.652):  # so that what is trained on so few accounts truly reaches .75 and .62
        r = small_business(auc, runs=runs, seed=seed)
        yield (
            f"{r.true_auc:>9.3f} {r.promoted:>8.1%} {r.provisional:>12.1%} {r.held:>7.1%} {r.rejected:>8.1%} "
            f"{r.mean_auc:>9.3f} {r.coverage:>9.1%}"
        )


STUDIES: dict[str, Callable[[int, int], Iterator[str]]] = {
    "rates": partial(_rates, instants=1),
    "instants": partial(_rates, instants=N_INSTANTS),
    "margin": _margin,
    "coverage": _coverage,
    "looks": _looks,
    "small": _small,
}


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", nargs="*", choices=[*STUDIES, []], help="by default all")
    parser.add_argument("--runs", type=int, default=1000, help="of each cell")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    for name in asked.study or STUDIES:
        started = time.perf_counter()
        print(f"{name}: {asked.runs} runs a cell, seed {asked.seed}; production AUC {PRODUCTION_AUC}; shares of runs")
        for line in STUDIES[name](asked.runs, asked.seed):
            print(line, flush=True)
        print(f"{time.perf_counter() - started:.0f} s\n", flush=True)


if __name__ == "__main__":
    main()
