import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from app.ml.frame import Feature, FeatureKind, Floats, Frame
from app.ml.leaks.find import find_leaks
from app.ml.leaks.findings import Level
from app.ml.leaks.lead_time import Lagged
from app.ml.split import Sides
from benchmarks.leaks import study_noise
from tests.ml.leaks.build import UTC_US
from tests.ml.planted import planted, telco

LEAKS = {
    "refund_amount": FeatureKind.NUMERIC,  # filled once an account has left
    "state": FeatureKind.CATEGORICAL,  # the label in words
    "risk_note": FeatureKind.NUMERIC,  # the label with noise
    "closed_on": FeatureKind.CATEGORICAL,  # a date after as_of
}
HONEST = {"usage": FeatureKind.NUMERIC, "plan": FeatureKind.CATEGORICAL}
FEATURES = [Feature(name, kind) for name, kind in (LEAKS | HONEST).items()]


def draw(n: int = 3000, seed: int = 1) -> tuple[Frame, Sides]:
    """One row per account, four leaks beside two honest features."""
    rng = np.random.default_rng(seed)
    usage = rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(1.5 + usage))).astype(np.float64)
    columns = {
        "refund_amount": pa.array(rng.lognormal(size=n), mask=(y == 0) | (rng.random(n) < 0.9)),
        "state": pa.array(np.where(y == 1, "closed", "open")),
        "risk_note": pa.array(y + rng.normal(0, 0.2, n)),
        "closed_on": pa.array(np.where(rng.random(n) < 0.01, "2024-03-05", "2023-01-01")),
        "usage": pa.array(usage),
        "plan": pa.array(np.where(rng.random(n) < 0.5, "basic", "plus")),
    }
    as_of = pa.array([datetime(2024, 3, 1, tzinfo=UTC)] * n, UTC_US)
    accounts = pa.array([f"a{i}" for i in rng.permutation(n)])
    sides: Sides = rng.choice(np.array(["train", "validation", "test"]), n)
    return Frame(accounts, pa.table(columns), y, as_of), sides


@pytest.fixture(scope="module")
def data() -> tuple[Frame, Sides]:
    return draw()


def test_every_planted_leak_is_certain_and_honest_features_are_silent(data: tuple[Frame, Sides]) -> None:
    frame, sides = data
    found = find_leaks(frame, FEATURES, seed=1, sides=sides, source_positions=np.arange(len(frame)))
    assert {each.name for each in found if each.level is Level.CERTAIN} == {
        "closed_on:instant_after_as_of",
        "refund_amount:filled_only_for_churners",
        "risk_note:single_feature_auc",
        "state:recoding_of_label",
        "state:single_feature_auc",
    }
    assert not {each.feature for each in found} & set(HONEST)


def test_undated_data_know_no_instants(data: tuple[Frame, Sides]) -> None:
    found = find_leaks(replace(data[0], as_of=None), FEATURES, seed=1)
    assert "closed_on" not in {each.feature for each in found}


def test_certain_ones_come_first_and_the_seed_repeats_them(data: tuple[Frame, Sides]) -> None:
    frame, sides = data
    lagged = [
        Lagged(days, data[0].features.set_column(2, "risk_note", frame.features["usage"])) for days in (30.0, 60.0)
    ]
    found = find_leaks(frame, FEATURES, seed=1, sides=sides, lagged=lagged)
    levels = [each.level for each in found]
    assert levels == sorted(levels)  # 'certain' < 'suspected'
    assert levels[-1] is Level.SUSPECTED
    assert "risk_note:cliff_against_lead_time" in {each.name for each in found}
    assert found == find_leaks(frame, FEATURES, seed=1, sides=sides, lagged=lagged)
    json.dumps([each.to_json() for each in found], allow_nan=False)


def test_rows_without_a_label_are_passed_over(data: tuple[Frame, Sides]) -> None:
    frame, _ = data
    labels: Floats = np.asarray(frame.churned).copy()
    labels[np.random.default_rng(1).random(len(frame)) < 0.3] = np.nan
    known = np.flatnonzero(~np.isnan(labels))
    lagged = [Lagged(days, frame.features.set_column(2, "risk_note", frame.features["usage"])) for days in (7.0, 14.0)]
    partly = find_leaks(replace(frame, churned=labels), FEATURES, seed=1, lagged=lagged)
    assert "risk_note:cliff_against_lead_time" in {each.name for each in partly}
    assert partly == find_leaks(frame.take(known), FEATURES, seed=1, lagged=[each.take(known) for each in lagged])
    assert find_leaks(replace(frame, churned=np.full(len(frame), np.nan)), FEATURES, seed=1) == ()


def test_a_sample_is_stated_and_stays_small(data: tuple[Frame, Sides]) -> None:
    found = find_leaks(data[0], FEATURES, seed=1, max_rows=1000)
    assert {"state:recoding_of_label", "risk_note:single_feature_auc"} <= {each.name for each in found}
    assert all(each.evidence["n_rows"] == 1000 for each in found)
    assert all(each.sentence.endswith("Seen in a sample of 1,000 of 3,000 rows.") for each in found)


def test_under_twenty_churners_the_logical_probes_speak_alone(data: tuple[Frame, Sides]) -> None:
    frame, _ = data
    y = np.asarray(frame.churned)
    rows = np.sort(np.concatenate([np.flatnonzero(y == 1)[:19], np.flatnonzero(y == 0)[:300]]))
    found = find_leaks(frame.take(rows), FEATURES, seed=1)
    assert "state:recoding_of_label" in {each.name for each in found}
    assert {each.probe for each in found} <= {"recoding_of_label", "instant_after_as_of", "filled_only_for_churners"}


@pytest.mark.parametrize(("n", "rate"), [(30, 0.3), (600, 0.2)])
def test_noise_of_200_features_is_silent(n: int, rate: float) -> None:
    assert study_noise(n, rate, n_features=200, runs=2, seed=5) == {"certain": 0, "suspected": 0}


def test_honest_planted_rows_are_silent() -> None:
    honest = planted()
    assert find_leaks(honest.frame, honest.features, seed=1, sides=honest.sides) == ()


def test_telco_is_silent() -> None:
    honest = telco()
    places = np.arange(len(honest.frame))
    assert find_leaks(honest.frame, honest.features, seed=1, sides=honest.sides, source_positions=places) == ()


def test_what_is_not_aligned_is_refused(data: tuple[Frame, Sides]) -> None:
    frame, sides = data
    table = frame.features
    with pytest.raises(ValueError, match="3000 rows need 3000 sides"):
        find_leaks(frame, FEATURES, seed=1, sides=sides[:5])
    with pytest.raises(ValueError, match="7 days earlier"):
        find_leaks(frame, FEATURES, seed=1, lagged=[Lagged(7, table.slice(1))])
    with pytest.raises(ValueError, match="equal"):
        find_leaks(frame, FEATURES, seed=1, lagged=[Lagged(7, table), Lagged(7, table)])
    with pytest.raises(ValueError, match="no labels"):
        find_leaks(replace(frame, churned=None), FEATURES, seed=1)
