"""A business of 1,500 accounts and 100 churners: the whole recipe is trained, refitted in folds and judged."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.stats import norm

from app.ml.cross_fitting import Recipe, deal_repeats, refit
from app.ml.frame import Feature, FeatureKind, Frame
from app.ml.gate import Check, CrossFit, Evidence, Judgement, Recommendation, judge
from app.ml.scorer import Scorer
from app.ml.split import deal_sides
from app.ml.trainer import train
from app.schemas.config import EvaluationConfig, ModelConfig, TrainingConfig
from app.stats.ranking import auc

N_ACCOUNTS, N_CHURNERS, N_FEATURES = 1500, 100, 6
N_FRESH = 20_000  # accounts that tell how good a trained model truly is
QUIET = TrainingConfig(shap=False)
RECIPE = Recipe(
    ModelConfig.model_validate({"model_type": "logistic"}),
    QUIET.n_folds,
    tuple(Feature(f"x{i}", FeatureKind.NUMERIC) for i in range(N_FEATURES)),
)


@dataclass(frozen=True)
class Small:
    """Shares of runs, 0..1.

    Attributes
    ----------
    true_auc : mean AUC of the trained models on fresh accounts
    mean_auc : mean of what the gate said
    coverage : runs whose 95 % interval holds `true_auc`
    """

    promoted: float
    provisional: float
    held: float
    rejected: float
    true_auc: float
    mean_auc: float
    coverage: float


def draw_business(rng: np.random.Generator, n_churners: int, n_stayed: int, best_auc: float) -> Frame:
    """Accounts of whom the best that can be known has this AUC; half of the columns tell nothing."""
    y = np.repeat([1.0, 0.0], [n_churners, n_stayed])
    gaps = np.zeros(N_FEATURES)
    gaps[: N_FEATURES // 2] = np.sqrt(2) * norm.ppf(best_auc) / np.sqrt(N_FEATURES // 2)
    X = rng.normal(size=(y.size, N_FEATURES)) + np.outer(y, gaps)
    columns = {f"x{i}": X[:, i] for i in range(N_FEATURES)}
    accounts = pa.array([f"a{i:06d}" for i in rng.permutation(y.size)])
    return Frame(accounts, pa.table(columns), y)


def judge_small(rng: np.random.Generator, best_auc: float) -> tuple[Judgement, float]:
    """Train, refit, judge as a first champion; and the AUC of the trained model on fresh accounts."""
    frame = draw_business(rng, N_CHURNERS, N_ACCOUNTS - N_CHURNERS, best_auc)
    y, seed = np.asarray(frame.churned, dtype=np.float64), int(rng.integers(2**31))
    sides = deal_sides(frame.accounts.to_pylist(), y, seed=seed)
    result = train(
        frame,
        sides,
        RECIPE.features,
        RECIPE.model,
        QUIET,
        profile_rows=sides != "test",
        progress=lambda step, share: None,
        n_threads=1,
    )
    folds, on_test = deal_repeats(frame, seed=seed), sides == "test"
    scores = refit(frame, folds, RECIPE, n_threads=1, progress=lambda share: None)
    scorer, share = Scorer(result.primary.bundle, n_threads=1), N_CHURNERS / N_ACCOUNTS
    active = draw_business(rng, N_CHURNERS, N_ACCOUNTS - N_CHURNERS, best_auc)
    fresh = draw_business(rng, int(share * N_FRESH), int((1 - share) * N_FRESH), best_auc)
    evidence = Evidence(
        y=y[on_test],
        accounts=np.flatnonzero(on_test),
        p_model=result.primary.test_probabilities,
        p_baseline=result.baseline.test_probabilities,
        development_churn_rate=result.development_churn_rate,
        reference_scores=result.primary.reference_scores,
        active_scores=scorer.score(active.features),
        fold_importances=result.primary.fold_importances,
        feature_names=result.primary.feature_names,
        baseline_is_model=True,
        cross_fit=CrossFit(y, folds, scores.primary, scores.baseline),
    )
    truth = auc(np.asarray(fresh.churned, dtype=np.float64), scorer.score(fresh.features))
    return judge(evidence, EvaluationConfig()), truth


def small_business(best_auc: float, *, runs: int, seed: int) -> Small:
    """What the gate says of a recipe whose best possible AUC this is; a trained model stays a little below."""
    rng = np.random.default_rng(seed)
    found = [judge_small(rng, best_auc) for _ in range(runs)]
    truth = float(np.mean([true_auc for _, true_auc in found]))
    judged = [judgement for judgement, _ in found]
    thresholds = [judgement.checks[0] for judgement in judged]
    promoted = np.array([each.recommendation is Recommendation.PROMOTE for each in judged])
    provisional = np.array([each.provisional for each in judged])
    return Small(
        promoted=float((promoted & ~provisional).mean()),
        provisional=float(provisional.mean()),
        held=float(np.mean([each.recommendation is Recommendation.HOLD for each in judged])),
        rejected=float(np.mean([each.recommendation is Recommendation.REJECT for each in judged])),
        true_auc=truth,
        mean_auc=float(np.mean([each.estimate for each in thresholds])),
        coverage=_covered(thresholds, truth),
    )


def _covered(checks: list[Check], truth: float) -> float:
    return float(np.mean([c.interval is not None and c.interval.low <= truth <= c.interval.high for c in checks]))
