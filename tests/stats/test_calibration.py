import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from app.stats.arrays import Floats
from app.stats.calibration import brier, brier_skill, calibration_line, log_loss, mean_error, reliability


def make_probabilities(n: int, seed: int) -> tuple[Floats, Floats]:
    """Outcomes that follow logit = .3 + .7 logit(p)."""
    rng = np.random.default_rng(seed)
    p = expit(rng.normal(-1.5, 1.2, n))
    return (rng.random(n) < expit(0.3 + 0.7 * logit(p))).astype(np.float64), p


def test_line_and_its_errors_are_those_of_statsmodels() -> None:
    y, p = make_probabilities(800, 1)
    fit = sm.Logit(y, sm.add_constant(logit(p))).fit(disp=0)
    line = calibration_line(y, p)
    np.testing.assert_allclose([line.intercept, line.slope], fit.params, rtol=1e-7)
    np.testing.assert_allclose([line.intercept_se, line.slope_se], fit.bse, rtol=1e-6)


def test_clustered_errors_are_those_of_statsmodels() -> None:
    y, p = make_probabilities(800, 2)
    groups = np.random.default_rng(0).integers(120, size=800)
    fit = sm.Logit(y, sm.add_constant(logit(p))).fit(disp=0, cov_type="cluster", cov_kwds={"groups": groups})
    line = calibration_line(y, p, groups)
    np.testing.assert_allclose([line.intercept_se, line.slope_se], fit.bse, rtol=1e-6)


def test_planted_line_is_found() -> None:
    line = calibration_line(*make_probabilities(60_000, 3))
    assert line.slope == pytest.approx(0.7, abs=0.03)
    assert line.intercept == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize(
    ("y", "p"),
    [
        ([0.0, 0, 0], [0.1, 0.2, 0.3]),
        ([0.0, 1, 0, 1], [0.2, 0.2, 0.2, 0.2]),
        ([0.0, 0, 1, 1], [0.1, 0.2, 0.3, 0.9]),
        ([0.0, 0, 1, 1], [0.1, 0.3, 0.3, 0.9]),
        ([1.0, 1, 0, 0], [0.1, 0.2, 0.3, 0.9]),
    ],
    ids=["one class", "constant", "parted", "parted but for a tie", "parted upside down"],
)
def test_no_line_where_the_likelihood_has_no_maximum(y: list[float], p: list[float]) -> None:
    line = calibration_line(np.array(y), np.array(p))
    assert np.isnan([line.slope, line.intercept, line.slope_se, *line.slope_interval()]).all()


def test_probabilities_of_zero_and_one_give_a_finite_line() -> None:
    y, p = make_probabilities(300, 4)
    line = calibration_line(np.append(y, [0.0, 1.0, 1.0]), np.append(p, [0.0, 1.0, 0.0]))
    assert np.isfinite([line.slope, line.slope_se, line.intercept_se]).all()


def test_probabilities_that_are_sure_and_mostly_wrong_give_the_line_of_statsmodels() -> None:
    """At the line that is hoped for no row has any weight: Newton's steps must not begin there."""
    a, b, c, d = 0.999, 0.99999999999999, 0.999999999999999, 1.0
    p = np.array([a, a, a, c, a, c, b, d, d, c, c, b, a, b, d, c, a, a, b, a, b, b])
    y = np.isin(np.arange(22), [2, 6, 17]).astype(np.float64)
    line = calibration_line(y, p)
    reference = sm.Logit(y, sm.add_constant(logit(np.minimum(p, 1 - 1e-15)))).fit(disp=0)
    np.testing.assert_allclose([line.intercept, line.slope], reference.params, rtol=1e-6)
    np.testing.assert_allclose([line.intercept_se, line.slope_se], reference.bse, rtol=1e-6)


def test_slope_interval_covers_one_for_true_probabilities() -> None:
    rng, covered = np.random.default_rng(6), 0
    for _ in range(400):
        p = expit(rng.normal(-2, 1, 600))
        y = (rng.random(600) < p).astype(np.float64)
        low, high = calibration_line(y, p, np.arange(600)).slope_interval(0.95)
        covered += low <= 1 <= high
    assert 0.92 <= covered / 400 <= 0.98


def test_mean_error_worked_by_hand() -> None:
    # p - y = .2, -.8, .4: mean -.0667, deviations .2667, -.7333, .4667, their squares sum to .8267
    found = mean_error(np.array([0.0, 1.0, 0.0]), np.array([0.2, 0.2, 0.4]))
    assert found.value == pytest.approx(-0.2 / 3)
    assert found.se == pytest.approx(np.sqrt(0.826667 / 2 / 3), rel=1e-5)


def test_mean_error_grows_when_rows_repeat_an_account() -> None:
    y, p = make_probabilities(100, 5)
    once = mean_error(y, p)
    thrice = mean_error(np.tile(y, 3), np.tile(p, 3), np.tile(np.arange(100), 3))
    assert thrice.se == pytest.approx(once.se)


def test_brier_and_log_loss_are_scikit_learns() -> None:
    y, p = make_probabilities(200, 6)
    assert brier(y, p) == pytest.approx(brier_score_loss(y, p))
    assert log_loss(y, p) == pytest.approx(sklearn_log_loss(y, p))


def test_log_loss_stays_finite_when_certainty_was_wrong() -> None:
    assert log_loss(np.array([1.0]), np.array([0.0])) == pytest.approx(-np.log(1e-15))


def test_nothing_can_be_said_of_no_rows() -> None:
    empty = np.empty(0)
    assert np.isnan([brier(empty, empty), log_loss(empty, empty), mean_error(empty, empty).value]).all()
    assert reliability(empty, empty) == ()
    assert np.isnan(mean_error(np.ones(1), np.ones(1)).se)


def test_reliability_bins_hold_all_rows_and_never_part_ties() -> None:
    p = np.repeat([0.1, 0.2, 0.9], [60, 30, 10])
    y = np.concatenate([np.zeros(54), np.ones(6), np.zeros(24), np.ones(6), np.ones(10)])
    table = reliability(y, p)
    assert [(b.n, round(b.churn_rate, 3)) for b in table] == [(60, 0.1), (30, 0.2), (10, 1.0)]
    assert table[0].mean_predicted == pytest.approx(0.1)
    assert table[0].interval.low < 0.1 < table[0].interval.high


def test_reliability_intervals_widen_where_accounts_recur() -> None:
    y, p = make_probabilities(300, 7)
    once = reliability(y, p, 5)
    thrice = reliability(np.tile(y, 3), np.tile(p, 3), 5, clusters=np.tile(np.arange(300), 3))
    for one, three in zip(once, thrice, strict=True):
        assert three.n == 3 * one.n
        assert three.churn_rate == pytest.approx(one.churn_rate)
        assert three.interval == pytest.approx(one.interval, abs=0.01)  # as of 300 rows, not 900
    assert [each.interval for each in reliability(y, p, 5, clusters=np.arange(300))] == [each.interval for each in once]


def test_brier_skill_is_that_of_two_brier_scores_of_scikit_learn() -> None:
    y, p = make_probabilities(500, 8)
    reference = 0.25
    expected = 1 - brier_score_loss(y, p) / brier_score_loss(y, np.full(500, reference))
    assert brier_skill(y, p, reference).value == pytest.approx(expected)
    assert brier_skill(y, np.full(500, reference), reference).value == 0
    assert brier_skill(y, np.full(500, reference), reference).se == 0


def test_brier_skill_error_is_that_of_a_bootstrap_of_accounts() -> None:
    rng = np.random.default_rng(9)
    y, p = make_probabilities(150, 9)
    y, p, accounts = np.tile(y, 2), np.tile(p, 2), np.tile(np.arange(150), 2)
    drawn = []
    for _ in range(2000):
        rows = rng.integers(0, 150, 150)
        drawn.append(1 - np.sum((p[rows] - y[rows]) ** 2) / np.sum((0.2 - y[rows]) ** 2))
    assert brier_skill(y, p, 0.2, accounts).se == pytest.approx(np.std(drawn), rel=0.1)


def test_brier_skill_against_a_reference_without_error_is_unknown() -> None:
    assert np.isnan(brier_skill(np.zeros(3), np.full(3, 0.1), 0.0).value)
