import numpy as np
import pytest
import statsmodels.api as sm

from app.stats.profit import Payoffs, best_cut, candidate_cuts, profit_at
from tests.stats.test_targeting import draw

PAYS = Payoffs.of_contacting(value_per_account=100, contact_cost=8, save_rate=0.4)


def test_profit_is_what_a_loop_over_the_accounts_sums_up() -> None:
    y, score, _ = draw(200, 1)
    matrix = Payoffs(hit=20, false_alarm=-5, missed=-60, left=1)
    total = 0.0
    for churned, contacted in zip(y, score >= 0.2, strict=True):
        total += (20 if churned else -5) if contacted else (-60 if churned else 1)
    assert profit_at(y, score >= 0.2, matrix).value == pytest.approx(total / 200)


def test_the_error_is_statsmodels_clustered_one() -> None:
    y, score, accounts = draw(600, 2, per_account=3)
    found = profit_at(y, score >= 0.2, PAYS, accounts)
    model = sm.OLS(PAYS.of(y, score >= 0.2), np.ones(600)).fit(cov_type="cluster", cov_kwds={"groups": accounts})
    assert (found.value, found.se) == pytest.approx((model.params[0], model.bse[0]))


def test_one_account_has_no_error() -> None:
    assert np.isnan(profit_at(np.ones(3), np.ones(3, dtype=bool), PAYS, np.zeros(3)).se)


@pytest.mark.parametrize("matrix", [PAYS, Payoffs(hit=20, false_alarm=-5, missed=-60, left=1)])
def test_a_contact_pays_from_the_break_even_on(matrix: Payoffs) -> None:
    def gain(p: float) -> float:
        return p * (matrix.hit - matrix.missed) + (1 - p) * (matrix.false_alarm - matrix.left)

    assert gain(matrix.break_even) == pytest.approx(0)
    assert gain(matrix.break_even - 0.01) < 0 < gain(matrix.break_even + 0.01)


def test_a_contact_that_costs_nothing_always_pays_and_one_that_saves_too_little_never() -> None:
    assert Payoffs.of_contacting(100, 0, 0.1).break_even == 0
    assert Payoffs.of_contacting(100, 50, 0.1).break_even == pytest.approx(5)
    assert Payoffs(1, 2, 1, 2).break_even == float("inf")


def test_candidates_flag_every_hundredth_and_nobody() -> None:
    score = np.random.default_rng(0).permutation(1000) / 1000
    flagged = [(score >= cut).sum() for cut in candidate_cuts(score)]
    assert flagged[0] == 1000
    assert flagged[-1] == 0
    assert np.abs(np.diff(flagged)).max() <= 11
    assert candidate_cuts(np.ones(5)).tolist() == [1.0, np.nextafter(1.0, 2.0)]


def test_the_best_cut_is_that_of_a_search_by_hand() -> None:
    y, score, accounts = draw(400, 3, per_account=2)
    cuts = candidate_cuts(score)
    found = best_cut(y, score, PAYS, cuts=cuts, rng=np.random.default_rng(0), clusters=accounts)
    totals = [sum((32 if c else -8) for c, s in zip(y, score, strict=True) if s >= cut) for cut in cuts]
    assert found.cut == max(cut for cut, total in zip(cuts, totals, strict=True) if total == max(totals))
    assert found.profit.value == pytest.approx(max(totals) / 400)
    assert found.profit == profit_at(y, score >= found.cut, PAYS, accounts)
    assert found.cut_interval.low <= found.cut <= found.cut_interval.high


def test_where_no_contact_pays_it_is_best_to_contact_nobody() -> None:
    y, score, _ = draw(200, 4)
    dear = Payoffs.of_contacting(100, 60, 0.4)
    found = best_cut(y, score, dear, cuts=candidate_cuts(score), rng=np.random.default_rng(0))
    assert found.cut > score.max()
    assert (found.profit.value, found.optimism) == (0.0, 0.0)


def test_the_optimism_is_about_what_the_choice_flatters() -> None:
    """Score uniform on 0..0.4 and right; the truth at a cut-off c is then the integral of 40 p - 8 over it."""
    rng, flattered, told = np.random.default_rng(5), [], []
    for _ in range(150):
        p = rng.uniform(0, 0.4, 150)
        y = (rng.random(150) < p).astype(np.float64)
        found = best_cut(y, p, PAYS, cuts=candidate_cuts(p), rng=rng, n_resamples=60)
        c = min(found.cut, 0.4)
        truth = (20 * (0.4**2 - c**2) - 8 * (0.4 - c)) / 0.4
        flattered.append(found.profit.value - truth)
        told.append(found.optimism)
    assert np.mean(flattered) > 0.2
    assert abs(np.mean(flattered) - np.mean(told)) < 0.35 * np.mean(flattered)
