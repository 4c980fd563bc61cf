from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from app.ml.frame import Feature, FeatureKind, Floats, Frame
from app.ml.split import deal_sides
from app.ml.trainer import TrainingResult
from app.sample import (
    AS_OF,
    HORIZON_DAYS,
    LATER_AS_OF,
    NEW_CHANNEL,
    Sample,
    make_sample,
    true_log_odds,
    write_csv,
)
from app.schemas.config import ModelConfig
from app.stats.calibration import calibration_line
from app.stats.ranking import auc_difference
from app.stats.ranks import rank_agreement
from tests.ml.planted import Data

KEYS = ("account_id", "as_of", "churned")


@pytest.fixture(scope="module")
def sample() -> Sample:
    return make_sample()


def labels(table: pa.Table) -> Floats:
    return np.array([np.nan if label is None else float(label) for label in table["churned"].to_pylist()])


def as_data(table: pa.Table, seed: int) -> Data:
    known = table.filter(table["churned"].is_valid())
    kinds = {pa.bool_(): FeatureKind.BOOLEAN, pa.string(): FeatureKind.CATEGORICAL, pa.float64(): FeatureKind.NUMERIC}
    features = tuple(Feature(field.name, kinds[field.type]) for field in known.schema if field.name not in KEYS)
    accounts, churned = known["account_id"].combine_chunks(), labels(known)
    frame = Frame(accounts, known.drop_columns(list(KEYS)), churned)
    return Data(frame, deal_sides(accounts.to_pylist(), churned, seed=seed), features)


def test_one_row_per_account_at_one_instant_with_nearly_all_labels(sample: Sample) -> None:
    table = sample.snapshots
    assert table.num_rows == len(set(table["account_id"].to_pylist())) == 20_000
    assert set(table["as_of"].to_pylist()) == {AS_OF}
    assert 0 < table["churned"].null_count < 0.01 * 20_000


def test_labels_follow_the_true_probability(sample: Sample) -> None:
    churned = labels(sample.snapshots)
    known = ~np.isnan(churned)
    line = calibration_line(churned[known], sample.probabilities[known])
    assert line.slope_interval(0.999).low < 1 < line.slope_interval(0.999).high
    assert 0.15 < np.nanmean(churned) < 0.25


def test_the_later_month_drifted_and_has_no_labels(sample: Sample) -> None:
    later = sample.later
    assert later.schema == sample.snapshots.schema
    assert later["churned"].null_count == later.num_rows
    assert set(later["as_of"].to_pylist()) == {LATER_AS_OF}
    assert AS_OF + timedelta(days=HORIZON_DAYS) < LATER_AS_OF
    assert NEW_CHANNEL in later["channel"].to_pylist()
    assert NEW_CHANNEL not in sample.snapshots["channel"].to_pylist()
    assert sample.later_probabilities.mean() > sample.probabilities.mean() + 0.02


def test_who_churned_is_not_seen_again(sample: Sample) -> None:
    churned = sample.snapshots.filter(pa.array(labels(sample.snapshots) == 1))["account_id"].to_pylist()
    assert not set(churned) & set(sample.later["account_id"].to_pylist())


def test_outcomes_are_reported_at_the_end_of_the_horizon(sample: Sample) -> None:
    assert sample.outcomes["account_id"].to_pylist() == sample.later["account_id"].to_pylist()
    assert set(sample.outcomes["observed_at"].to_pylist()) == {LATER_AS_OF + timedelta(days=HORIZON_DAYS)}
    rate = np.mean(sample.outcomes["churned"].to_pylist())
    assert rate == pytest.approx(sample.later_probabilities.mean(), abs=0.015)


def test_values_are_missing_where_it_says_so(sample: Sample) -> None:
    missing = {name for name in sample.snapshots.column_names if sample.snapshots[name].null_count}
    assert missing == {"nps", "last_login_days", "monthly_fee", "feature_adoption", "churned"}


def test_the_truth_by_hand() -> None:
    """An annual account at renewal day 60 with one login per seat, half its features, no tickets, one year old."""
    account = {
        "contract": np.array(["annual"]),
        "days_to_renewal": np.array([60.0]),
        "logins_30d": np.array([10.0]),
        "seats": np.array([10.0]),
        "feature_adoption": np.array([0.5]),
        "tickets_90d": np.array([0.0]),
        "tenure_months": np.array([12.0]),
        "has_integration": np.array([False]),
        "nps": np.array([25.0]),
        "price_increase_pct": np.array([20.0]),
        "admin_changed": np.array([True]),
        "payment_failures_90d": np.array([3.0]),
    }
    can_leave, idle = np.exp(-1), 1 / (1 + np.exp(4 * (np.log(2) - 1.3)))
    expected = -4.1 + 3.6 * idle * can_leave + 0.9 * can_leave - 0.55 * np.log(2)
    assert true_log_odds(account)[0] == pytest.approx(expected)


def test_the_same_seed_gives_the_same_sample() -> None:
    assert make_sample(200, seed=3).later.equals(make_sample(200, seed=3).later)
    assert not make_sample(200, seed=3).snapshots.equals(make_sample(200, seed=4).snapshots)


def test_a_file_can_be_read_back(sample: Sample, tmp_path: Path) -> None:
    small = sample.snapshots.slice(0, 500)
    write_csv(small, tmp_path / "sample.csv")
    read = pyarrow.csv.read_csv(
        tmp_path / "sample.csv", convert_options=pyarrow.csv.ConvertOptions(column_types=small.schema)
    )
    assert read.equals(small)
    assert '"A000001",2025-03-01 00:00:00Z,' in (tmp_path / "sample.csv").read_text()


@pytest.fixture(scope="module")
def fitted(sample: Sample) -> tuple[Data, TrainingResult]:
    data = as_data(sample.snapshots, seed=1)
    return data, data.train(ModelConfig())


@pytest.mark.slow
def test_boosted_trees_honestly_beat_the_baseline(fitted: tuple[Data, TrainingResult]) -> None:
    data, result = fitted
    gain = auc_difference(data.y_test, result.primary.test_probabilities, result.baseline.test_probabilities)
    assert gain.interval(0.95).low > 0.01


@pytest.mark.slow
def test_the_trees_are_calibrated_and_agree_across_folds(fitted: tuple[Data, TrainingResult]) -> None:
    _, result = fitted
    assert 0.85 < result.metrics["test"]["calibration_slope"] < 1.15
    assert rank_agreement(result.primary.fold_importances).value > 0.9


@pytest.mark.slow
def test_region_and_channel_do_not_matter(fitted: tuple[Data, TrainingResult]) -> None:
    _, result = fitted
    assert set(list(result.primary.importances)[-5:]) >= {"region", "channel"}
