"""Dated rows of accounts that recur, whose risk drifts: for what a report says of time."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from app.ml.frame import Feature, FeatureKind, Frame
from app.ml.instants import deal_instants
from app.ml.split import Sides
from tests.ml.planted import Data

START = datetime(2024, 1, 1, tzinfo=UTC)
GAP = timedelta(days=45)
FEATURES = (Feature("day", FeatureKind.NUMERIC), Feature("usage", FeatureKind.NUMERIC))


def dated(n_accounts: int = 300, n_instants: int = 12, seed: int = 0) -> Data:
    """A row per account and month; `day` is the instant itself, so that a matrix tells when its rows are from."""
    rng = np.random.default_rng(seed)
    days = np.tile(np.arange(n_instants) * 30, n_accounts)
    accounts = np.repeat(np.arange(n_accounts), n_instants)
    usage = rng.normal(size=n_accounts)[accounts] + rng.normal(size=days.size)
    churned = (rng.random(days.size) < 1 / (1 + np.exp(1.5 + usage - days / 300))).astype(np.float64)
    instants = [START + timedelta(days=int(day)) for day in days]
    dealt = deal_instants(instants, GAP)
    side_of = {each: side for side in ("train", "validation", "test", "gap") for each in getattr(dealt, side)}
    sides: Sides = np.array([side_of[each] for each in instants])
    kept = np.flatnonzero(sides != "gap")
    frame = Frame(
        accounts=pa.array([f"a{account:04}" for account in accounts]),
        features=pa.table({"day": days.astype(np.float64), "usage": usage}),
        churned=churned,
        as_of=pa.array(instants, pa.timestamp("us", tz="UTC")),
    )
    return Data(frame.take(kept), sides[kept], FEATURES)
