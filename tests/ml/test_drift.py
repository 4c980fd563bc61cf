import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import norm

from app.ml.drift import DriftReport, DriftState, FeatureDrift, HealthStatus, check_drift
from app.ml.frame import Feature, FeatureKind, Floats, Frame
from app.ml.profile import Profile, build_profile, count_frame
from app.schemas.config import MonitoringConfig

NUMBERS = [f"n{i}" for i in range(8)]
FEATURES = (*(Feature(name, FeatureKind.NUMERIC) for name in NUMBERS), Feature("plan", FeatureKind.CATEGORICAL))
CONFIG = MonitoringConfig()


def draw(
    seed: int, n: int, *, shift: float = 0.0, missing: float = 0.02, gold: float = 0.0, score_shift: float = 0.0
) -> tuple[Frame, Floats]:
    """Eight normal features, of which `n0` may move and `n1` go missing; a plan that may have a new level."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.normal(size=n) for name in NUMBERS}
    columns["n0"] += shift
    columns["n1"][rng.random(n) < missing] = np.nan
    plan = np.where(rng.random(n) < gold, "gold", rng.choice(["free", "basic", "pro"], n, p=[0.6, 0.3, 0.1]))
    table = pa.table({**{k: pa.array(v, pa.float64()) for k, v in columns.items()}, "plan": pa.array(plan.tolist())})
    scores = norm.cdf(rng.normal(-1.5 + score_shift, 0.5, n))
    return Frame(accounts=pa.array([str(i) for i in range(n)]), features=table), np.asarray(scores, dtype=np.float64)


@pytest.fixture(scope="module")
def profile() -> Profile:
    frame, scores = draw(1, 10_000)
    return build_profile(frame, FEATURES, scores)


def report(profile: Profile, frame: Frame, scores: Floats) -> DriftReport:
    return check_drift(profile, count_frame(profile, frame, scores), CONFIG)


def of(found: DriftReport, name: str) -> FeatureDrift:
    return next(feature for feature in found.features if feature.name == name)


def test_the_same_population_is_healthy(profile: Profile) -> None:
    found = report(profile, *draw(2, 4000))
    assert found.health_status is HealthStatus.HEALTHY
    assert (found.n_drifted, found.n_critical, found.recommended_actions) == (0, 0, [])
    assert found.score is not None
    assert found.score.state is DriftState.HEALTHY


def test_false_alarms_are_rare(profile: Profile) -> None:
    found = [report(profile, *draw(100 + seed, 500)) for seed in range(200)]
    assert np.mean([r.health_status is not HealthStatus.HEALTHY for r in found]) <= 0.01
    alarms = [any(f.state is DriftState.SIGNIFICANT_BELOW_FLOOR for f in r.features) for r in found]
    assert np.mean(alarms) <= 0.09  # nominal 5 %


@pytest.mark.parametrize(
    ("shift", "truth", "state"),
    [
        (0.2, 0.04, DriftState.SIGNIFICANT_BELOW_FLOOR),
        (0.4, 0.155, DriftState.WARNING),
        (0.7, 0.46, DriftState.CRITICAL),
    ],
)
def test_a_shift_has_the_index_of_its_normal_and_the_state_of_its_index(
    profile: Profile, shift: float, truth: float, state: DriftState
) -> None:
    edges = norm.ppf(np.linspace(0, 1, 11))
    q = np.diff(norm.cdf(edges - shift))
    assert truth == pytest.approx(np.sum((q - 0.1) * np.log(q / 0.1)), rel=0.05)
    drift = of(report(profile, *draw(3, 8000, shift=shift)), "n0")
    assert drift.psi == pytest.approx(truth, rel=0.2)
    assert drift.state is state


def test_missing_values_that_jump_are_named_as_the_cause(profile: Profile) -> None:
    found = report(profile, *draw(4, 4000, missing=0.10))
    drift = of(found, "n1")
    assert drift.state is DriftState.WARNING
    # by hand: .98 -> .90 in equal parts, .02 -> .10
    assert drift.psi == pytest.approx(0.08 * np.log(5) + (0.90 - 0.98) * np.log(0.90 / 0.98), abs=0.03)
    assert (drift.missing_before, drift.missing_after) == pytest.approx((0.02, 0.10), abs=0.01)
    assert found.health_status is HealthStatus.WARNING
    assert "check the feed" in found.recommended_actions[0]


def test_an_unseen_level_is_told_even_below_the_floor(profile: Profile) -> None:
    found = report(profile, *draw(5, 4000, gold=0.004))
    assert of(found, "plan").unseen == pytest.approx(0.004, abs=0.003)
    assert found.health_status is HealthStatus.HEALTHY
    assert any("plan" in action and "not seen at training" in action for action in found.recommended_actions)


def test_score_drift_alone_makes_the_status(profile: Profile) -> None:
    found = report(profile, *draw(6, 4000, score_shift=0.4))
    assert found.score is not None
    assert found.score.state is DriftState.CRITICAL
    assert found.health_status is HealthStatus.CRITICAL
    assert found.n_drifted == 0
    assert "newest matured outcomes" in found.recommended_actions[-1]


def test_few_accounts_are_not_judged(profile: Profile) -> None:
    found = report(profile, *draw(7, 150, shift=3))
    assert found.health_status is HealthStatus.INSUFFICIENT
    assert found.recommended_actions == ["Only 150 accounts were scored; drift is judged from 200 on."]


def test_a_small_reference_is_not_judged_where_chance_could_reach_the_critical_floor() -> None:
    frame, scores = draw(8, 30)
    found = check_drift(
        build_profile(frame, FEATURES, scores),
        count_frame(build_profile(frame, FEATURES, scores), *draw(9, 5000)),
        MonitoringConfig(psi_warning=0.02, psi_critical=0.03),
    )
    assert found.health_status is HealthStatus.INSUFFICIENT


def test_no_accounts_at_all_are_insufficient(profile: Profile) -> None:
    found = report(profile, *draw(10, 0))
    assert found.health_status is HealthStatus.INSUFFICIENT
    assert "holds no account" in found.recommended_actions[0]


def test_a_constant_that_changes_is_critical() -> None:
    feature = (Feature("c", FeatureKind.NUMERIC),)
    scores = np.linspace(0, 1, 1000)

    def constant(value: float) -> Frame:
        names = pa.array([str(i) for i in range(1000)])
        return Frame(accounts=names, features=pa.table({"c": pa.array([value] * 1000, pa.float64())}))

    before = build_profile(constant(5.0), feature, scores)
    assert of(report(before, constant(5.0), scores), "c").state is DriftState.HEALTHY
    for now in (5.1, 4.9):
        assert of(report(before, constant(now), scores), "c").state is DriftState.CRITICAL


def test_a_report_counts_the_features_that_drifted(profile: Profile) -> None:
    found = report(profile, *draw(11, 500, shift=1))
    assert found.health_status is HealthStatus.CRITICAL
    assert (found.n_drifted, found.n_critical) == (1, 1)
