"""The sample: account snapshots of an invented SaaS business whose every churn probability is known.

What drives churn here (log-odds; `true_log_odds` is the exact formula):

* Little use, measured as logins per seat, raises the risk only as far as the account can leave: always on a monthly
  contract, on longer ones as the renewal comes near.
* Tickets raise the risk of accounts older than a year that have no integration; in the first half year they are a
  sign of life and lower it.
* A price increase raises the risk only where less than half of the features are in use.
* A change of the administrator raises the risk under the same condition.
* Failed payments raise the risk on monthly contracts only.
* Longer tenure, a good NPS and an integration lower it; no answer to the NPS survey raises it after two years.
* Plan, fee and seats matter only through the above; region and channel do not matter at all.

Missing values: `nps` where the survey went unanswered, `last_login_days` where nobody logged in for 30 days, and a
few fees and adoption figures at random. Labels of a few accounts are not known yet. The later month has no labels,
less use, more tickets, dearer renewals, new accounts, and a channel that nobody had before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

Floats = npt.NDArray[np.float64]
Columns = dict[str, npt.NDArray[np.generic]]

AS_OF = datetime(2025, 3, 1, tzinfo=UTC)
LATER_AS_OF = datetime(2025, 6, 1, tzinfo=UTC)
HORIZON_DAYS = 60
NEW_CHANNEL = "marketplace"

_PLANS = np.array(["starter", "team", "business", "enterprise"])
_SEAT_PRICES = np.array([9.0, 14.0, 19.0, 26.0])  # per month
_CONTRACTS = np.array(["monthly", "annual", "multi_year"])
_REGIONS = np.array(["EMEA", "AMER", "APAC", "LATAM"])
_CHANNELS = np.array(["organic", "ads", "partner", "sales"])
_UNKNOWN_LABEL_SHARE = 0.005
_NEW_ACCOUNT_SHARE = 0.06


@dataclass(frozen=True)
class Sample:
    """Two months of snapshots and the truth behind them.

    Attributes
    ----------
    snapshots : pyarrow table of n rows
        `account_id`, `as_of`, features, `churned` (true, false, or null where not known yet); one row per account.
    probabilities : ndarray of shape (n,)
        The true churn probability of each row.
    later : pyarrow table of m rows
        The drifted later month: the accounts that stayed and some new ones; every `churned` is null.
    later_probabilities : ndarray of shape (m,)
        The true churn probability of each row of `later`.
    outcomes : pyarrow table of m rows
        What the accounts of `later` did: `account_id`, `churned`, `observed_at`.
    """

    snapshots: pa.Table
    probabilities: Floats
    later: pa.Table
    later_probabilities: Floats
    outcomes: pa.Table


def make_sample(n_accounts: int = 20_000, seed: int = 7) -> Sample:
    """Draw the sample; the same numbers for the same arguments.

    Parameters
    ----------
    n_accounts : int
        Accounts in the labelled month, 1 or more.
    seed : int
        0 or more.
    """
    rng = np.random.default_rng(seed)
    first = _draw_accounts(n_accounts, rng)
    probabilities = true_probabilities(first)
    churned = rng.random(n_accounts) < probabilities
    unknown = rng.random(n_accounts) < _UNKNOWN_LABEL_SHARE
    later = _later_month(first, ~churned, rng)
    later_probabilities = true_probabilities(later)
    left = rng.random(later_probabilities.size) < later_probabilities
    return Sample(
        snapshots=_to_table(first, AS_OF, pa.array(churned, mask=unknown)),
        probabilities=probabilities,
        later=_to_table(later, LATER_AS_OF, pa.nulls(left.size, pa.bool_())),
        later_probabilities=later_probabilities,
        outcomes=_outcomes(later, left),
    )


def true_probabilities(accounts: Columns) -> Floats:
    """The true churn probability of each account, 0..1, of shape (n,)."""
    return np.asarray(1 / (1 + np.exp(-true_log_odds(accounts))), dtype=np.float64)


def true_log_odds(accounts: Mapping[str, npt.NDArray[np.generic]]) -> Floats:
    """The planted truth: log-odds of churn from the columns as drawn, before fees and adoption figures are lost."""
    a = {name: accounts[name].astype(np.float64) for name in _DRIVERS}
    monthly = accounts["contract"] == "monthly"
    can_leave = np.where(monthly, 1.0, np.exp(-a["days_to_renewal"] / 60))
    idle = 1 / (1 + np.exp(4 * (np.log1p(a["logins_30d"] / a["seats"]) - 1.3)))
    unadopted = a["feature_adoption"] < 0.5
    tickets = np.log1p(a["tickets_90d"])
    unhappy = (a["tenure_months"] > 12) & (a["has_integration"] == 0)
    silent = np.isnan(a["nps"])
    log_odds: Floats = (
        -4.1
        + 3.6 * idle * can_leave
        + 0.9 * can_leave
        + np.where(unhappy, 1.25 * tickets, np.where(a["tenure_months"] <= 6, -0.9 * tickets, 0.0))
        + 0.14 * a["price_increase_pct"] * unadopted
        + 1.7 * a["admin_changed"] * unadopted
        + 1.0 * np.minimum(a["payment_failures_90d"], 3) * monthly
        - 0.55 * np.log1p(a["tenure_months"] / 12)
        - 0.4 * a["has_integration"]
        + np.where(silent, 0.5 * (a["tenure_months"] > 24), -0.012 * np.nan_to_num(a["nps"] - 25))
    )
    return log_odds


_DRIVERS = (
    "days_to_renewal",
    "logins_30d",
    "seats",
    "feature_adoption",
    "tickets_90d",
    "tenure_months",
    "has_integration",
    "nps",
    "price_increase_pct",
    "admin_changed",
    "payment_failures_90d",
)


def _draw_accounts(n: int, rng: np.random.Generator, *, first_number: int = 1, new: bool = False) -> Columns:
    """Accounts as they stand at an instant; new ones have little tenure and may come by the new channel."""
    seats = np.clip(np.round(rng.lognormal(2.3, 1.0, n)), 1, 2000)
    plan = np.clip(np.searchsorted([5, 20, 80], seats) + rng.integers(-1, 2, n) * (rng.random(n) < 0.3), 0, 3)
    contract = np.clip((rng.random(n)[:, None] > [0.5, 0.88]).sum(axis=1) + (seats > 80), 0, 2)
    tenure = np.floor(rng.exponential(3.0 if new else 24.0, n)).clip(0, 120) + 1
    channels = np.append(_CHANNELS, NEW_CHANNEL) if new else _CHANNELS
    return {
        "account_id": np.array([f"A{number:06d}" for number in range(first_number, first_number + n)]),
        "tenure_months": tenure,
        "plan": _PLANS[plan],
        "contract": _CONTRACTS[contract],
        "seats": seats,
        "monthly_fee": np.round(seats * _SEAT_PRICES[plan] * rng.uniform(0.75, 1.05, n), 2),
        "days_to_renewal": np.ceil(rng.random(n) * np.array([30, 365, 1095])[contract]),
        "price_increase_pct": np.where(rng.random(n) < 0.55, 0.0, np.round(rng.uniform(3, 25, n), 1)),
        **_draw_use(seats, rng),
        "tickets_90d": rng.poisson(np.exp(0.1 + 0.25 * np.log(seats) + 0.5 * rng.normal(size=n))).astype(np.float64),
        "payment_failures_90d": rng.poisson(0.35, n).astype(np.float64),
        "has_integration": rng.random(n) < 0.45,
        "admin_changed": rng.random(n) < 0.2,
        "region": rng.choice(_REGIONS, n, p=[0.4, 0.35, 0.15, 0.1]),
        "channel": rng.choice(channels, n),
    }


def _draw_use(seats: Floats, rng: np.random.Generator) -> Columns:
    """Logins, adoption, recency and NPS go up and down together, with the account's engagement."""
    n = seats.size
    engagement = rng.normal(size=n)
    logins = rng.poisson(seats * np.exp(1.0 + 0.9 * engagement)).astype(np.float64)
    last_login = np.floor(rng.exponential(4 * np.exp(-0.7 * engagement), n)).clip(0, 30)
    nps = np.clip(np.round(25 + 12 * engagement + 35 * rng.normal(size=n)), -100, 100)
    return {
        "logins_30d": logins,
        "last_login_days": np.where(logins == 0, np.nan, last_login),
        "feature_adoption": np.round(1 / (1 + np.exp(-0.8 * engagement - 0.9 * rng.normal(size=n))), 3),
        "nps": np.where(rng.random(n) < 0.4, np.nan, nps),
    }


def _later_month(first: Columns, stayed: npt.NDArray[np.bool_], rng: np.random.Generator) -> Columns:
    """Three months on: who stayed, drifted, and new accounts, of which some came by a channel unseen before."""
    old = {name: values[stayed] for name, values in first.items()}
    n = int(stayed.sum())
    n_first = len(first["account_id"])
    fresh = _draw_use(old["seats"].astype(np.float64), rng)
    old |= {
        "tenure_months": old["tenure_months"].astype(np.float64) + 3,
        "days_to_renewal": np.ceil(old["days_to_renewal"].astype(np.float64) * rng.uniform(0.3, 1.0, n)),
        "logins_30d": np.floor(0.65 * fresh["logins_30d"].astype(np.float64)),
        "feature_adoption": fresh["feature_adoption"],
        "last_login_days": fresh["last_login_days"].astype(np.float64) + rng.poisson(2.0, n),
        "nps": np.where(rng.random(n) < 0.25, np.nan, fresh["nps"].astype(np.float64)),
        "tickets_90d": rng.poisson(1.6 * old["tickets_90d"].astype(np.float64) + 0.3).astype(np.float64),
        "price_increase_pct": np.where(rng.random(n) < 0.3, 0.0, np.round(rng.uniform(3, 25, n), 1)),
        "payment_failures_90d": rng.poisson(0.35, n).astype(np.float64),
        "admin_changed": rng.random(n) < 0.2,
    }
    new = _draw_accounts(max(1, round(_NEW_ACCOUNT_SHARE * n_first)), rng, first_number=n_first + 1, new=True)
    return {name: np.concatenate([old[name], new[name]]) for name in old}


def _to_table(accounts: Columns, as_of: datetime, churned: pa.Array) -> pa.Table:
    """Typed columns; what is drawn as NaN is null, and a few figures are lost at random, by account."""
    columns = {name: _to_array(name, values) for name, values in accounts.items()}
    n = len(churned)
    instant = pa.array([as_of] * n, pa.timestamp("us", tz="UTC"))
    ordered = {"account_id": columns.pop("account_id"), "as_of": instant, **columns, "churned": churned}
    return pa.table(ordered)


def _to_array(name: str, values: npt.NDArray[np.generic]) -> pa.Array:
    if values.dtype.kind != "f":
        return pa.array(values)
    lost = np.arange(values.size) % 41 == 7 if name in {"monthly_fee", "feature_adoption"} else False
    numbers = values.astype(np.float64)
    return pa.array(numbers, mask=np.isnan(numbers) | lost)


def _outcomes(later: Columns, left: npt.NDArray[np.bool_]) -> pa.Table:
    """Reports made at the end of the horizon."""
    observed = LATER_AS_OF + timedelta(days=HORIZON_DAYS)
    return pa.table(
        {
            "account_id": pa.array(later["account_id"]),
            "churned": pa.array(left),
            "observed_at": pa.array([observed] * left.size, pa.timestamp("us", tz="UTC")),
        }
    )


def write_csv(table: pa.Table, path: Path) -> None:
    """Write a table as CSV with a header; missing values are empty, times are ISO 8601 in UTC."""
    texts = [
        column.cast(pa.timestamp("s", tz="UTC")) if pa.types.is_timestamp(column.type) else column
        for column in table.columns
    ]
    plain = pa.table(texts, names=table.column_names)
    pyarrow.csv.write_csv(plain, path, pyarrow.csv.WriteOptions(quoting_style="needed"))
