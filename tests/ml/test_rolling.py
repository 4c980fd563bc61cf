"""Scores through time, against a slow and obvious loop over rows that asserts what was known when."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as theirs

from app.ml.calibration import fit_platt
from app.ml.encoding import Matrix
from app.ml.frame import Floats
from app.ml.kinds.models import Learner, Model, ModelKind, make_learner
from app.ml.rolling import MAX_ORIGINS, TOO_FEW, UNDATED, RollingOrigins, roll
from app.ml.rows import Rows, prepare
from app.schemas.config import ModelConfig, ModelType
from tests.ml.dated import GAP, START, dated
from tests.ml.planted import Data, planted

N_ROUNDS = 12


@dataclass(frozen=True)
class Watched:
    """A learner that also notes the days of the rows it is given."""

    learner: Learner
    days: list[Floats] = field(default_factory=list)

    @property
    def params(self) -> dict[str, Any]:
        return self.learner.params

    @property
    def n_rounds(self) -> int:
        return self.learner.n_rounds

    def fit(self, X: Matrix, y: Floats, *, n_rounds: int, n_threads: int) -> Model:
        self.days.append(X[:, 0].astype(np.float64))
        return self.learner.fit(X, y, n_rounds=n_rounds, n_threads=n_threads)


def rows_of(data: Data) -> Rows:
    every = np.ones(len(data.frame), dtype=np.bool_)
    return prepare(data.frame, data.sides, data.features, every, n_folds=5, seed=1)


def rolled(rows: Rows, learner: Learner, gap: timedelta = GAP, n_threads: int = 1) -> RollingOrigins:
    return roll(learner, rows, N_ROUNDS, gap, n_threads=n_threads, progress=lambda _share: None)


@pytest.mark.parametrize("kind", [ModelKind.LOGISTIC, ModelKind.XGBOOST])
def test_scores_are_those_of_a_slow_loop_that_never_looks_ahead(kind: ModelKind) -> None:
    rows = rows_of(dated())
    learner = make_learner(kind, ModelConfig())
    found = rolled(rows, learner)
    assert rows.frame.as_of is not None
    at = rows.frame.as_of.to_pylist()
    development = [i for i in range(len(at)) if rows.sides[i] != "test"]
    fold_of = dict(zip(development, rows.folds.tolist(), strict=True))
    known = sorted({at[i] for i in development})
    expected = [origin for origin in known if any(at[i] + GAP <= origin for i in development)][-MAX_ORIGINS:]
    assert [each.as_of for each in found.origins] == expected
    for each in found.origins:
        past = [i for i in development if at[i] + GAP <= each.as_of]
        here = [i for i in development if at[i] == each.as_of]
        assert max(at[i] for i in past) <= each.as_of - GAP
        margins = np.empty(len(past))
        for half in (0, 1):
            out = np.array([fold_of[i] % 2 == half for i in past])
            inside = [i for i, held in zip(past, out, strict=True) if not held]
            model = learner.fit(rows.X[inside], rows.y[inside], n_rounds=N_ROUNDS, n_threads=1)
            margins[out] = model.margins(rows.X[[i for i, held in zip(past, out, strict=True) if held]])
        final = learner.fit(rows.X[past], rows.y[past], n_rounds=N_ROUNDS, n_threads=1)
        p, y = fit_platt(margins, rows.y[past]).apply(final.margins(rows.X[here])), rows.y[here]
        assert (each.n_fit, each.n, each.n_churners) == (len(past), len(here), y.sum())
        assert each.roc_auc == pytest.approx(theirs.roc_auc_score(y, p))
        assert each.log_loss == pytest.approx(theirs.log_loss(y, p))
        assert each.mean_error == pytest.approx(p.mean() - y.mean())


@pytest.mark.parametrize("gap_days", [0, 1, 30, 45, 75])
def test_no_fit_sees_a_row_whose_outcome_was_open(gap_days: int) -> None:
    watched = Watched(make_learner(ModelKind.LOGISTIC, ModelConfig()))
    found = rolled(rows_of(dated()), watched, timedelta(days=gap_days))
    assert len(watched.days) == 3 * len(found.origins) > 0
    for at, days in enumerate(watched.days):
        origin = found.origins[at // 3].as_of
        assert START + timedelta(days=float(days.max()) + gap_days) <= origin
        assert START + timedelta(days=float(days.max())) < origin  # of its own rows even where labels need no time


def test_rows_that_came_later_change_nothing() -> None:
    """Other labels and values at and after an origin leave the scores of the origins before it as they are."""
    data = dated()
    learner = make_learner(ModelKind.LIGHTGBM, ModelConfig())
    rows = rows_of(data)
    before = rolled(rows, learner)
    last = before.origins[-1]
    assert rows.frame.as_of is not None
    late = np.array([each >= last.as_of for each in rows.frame.as_of.to_pylist()])
    X = rows.X.copy()
    X[late, 1] = -X[late, 1]
    after = rolled(replace(rows, X=X, y=np.where(late, 1 - rows.y, rows.y)), learner)
    assert after.origins[:-1] == before.origins[:-1]
    assert after.origins[-1].n_fit_churners == last.n_fit_churners
    assert after.origins[-1].roc_auc != last.roc_auc


def test_of_many_rows_those_of_some_accounts_are_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ml.rolling.MAX_FIT_ROWS", 600)
    watched = Watched(make_learner(ModelKind.LOGISTIC, ModelConfig()))
    found = rolled(rows_of(dated()), watched)
    for at, each in enumerate(found.origins):
        days, counts = np.unique(watched.days[3 * at + 2], return_counts=True)
        assert each.n_fit == counts.sum() == pytest.approx(600, abs=9)
        assert (counts == counts[0]).all()  # whole accounts: as many rows at each instant
        assert START + timedelta(days=float(days.max())) + GAP <= each.as_of
        assert each.n == 300


def test_threads_have_no_effect() -> None:
    rows, learner = rows_of(dated()), make_learner(ModelKind.XGBOOST, ModelConfig())
    assert rolled(rows, learner, n_threads=2) == rolled(rows, learner)


def test_mean_and_standard_deviation_over_the_origins() -> None:
    found = rolled(rows_of(dated()), make_learner(ModelKind.LOGISTIC, ModelConfig()))
    told = found.to_json()
    aucs = [each["roc_auc"] for each in told["origins"]]
    assert len(aucs) == MAX_ORIGINS
    assert told["mean"]["roc_auc"] == pytest.approx(np.mean(aucs))
    assert told["sd"]["roc_auc"] == pytest.approx(np.std(aucs, ddof=1))
    assert told["gap_days"] == 45
    for each in told["origins"]:
        assert each["roc_auc_interval"][0] < each["roc_auc"] < each["roc_auc_interval"][1]
        assert each["mean_error"] == pytest.approx(each["mean_probability"] - each["churn_rate"])


def test_data_without_dates_or_without_a_past_have_no_origins() -> None:
    learner = make_learner(ModelKind.LOGISTIC, ModelConfig())
    assert rolled(rows_of(planted(200)), learner).to_json() == {"origins": [], "reason": UNDATED}
    assert rolled(rows_of(dated()), learner, timedelta(days=4000)).reason == TOO_FEW
    assert rolled(rows_of(dated(n_accounts=60)), learner, timedelta(days=235)).reason == TOO_FEW


def test_a_training_of_dated_rows_tells_of_time_and_one_of_undated_rows_says_why_not() -> None:
    found = dated().train(ModelConfig(model_type=ModelType.LIGHTGBM), gap=GAP)
    assert found.primary.origins is not None
    assert [each.as_of for each in found.primary.origins.origins][-1] < datetime(2024, 9, 1, tzinfo=UTC)
    assert found.baseline.origins is not None
    assert len(found.baseline.origins.origins) == len(found.primary.origins.origins)
    undated = planted(300).train(ModelConfig(model_type=ModelType.LOGISTIC))
    assert undated.primary.origins is not None
    assert undated.primary.origins.reason == UNDATED
