"""That honest features tell of churn, and boosted trees more than a linear model: figures on 20,000 accounts."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from app.simulator import SimulatorConfig, make_block, truth_blocks
from app.stats.arrays import Floats
from app.stats.ranking import auc, auc_difference
from tests.simulator.facts import Facts

CONFIG = SimulatorConfig()
TRAINED_AT, TESTED_AT = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC)
WINDOWS_DAYS = (7, 30, 90)
NO_EVENT_DAYS = 999.0
TRAITS = ["contract", "seats", "has_integration", "yearly_increase_pct", "admin_number", "industry", "country", "plan"]


def known_before(rows: pd.DataFrame, happened: str, as_of: datetime) -> pd.DataFrame:
    return rows[(rows[happened] < as_of) & (rows["recorded_at"] < as_of)]


def newest(rows: pd.DataFrame, happened: str) -> pd.DataFrame:
    return rows.sort_values(happened).drop_duplicates("account_id", keep="last").set_index("account_id")


def features(facts: Facts, accounts: "pd.Index[str]", as_of: datetime) -> pd.DataFrame:
    """Traits, tenure, counts in windows and recency by kind, as known at an instant."""
    made = newest(known_before(facts.accounts, "valid_from", as_of), "valid_from").reindex(accounts)
    made["plan"] = newest(known_before(facts.subscriptions, "started_at", as_of), "started_at")["plan"]
    columns = pd.get_dummies(made[TRAITS], dtype=float)
    columns["tenure_days"] = (as_of - made["created_at"]).dt.days
    for kind, rows in known_before(facts.events, "occurred_at", as_of).groupby("kind"):
        for days in WINDOWS_DAYS:
            recent = rows[rows["occurred_at"] >= as_of - timedelta(days=days)]
            columns[f"{kind}_{days}d"] = recent.groupby("account_id").size().reindex(accounts).fillna(0)
        last = rows.groupby("account_id")["occurred_at"].max().reindex(accounts)
        columns[f"{kind}_recency_days"] = (as_of - last).dt.days.fillna(NO_EVENT_DAYS)
    numbers: pd.DataFrame = columns.astype(float)
    return numbers


def truth_at(as_of: datetime) -> pd.DataFrame:
    truth: pd.DataFrame = pa.concat_tables(truth_blocks(CONFIG, as_of)).to_pandas().set_index("account_id")
    return truth


def predict(model: object, train: tuple[pd.DataFrame, pd.DataFrame], test: pd.DataFrame) -> Floats:
    made, truth = train
    fitted = model.fit(made.to_numpy(), truth["churned"].astype(int))  # type: ignore[attr-defined]  # of scikit-learn
    return np.asarray(fitted.predict_proba(test[made.columns].to_numpy())[:, 1], dtype=np.float64)


@pytest.mark.slow
def test_trees_beat_a_linear_model_and_the_truth_beats_both() -> None:
    facts, then, now = Facts.of(make_block(CONFIG, 0)), truth_at(TRAINED_AT), truth_at(TESTED_AT)
    train, test = (features(facts, truth.index, at) for truth, at in ((then, TRAINED_AT), (now, TESTED_AT)))
    trees = XGBClassifier(max_depth=4, learning_rate=0.05, n_estimators=200, subsample=0.8, random_state=1, n_jobs=1)
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    by_trees, by_line = (predict(model, (train, then), test) for model in (trees, linear))
    churned = now["churned"].to_numpy(dtype=float)
    assert 0.08 < churned.mean() < 0.15
    assert auc(churned, now["p"].to_numpy()) > 0.88
    assert auc(churned, by_trees) > 0.82
    assert auc_difference(churned, by_trees, by_line).interval(0.95).low > 0.01
