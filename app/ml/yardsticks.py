"""What is reported beside the figures of a model: all three baselines, and how it does through time."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa

from app.ml.baselines import Baseline, compare
from app.ml.bundle import Bundle
from app.ml.kinds.blend import BOOSTER, LOGISTIC, SHALLOW, BlendModel, SettledBlendLearner
from app.ml.kinds.models import Learner, ModelKind, make_learner
from app.ml.kinds.params import shallow_config
from app.ml.report import TrainingResult, clusters_of
from app.ml.rolling import UNDATED, RollingOrigins, roll
from app.ml.rows import Rows
from app.ml.single_rule import find_rule
from app.schemas.config import ModelConfig, ModelType


def with_yardsticks(
    result: TrainingResult,
    rows: Rows,
    model: ModelConfig,
    *,
    gap: timedelta | None,
    n_threads: int,
    progress: Callable[[float], None],
) -> TrainingResult:
    """The result with baselines and scores through time in the report of each model.

    Parameters
    ----------
    result : TrainingResult
        Of these rows.
    rows : Rows
        The baselines are found on the development rows, and judged on the test rows.
    model : ModelConfig
        As it was trained with; parameters that were found since are those of the bundle.
    gap : timedelta or None
        Lead, horizon and grace; None in undated data.
    n_threads : int
        Has no effect on the result.
    progress : callable
        Told the share done, 0..1.
    """
    test, found = ~rows.development, []
    simple = [_base_rate(rows), _single_rule(rows)]
    for at, fitted in enumerate((result.primary, result.baseline)):
        origins = RollingOrigins(reason=UNDATED)
        if gap is not None:
            learner, said = _learner(fitted.bundle, model), _half(progress, at)
            origins = roll(learner, rows, fitted.n_rounds, gap, n_threads=n_threads, progress=said)
        beside = [each for each in (*_logistic(result, rows), *simple) if each.name != fitted.bundle.kind.value]
        p, clusters = rows.from_caller_order(fitted.test_probabilities, test), clusters_of(rows, test)
        compared = compare(p, beside, rows.y[test], rows.churn_rate, clusters)
        found.append(replace(fitted, baselines=tuple(compared), origins=origins))
    progress(1.0)
    return replace(result, primary=found[0], baseline=found[1])


def _half(progress: Callable[[float], None], at: int) -> Callable[[float], None]:
    return lambda share: progress((at + share) / 2)


def _learner(bundle: Bundle, model: ModelConfig) -> Learner:
    """The learner that fitted the bundle, with the parameters it settled on."""
    if bundle.kind is ModelKind.BASE_RATE:
        return make_learner(bundle.kind, model)
    if bundle.kind is not ModelKind.BLEND:
        return make_learner(bundle.kind, model.model_copy(update={f"{bundle.kind.value}_params": dict(bundle.params)}))
    parts = {name: params for name, params in bundle.params.items() if name.endswith("_params")}
    settled = model.model_copy(update=parts)
    booster = ModelKind(bundle.params["booster"])
    learners = {
        BOOSTER: make_learner(booster, settled),
        SHALLOW: make_learner(booster, shallow_config(model, ModelType(booster.value))),
        LOGISTIC: make_learner(ModelKind.LOGISTIC, settled),
    }
    return SettledBlendLearner(BlendModel.from_files(bundle.files, n_threads=1), learners, dict(bundle.params))


def _logistic(result: TrainingResult, rows: Rows) -> list[Baseline]:
    if result.baseline.bundle.kind is not ModelKind.LOGISTIC:
        return []
    p = rows.from_caller_order(result.baseline.test_probabilities, ~rows.development)
    return [Baseline("logistic", "logistic regression", p)]


def _base_rate(rows: Rows) -> Baseline:
    words = f"the base rate ({rows.churn_rate:.1%} for every account)"
    return Baseline("base_rate", words, np.full(int((~rows.development).sum()), rows.churn_rate))


def _single_rule(rows: Rows) -> Baseline:
    development, features = rows.development, rows.fitted.encoder.features
    rule = find_rule(rows.frame.features.filter(pa.array(development)), rows.y[development], rows.folds, features)
    table = rows.frame.features.filter(pa.array(~development))
    words = f"the single rule “{rule.words}”"
    return Baseline("single_rule", words, rule.probabilities(table), rule.flags(table), {"rule": rule.to_json()})
