import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from app.stats.arrays import Clusters, Floats
from app.stats.targeting import target_at
from app.stats.thresholds import top_cut


def draw(n: int, seed: int, *, per_account: int = 1) -> tuple[Floats, Floats, Clusters]:
    """Scores that are the chance to churn, rounded so that some are equal; rows of one account go together."""
    rng = np.random.default_rng(seed)
    accounts = np.repeat(np.arange(n // per_account), per_account)
    p = np.round(rng.beta(1, 4, accounts.max() + 1), 2)[accounts]
    churns = rng.random(accounts.max() + 1)[accounts] < p
    return churns.astype(np.float64), p, accounts


def test_precision_and_recall_are_scikit_learns_at_every_threshold() -> None:
    y, score, _ = draw(300, 1)
    precision, recall, cuts = precision_recall_curve(y, score)
    assert cuts.size > 20
    for at, cut in enumerate(cuts):
        found = target_at(y, score, cut)
        assert found.precision is not None
        assert found.recall is not None
        assert found.precision.value == pytest.approx(precision[at])
        assert found.recall.value == pytest.approx(recall[at])
        assert found.n_flagged == (score >= cut).sum() == round(found.share * 300)


def test_flagging_everybody_lifts_nothing_and_is_sure_of_it() -> None:
    y, score, accounts = draw(200, 2)
    found = target_at(y, score, -1.0, accounts).lift
    assert found is not None
    assert found.value == pytest.approx(1.0)
    assert found.interval() == pytest.approx((1.0, 1.0))


def test_flagging_nobody_has_no_lift() -> None:
    y, score, _ = draw(50, 3)
    assert target_at(y, score, 2.0).lift is None


def test_no_churner_among_the_flagged_leaves_the_lift_open_upwards() -> None:
    y, score = np.repeat([0.0, 1.0], [90, 10]), np.repeat([0.9, 0.1], [10, 90])
    found = target_at(y, score, 0.5).lift
    assert found is not None
    # ten of ten stayed: Wilson's upper end is z^2 / (n + z^2); over a churn rate of .1
    assert found.interval(0.95) == pytest.approx((0.0, 1.96**2 / (10 + 1.96**2) / 0.1), abs=1e-3)


@pytest.mark.parametrize("per_account", [1, 4])
def test_the_error_of_the_lift_is_that_of_resampled_accounts(per_account: int) -> None:
    y, score, accounts = draw(1600, 4, per_account=per_account)
    found = target_at(y, score, 0.3, accounts).lift
    assert found is not None
    rng, logs = np.random.default_rng(0), []
    n_accounts = accounts.max() + 1
    for _ in range(800):
        weight = np.bincount(rng.integers(n_accounts, size=n_accounts), minlength=n_accounts)[accounts]
        flagged = score >= 0.3
        rate = np.average(y, weights=weight)
        logs.append(np.log(np.average(y[flagged], weights=weight[flagged]) / rate))
    assert found.log_se == pytest.approx(np.std(logs), rel=0.12)


@pytest.mark.parametrize(("top_share", "per_account"), [(0.05, 1), (0.2, 1), (0.2, 4)])
def test_intervals_of_the_top_share_cover_what_holds_for_everybody(top_share: float, per_account: int) -> None:
    """The cut-off is read off the same rows, as the gain table does; that makes the interval of recall too wide."""
    rng = np.random.default_rng(5)
    everybody = rng.beta(1, 4, 400_000)
    flagged = everybody >= np.quantile(everybody, 1 - top_share)
    truth = {
        "precision": everybody[flagged].mean(),
        "recall": everybody[flagged].sum() / everybody.sum(),
        "lift": everybody[flagged].mean() / everybody.mean(),
    }
    covered = dict.fromkeys(truth, 0)
    for _ in range(400):
        accounts = np.repeat(np.arange(1000), per_account)
        p = rng.beta(1, 4, 1000)[accounts]
        y = (rng.random(1000)[accounts] < p).astype(np.float64)
        found = target_at(y, p, top_cut(p, round(top_share * p.size)), accounts)
        for name, true in truth.items():
            low, high = getattr(found, name).interval(0.95)
            covered[name] += low <= true <= high
    assert min(covered.values()) >= 0.92 * 400, covered
    assert max(covered["precision"], covered["lift"]) <= 0.985 * 400, covered
