import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from app.ml.frame import Feature, FeatureKind, Floats, Frame
from app.ml.profile import Counts, Profile, build_profile, count_frame

FEATURES = (
    Feature("spend", FeatureKind.NUMERIC),
    Feature("trial", FeatureKind.BOOLEAN),
    Feature("plan", FeatureKind.CATEGORICAL),
)


def make_frame(spend: Sequence[float | None], trial: Sequence[bool | None], plan: Sequence[str | None]) -> Frame:
    table = pa.table(
        {
            "spend": pa.array(spend, pa.float64()),
            "trial": pa.array(trial, pa.bool_()),
            "plan": pa.array(plan, pa.string()),
        }
    )
    return Frame(accounts=pa.array([str(i) for i in range(len(spend))]), features=table)


@pytest.fixture
def frame() -> Frame:
    rng = np.random.default_rng(1)
    spend = [None if rng.random() < 0.1 else float(x) for x in rng.lognormal(size=1000)]
    trial = [None if rng.random() < 0.2 else bool(rng.random() < 0.3) for _ in range(1000)]
    plan = [("free", "basic", "pro", None)[i] for i in rng.choice(4, 1000, p=[0.5, 0.3, 0.15, 0.05])]
    return make_frame(spend, trial, plan)


@pytest.fixture
def scores() -> Floats:
    return np.random.default_rng(2).beta(1, 5, 1000)


def test_bins_hold_every_row_and_missing_is_last(frame: Frame, scores: Floats) -> None:
    spend, trial, plan = build_profile(frame, FEATURES, scores).features
    assert spend.n_bins == 11
    assert spend.counts[-1] == frame.features.column("spend").null_count
    assert max(spend.counts[:-1]) - min(spend.counts[:-1]) <= 1
    values = frame.features.column("trial").to_pylist()
    assert trial.levels == ("false", "true")
    assert trial.counts == (values.count(False), values.count(True), 0, values.count(None))
    values = frame.features.column("plan").to_pylist()
    assert plan.levels == ("free", "basic", "pro")
    assert plan.counts == (values.count("free"), values.count("basic"), values.count("pro"), 0, values.count(None))


def test_counting_the_reference_gives_the_profile_again(frame: Frame, scores: Floats) -> None:
    profile = build_profile(frame, FEATURES, scores)
    counts = count_frame(profile, frame, scores)
    assert counts.n_rows == profile.n_rows == 1000
    for feature in profile.features:
        assert tuple(counts.features[feature.name].tolist()) == feature.counts
    assert tuple(counts.scores.tolist()) == profile.scores.counts


def test_counts_of_chunks_add_up_to_the_whole(frame: Frame, scores: Floats) -> None:
    profile = build_profile(frame, FEATURES, scores)
    first, rest = np.arange(300), np.arange(300, 1000)
    together = count_frame(profile, frame.take(first), scores[first]) + count_frame(
        profile, frame.take(rest), scores[rest]
    )
    assert together.to_json() == count_frame(profile, frame, scores).to_json()


def test_json_round_trip_is_exact(frame: Frame, scores: Floats) -> None:
    profile = build_profile(frame, FEATURES, scores)
    assert Profile.from_json(json.loads(json.dumps(profile.to_json(), allow_nan=False))) == profile
    counts = count_frame(profile, frame, scores)
    assert Counts.from_json(json.loads(json.dumps(counts.to_json()))).to_json() == counts.to_json()


def test_unseen_levels_count_as_other_and_odd_numbers_as_missing(frame: Frame, scores: Floats) -> None:
    profile = build_profile(frame, FEATURES, scores)
    odd = make_frame([float("inf"), float("nan"), -1e300, None], [True, None, None, None], ["gold", "pro", None, ""])
    counts = count_frame(profile, odd, np.full(4, 0.5))
    assert counts.features["spend"][[0, -1]].tolist() == [1, 3]
    assert counts.features["plan"].tolist() == [0, 0, 1, 2, 1]
    assert counts.features["trial"].tolist() == [0, 1, 0, 3]


def test_tied_numbers_share_a_bin() -> None:
    spend = [0.0] * 80 + [float(i) for i in range(1, 21)]
    profile = build_profile(make_frame(spend, [True] * 100, ["a"] * 100), FEATURES, np.linspace(0, 1, 100))
    assert profile.features[0].counts == (80, 10, 10, 0)


def test_a_feature_that_is_always_missing_has_one_bin_and_missing() -> None:
    profile = build_profile(make_frame([None] * 5, [None] * 5, [None] * 5), FEATURES, np.full(5, 0.2))
    assert [feature.counts for feature in profile.features] == [(0, 5), (0, 0, 0, 5), (0, 5)]


def test_rare_levels_beyond_a_hundred_share_other() -> None:
    plan = [f"level {i:03}" for i in range(150)] + ["level 149"]
    profile = build_profile(make_frame([1.0] * 151, [True] * 151, plan), FEATURES, np.linspace(0, 1, 151))
    assert profile.features[2].levels[0] == "level 149"
    assert len(profile.features[2].levels) == 100
    assert profile.features[2].counts[-2:] == (50, 0)
