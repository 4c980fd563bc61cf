"""Each switch does what it says, and nothing else."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from app.simulator import (
    LEAKS,
    Block,
    BrokenFeed,
    Drift,
    PriceChange,
    Treatment,
    make_block,
    true_probabilities,
    truth_blocks,
)
from app.stats.ranking import auc
from tests.simulator.conftest import CHANGE, LATER, SMALL
from tests.simulator.facts import Facts


def logins_before_and_after(facts: Facts) -> tuple[int, int]:
    at = facts.of_kind("login")["occurred_at"]
    return int((at < CHANGE).sum()), int((at >= CHANGE).sum())


def test_a_drift_makes_a_kind_rarer_and_changes_no_hazard(small: Block) -> None:
    config = replace(SMALL, drifts=(Drift("login", CHANGE, 0.6),))
    drifted = make_block(config, 0)
    before, after = logins_before_and_after(Facts.of(small))
    left_before, left_after = logins_before_and_after(Facts.of(drifted))
    assert left_before == pytest.approx(before, rel=0.005)
    assert left_after / after == pytest.approx(0.6, abs=0.02)
    assert drifted.subscriptions.equals(small.subscriptions)
    assert true_probabilities(config, LATER).equals(true_probabilities(SMALL, LATER))


def test_a_broken_feed_records_nothing_more_of_its_kind(small: Block) -> None:
    broken = make_block(replace(SMALL, broken_feeds=(BrokenFeed("invoice", CHANGE),)), 0)
    facts = Facts.of(broken)
    assert facts.of_kind("invoice")["occurred_at"].max() < CHANGE
    assert facts.of_kind("payment_failed")["occurred_at"].max() > CHANGE
    assert broken.subscriptions.equals(small.subscriptions)


def test_a_price_change_raises_every_running_fee_at_once() -> None:
    rows = Facts.of(make_block(replace(SMALL, price_change=PriceChange(CHANGE, 0.2)), 0)).subscriptions
    at = pd.Timestamp(CHANGE)
    running = rows[(rows["started_at"] < at) & (rows["ended_at"].isna() | (rows["ended_at"] >= at))]
    assert (running["ended_at"] == at).all()
    raised = rows[rows["started_at"] == at].set_index("account_id")["recurring_amount"]
    large = running.set_index("account_id")["recurring_amount"].loc[lambda fee: fee > 50]
    assert (raised[large.index] / large).to_numpy() == pytest.approx(1.2, abs=3e-4)


def test_after_a_price_change_new_accounts_pay_the_new_price(small: Block) -> None:
    changed = Facts.of(make_block(replace(SMALL, price_change=PriceChange(CHANGE, 0.2, hazard_factor=1.0)), 0))
    fees = [
        facts.subscriptions.groupby("account_id")[["started_at", "recurring_amount"]].first()
        for facts in (Facts.of(small), changed)
    ]
    ratio = fees[1]["recurring_amount"] / fees[0]["recurring_amount"]
    large = fees[0]["recurring_amount"] > 50
    assert ratio[large & (fees[0]["started_at"] >= CHANGE)].to_numpy() == pytest.approx(1.2, abs=3e-4)
    assert (ratio[fees[0]["started_at"] < CHANGE] == 1).all()


def test_a_random_half_of_the_riskiest_is_contacted_and_stays_more_often() -> None:
    treatment = Treatment(CHANGE, list_share=0.3, hazard_factor=0.2)
    config = replace(SMALL, n_accounts=10_000, block_accounts=10_000, treatment=treatment)
    [truth] = (block.to_pandas().set_index("account_id") for block in truth_blocks(config, CHANGE))
    listed = make_block(config, 0).contacted.to_pandas().join(truth.rename(columns={"p": "p_true"}), on="account_id")
    assert len(listed) == round(0.3 * len(truth))
    assert set(listed["contacted_at"]) == {pd.Timestamp(CHANGE)}
    assert listed["p"].min() >= truth["p"].drop(listed["account_id"]).max()
    assert (listed["p"] == listed["p_true"]).all()
    arms = listed.groupby("arm")
    assert abs(arms.size().diff().iloc[-1]) <= 1
    assert abs(arms["p"].mean().diff().iloc[-1]) < 4 * np.sqrt((arms["p"].var() / arms.size()).sum())
    churned = arms["churned"].mean()
    assert churned["treated"] < 0.6 * churned["held_out"]
    assert churned["held_out"] == pytest.approx(arms["p"].mean()["held_out"], abs=0.06)


def test_nobody_is_listed_without_the_switch(small: Block) -> None:
    assert small.contacted.num_rows == 0


@pytest.fixture(scope="module")
def leaking() -> Facts:
    return Facts.of(make_block(replace(SMALL, leaks=tuple(LEAKS)), 0))


@pytest.fixture(scope="module")
def known(leaking: Facts) -> pd.DataFrame:
    """The attributes that a careful reader knows at `LATER`, and who churned in the window."""
    rows = leaking.accounts
    seen = rows[(rows["valid_from"] < LATER) & (rows["recorded_at"] < LATER)]
    newest = seen.sort_values("valid_from").drop_duplicates("account_id", keep="last").set_index("account_id")
    [truth] = truth_blocks(replace(SMALL, leaks=tuple(LEAKS)), LATER)
    known: pd.DataFrame = truth.to_pandas().set_index("account_id").join(newest)
    return known


def test_leaks_change_no_life(small: Block, leaking: Facts) -> None:
    ended = small.subscriptions.to_pandas()["ended_at"]
    assert (
        leaking.subscriptions["ended_at"]
        .sort_values()
        .reset_index(drop=True)
        .equals(ended.sort_values().reset_index(drop=True))
    )


def test_the_status_code_is_rewritten_before_the_end_although_cut_off(known: pd.DataFrame) -> None:
    assert ((known["account_status_code"] == "C7") == known["churned"]).mean() > 0.995


def test_a_refund_is_filled_only_for_churners(known: pd.DataFrame) -> None:
    assert (known["days_since_refund"].notna() == known["churned"]).mean() > 0.995


def test_the_touched_second_is_that_of_the_end(known: pd.DataFrame) -> None:
    churners = known[known["churned"]]
    assert (pd.to_datetime(churners["touched_epoch"], unit="s", utc=True) == churners["ended_at"]).mean() > 0.98
    stayers = known[~known["churned"].astype(bool)]
    assert (pd.to_datetime(stayers["touched_epoch"], unit="s", utc=True) < LATER).mean() > 0.995


def test_the_flag_is_the_label_but_for_one_percent(known: pd.DataFrame) -> None:
    assert (known["retention_flag"] == known["churned"]).mean() == pytest.approx(0.99, abs=0.008)


def test_offboarding_comes_before_nearly_every_lasting_end_and_no_other(leaking: Facts, known: pd.DataFrame) -> None:
    events = leaking.of_kind("offboarding")
    seen = set(events.loc[events["occurred_at"] < LATER, "account_id"])
    churners = known.index[known["churned"].astype(bool)]
    assert np.mean([account in seen for account in churners]) > 0.93  # some are recorded late
    n_ends = leaking.periods().groupby("account_id")["ended_at"].count()
    always = set(n_ends.index[n_ends == 0])
    assert len(always) > 1_000
    assert not seen & always


def test_the_order_of_the_ids_predicts(known: pd.DataFrame) -> None:
    number = known.index.str[1:].astype(float).to_numpy()
    assert auc(known["churned"].to_numpy(dtype=float), -number) > 0.9


def test_ids_in_order_are_different_in_each_block() -> None:
    config = replace(SMALL, n_accounts=150, block_accounts=50, leaks=("id_order",))
    ids = [name for n in range(3) for name in make_block(config, n).accounts["account_id"].unique().to_pylist()]
    assert len(set(ids)) == 150


def test_without_the_switches_there_is_no_trace_of_leaks(small: Block) -> None:
    assert {"account_status_code", "days_since_refund", "touched_epoch", "retention_flag"}.isdisjoint(
        small.accounts.column_names
    )
    assert "offboarding" not in small.events["kind"].unique().to_pylist()
