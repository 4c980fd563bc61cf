"""What is true of the facts of any business: ids, order in time, spells, fees, back-fills."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from app.simulator import Block, make_block, simulate
from app.simulator.life import live
from tests.simulator.conftest import SMALL
from tests.simulator.facts import Facts

TABLES = ("accounts", "subscriptions", "events")


@pytest.fixture(scope="module")
def facts(small: Block) -> Facts:
    return Facts.of(small)


@pytest.fixture(scope="module")
def periods(facts: Facts) -> pd.DataFrame:
    return facts.periods()


def test_the_same_config_gives_the_same_facts(small: Block) -> None:
    again = make_block(SMALL, 0)
    assert all(getattr(again, table).equals(getattr(small, table)) for table in TABLES)
    other = make_block(replace(SMALL, seed=4), 0)
    assert not any(getattr(other, table).equals(getattr(small, table)) for table in TABLES)


def test_a_block_depends_on_no_other_and_not_on_their_number() -> None:
    few = replace(SMALL, n_accounts=200, block_accounts=100)
    many = replace(few, n_accounts=550)
    made = list(simulate(many))
    assert [block.number for block in made] == [0, 1, 2, 3, 4, 5]
    assert made[1].events.equals(make_block(few, 1).events)
    assert not made[0].events["occurred_at"].equals(made[1].events["occurred_at"])
    assert made[5].accounts["account_id"].unique().to_pylist() == [f"A{number:07d}" for number in range(500, 550)]


def test_every_fact_is_of_an_account_and_every_account_has_a_first_row(facts: Facts) -> None:
    first = facts.accounts.groupby("account_id").first()
    assert len(first) == SMALL.n_accounts
    assert (first["valid_from"] == first["created_at"]).all()
    assert set(facts.subscriptions["account_id"]) == set(first.index)
    assert set(facts.events["account_id"]) <= set(first.index)
    assert not facts.accounts.duplicated(["account_id", "valid_from"]).any()
    assert facts.subscriptions["subscription_id"].is_unique


def test_nothing_lies_at_or_after_the_end_and_nothing_is_recorded_before_it_happened(facts: Facts) -> None:
    for table, happened in (("accounts", "valid_from"), ("subscriptions", "started_at"), ("events", "occurred_at")):
        rows: pd.DataFrame = getattr(facts, table)
        assert (rows["recorded_at"] >= rows[happened]).all()
        assert rows["recorded_at"].max() < SMALL.end
    assert facts.subscriptions["ended_at"].max() < SMALL.end
    assert facts.events["occurred_at"].min() >= SMALL.start


def test_events_lie_within_a_period_of_service(facts: Facts, periods: pd.DataFrame) -> None:
    events = facts.events.sort_values("occurred_at")
    joined = pd.merge_asof(
        events, periods.sort_values("started_at"), left_on="occurred_at", right_on="started_at", by="account_id"
    )
    assert joined["started_at"].notna().all()
    assert (joined["ended_at"].isna() | (joined["occurred_at"] < joined["ended_at"])).all()


def test_the_first_period_begins_with_the_account_and_a_return_some_days_after_an_end(
    facts: Facts, periods: pd.DataFrame
) -> None:
    first = periods.groupby("account_id")["started_at"].first()
    assert (first == facts.accounts.groupby("account_id")["created_at"].first()).all()
    gap = (periods["started_at"] - periods.groupby("account_id")["ended_at"].shift()).dropna()
    assert len(gap) > 50
    assert gap.dt.days.between(3, 90).all()
    ended = periods["ended_at"].notna().sum()
    assert 0.15 < len(gap) / ended < 0.25  # a quarter, less those who are yet to come


def test_a_new_row_of_a_subscription_says_something_new(facts: Facts) -> None:
    rows = facts.subscriptions.sort_values(["account_id", "started_at"])
    before = rows.shift()
    follows = (rows["account_id"] == before["account_id"]) & (rows["started_at"] == before["ended_at"])
    changed = (rows["plan"] != before["plan"]) | (rows["recurring_amount"] != before["recurring_amount"])
    assert changed[follows].all()
    assert (rows["plan"] != before["plan"])[follows].any()


def test_the_fee_rises_by_the_clause_on_the_anniversary(facts: Facts) -> None:
    """An account with one period and no change but renewals: 12 % a year, to a cent."""
    clause = facts.accounts.groupby("account_id")["yearly_increase_pct"].first()
    dear = facts.subscriptions[facts.subscriptions["account_id"].map(clause) == 12]
    rows = dear.sort_values(["account_id", "started_at"]).reset_index(drop=True)
    before = rows.shift()
    anniversary = rows["started_at"] == before["started_at"] + pd.Timedelta(days=365)
    renewed = anniversary & (rows["account_id"] == before["account_id"])
    growth = (rows["recurring_amount"] / before["recurring_amount"])[renewed & (before["recurring_amount"] > 50)]
    assert len(growth) > 100
    assert growth.to_numpy() == pytest.approx(1.12, abs=3e-4)


def test_invoices_are_monthly_or_yearly_at_the_fee_of_the_time(facts: Facts) -> None:
    first = facts.subscriptions.groupby("account_id")[["started_at", "recurring_amount"]].first()
    contract = facts.accounts.groupby("account_id")["contract"].first()
    bills = facts.of_kind("invoice").merge(first, left_on="account_id", right_index=True)
    at_start = bills[bills["occurred_at"] == bills["started_at"]]
    times = at_start["account_id"].map(contract).map({"monthly": 1, "annual": 12})
    assert len(at_start) > 1000
    assert at_start["amount"].to_numpy() == pytest.approx((at_start["recurring_amount"] * times).to_numpy(), abs=0.006)
    gaps = facts.of_kind("invoice").groupby("account_id")["occurred_at"].diff().dropna().dt.days.value_counts()
    assert set(gaps.index[:2]) == {30, 365}


def test_quantities_and_amounts_are_where_they_have_a_meaning(facts: Facts) -> None:
    events = facts.events
    assert set(facts.of_kind("ticket")["quantity"]) == {1.0, 2.0, 3.0}
    assert set(events.loc[events["amount"].notna(), "kind"]) == {"invoice", "payment_failed"}
    assert set(events.loc[events["quantity"].isna(), "kind"]) == {"login", "invoice", "payment_failed"}


def test_a_failed_payment_follows_its_invoice_by_an_hour_on_monthly_contracts(facts: Facts) -> None:
    failed = facts.of_kind("payment_failed")
    contract = facts.accounts.groupby("account_id")["contract"].first()
    assert set(failed["account_id"].map(contract)) == {"monthly"}
    keys = pd.MultiIndex.from_frame(
        failed.assign(at=failed["occurred_at"] - pd.Timedelta(hours=1))[["account_id", "at"]]
    )
    invoices = pd.MultiIndex.from_frame(facts.of_kind("invoice")[["account_id", "occurred_at"]])
    assert keys.isin(invoices).mean() > 0.9  # some invoices are recorded after the end, and not there


def test_the_late_kind_appears_120_days_before_the_end(facts: Facts) -> None:
    first = facts.of_kind("assistant")["occurred_at"].min()
    assert pd.Timedelta(days=0) <= first - (SMALL.end - pd.Timedelta(days=120)) < pd.Timedelta(days=5)


def test_use_is_less_at_weekends_and_grows_with_the_accounts(facts: Facts) -> None:
    logins = facts.of_kind("login")["occurred_at"]
    per_day = logins.dt.day_of_week.value_counts()
    assert per_day[[5, 6]].mean() / per_day[[0, 1, 2, 3, 4]].mean() == pytest.approx(0.4, abs=0.03)
    created = facts.accounts.groupby("account_id")["created_at"].first()
    middle = SMALL.start + (SMALL.end - SMALL.start) / 2
    assert (created >= middle).sum() > 1.1 * created.between(SMALL.start, middle).sum()


def test_some_facts_are_recorded_days_later_and_the_rest_within_seconds(facts: Facts) -> None:
    delay = facts.events["recorded_at"] - facts.events["occurred_at"]
    late = delay > pd.Timedelta(seconds=5)
    assert late.mean() == pytest.approx(0.02, abs=0.003)
    assert delay[late].min() >= pd.Timedelta(days=1)
    assert delay[late].max() > pd.Timedelta(days=30)
    none = make_block(replace(SMALL, n_accounts=200, late_share=0.0), 0).events.to_pandas()
    assert (none["recorded_at"] - none["occurred_at"]).max() < pd.Timedelta(seconds=5)


def test_the_events_of_an_account_are_about_fifty_and_their_number_can_be_set(facts: Facts) -> None:
    assert 45 < len(facts.events) / SMALL.n_accounts < 58
    doubled = make_block(replace(SMALL, events_factor=2.0), 0).events.to_pandas()
    ratio = (doubled["kind"] == "login").sum() / len(facts.of_kind("login"))
    assert ratio == pytest.approx(2, abs=0.05)


def test_tickets_tell_of_trouble_only_without_an_integration() -> None:
    """Rates per customer day from the path itself: .006 and .045 alone; by engagement with an integration."""
    life, facts = live(SMALL, 0), Facts.of(make_block(SMALL, 0))
    counts = facts.of_kind("ticket").groupby("account_id").size()
    tickets = np.zeros(SMALL.n_accounts)
    tickets[[int(name[1:]) for name in counts.index]] = counts.to_numpy()
    calm = ((life.path % 2 == 0) & (life.path < 8)).sum(axis=1)
    troubled = (life.path % 2 == 1).sum(axis=1)
    alone = ~life.population.integrated
    expected = 0.006 * calm[alone].sum() + 0.045 * troubled[alone].sum()
    assert tickets[alone].sum() == pytest.approx(expected, rel=0.05)
