"""Features of facts by the plainest pandas code: the yardstick of benchmarks/features.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

OTHER = "other"
TOTAL = "total"


@dataclass(frozen=True)
class PlainFacts:
    """The three tables of some accounts, as frames whose columns are named as the service stores them."""

    accounts: pd.DataFrame
    subscriptions: pd.DataFrame
    events: pd.DataFrame


def plain_features(
    facts: PlainFacts, as_of: pd.Timestamp, kinds: Sequence[dict[str, Any]], windows: Sequence[int]
) -> pd.DataFrame:
    """A row per account with a running subscription at `as_of`, by account."""
    contracts = _contracts(facts.subscriptions, as_of)
    events = _seen(facts.events, "occurred_at", as_of)
    events = events[events["account_id"].isin(contracts.index)]
    own = [each["name"] for each in kinds]
    events = events.assign(
        age=np.ceil(_days(events["occurred_at"], as_of)),
        kind=events["kind"].where(events["kind"].isin(own), OTHER),
    )
    parts = [_rhythm(events, as_of), *_per_kind(events, as_of, windows), contracts]
    table = pd.concat([_attributes(facts.accounts, as_of).reindex(contracts.index), *parts], axis=1)
    table = table.reindex(contracts.index).sort_index()
    return _derived(table, kinds, windows)


def _seen(rows: pd.DataFrame, dated: str, as_of: pd.Timestamp) -> pd.DataFrame:
    return rows[(rows[dated] < as_of) & (rows["recorded_at"].isna() | (rows["recorded_at"] < as_of))]


def _days(instants: pd.Series, as_of: pd.Timestamp) -> pd.Series:
    days: pd.Series = (as_of - instants).dt.total_seconds() / 86400
    return days


def _contracts(rows: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    rows = _seen(rows, "started_at", as_of).sort_values(["recorded_at", "added_in"], na_position="first")
    rows = rows.drop_duplicates(["account_id", "subscription_id"], keep="last")
    over = rows["ended_at"] < as_of
    running = rows[~over].sort_values(["started_at", "plan"], ascending=[False, True]).groupby("account_id")
    found = pd.DataFrame(
        {
            "plan": running["plan"].first(),
            "recurring_amount": running["amount"].sum(),
            "subscription_age_days": _days(running["started_at"].max(), as_of),
        }
    )
    everything = rows.groupby("account_id")
    found["days_since_first_subscription"] = _days(everything["started_at"].min(), as_of)
    found["n_subscriptions"] = everything.size()
    found["n_subscriptions_ended"] = over.groupby(rows["account_id"]).sum()
    return found


def _attributes(rows: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    rows = _seen(rows, "valid_from", as_of)
    rows = rows[rows["created_at"] < as_of].sort_values(["valid_from", "recorded_at", "added_in"], na_position="first")
    newest = rows.drop_duplicates("account_id", keep="last").set_index("account_id")
    newest["tenure_days"] = _days(newest["created_at"], as_of)
    return newest.drop(columns=["created_at", "valid_from", "recorded_at", "added_in"])


def _rhythm(events: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    events = events.sort_values(["account_id", "occurred_at"])
    by_account = events.groupby("account_id")
    gaps = (by_account["occurred_at"].diff().dt.total_seconds() / 86400).groupby(events["account_id"])
    found = pd.DataFrame({"days_since_any_event": _days(by_account["occurred_at"].max(), as_of)})
    found["gap_mean_days"], found["gap_sd_days"] = gaps.mean(), gaps.std()
    found["days_since_any_event_over_gap"] = found["days_since_any_event"] / found["gap_mean_days"].replace(0, np.nan)
    return found


def _per_kind(events: pd.DataFrame, as_of: pd.Timestamp, windows: Sequence[int]) -> list[pd.DataFrame]:
    found: list[pd.DataFrame] = []
    for window in (*windows, TOTAL):
        within = events if window == TOTAL else events[events["age"] <= window]
        table = within.groupby(["account_id", "kind"]).agg(
            n=("age", "size"), active_days=("age", "nunique"), quantity=("quantity", "sum"), amount=("amount", "sum")
        )
        found.append(_side_by_side(table, "" if window == TOTAL else "d", f"_{window}"))
        if window != TOTAL:
            found.append(within.groupby("account_id")["kind"].nunique().rename(f"n_kinds_{window}d").to_frame())
    last = events.groupby(["account_id", "kind"]).agg(
        days_since=("occurred_at", "max"), mean_quantity=("quantity", "mean"), mean_amount=("amount", "mean")
    )
    last["days_since"] = _days(last["days_since"], as_of)
    return [*found, _side_by_side(last)]


def _side_by_side(table: pd.DataFrame, unit: str = "", window: str = "") -> pd.DataFrame:
    """The measures of each kind as columns."""
    wide = pd.DataFrame(table.unstack("kind"))
    wide.columns = pd.Index([f"{each[0]}_{each[1]}{window}{unit}" for each in wide.columns.to_flat_index()])
    return wide


def _derived(table: pd.DataFrame, kinds: Sequence[dict[str, Any]], windows: Sequence[int]) -> pd.DataFrame:
    """Nothing counted is 0; rates of short windows over long ones."""
    counted = [name for name in map(str, table) if name.startswith(("n_", "active_days_", "quantity_", "amount_"))]
    table[counted] = table[counted].fillna(0)
    trends = {}
    for kind in [*(each["name"] for each in kinds), OTHER]:
        for short, long in zip(windows, windows[2:], strict=False):
            if f"n_{kind}_{long}d" in table:
                rate = (table[f"n_{kind}_{short}d"] / short) / (table[f"n_{kind}_{long}d"].replace(0, np.nan) / long)
                trends[f"trend_{kind}_{short}d_{long}d"] = rate
    return pd.concat([table, pd.DataFrame(trends)], axis=1)
