"""Realised performance: per run, what came of the accounts that it scored."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import copy_out
from app.ml.frame import Floats
from app.ml.performance import Realised
from app.schemas.monitoring import RealisedOut
from app.services.ledger import find_newest_verdict
from app.sql import read_query
from app.tables import Dataset, ScoringRun

_DECIDED = pa.schema([("churn_probability", pa.float64()), ("churned", pa.bool_())])
_COUNTS = pa.schema([("n_open", pa.int64()), ("n_immature", pa.int64())])


@dataclass(frozen=True)
class RealisedRows:
    """What is known of the accounts of one run.

    Attributes
    ----------
    p : ndarray of shape (n,), the stored probabilities of matured accounts with a known outcome, 0..1
    y : ndarray of shape (n,), 1 churned, 0 stayed
    n_immature : accounts whose horizon is not over
    n_unreported : matured accounts without an outcome
    n_known_before : accounts whose outcome stood in the data already as they were scored
    """

    p: Floats
    y: Floats
    n_immature: int
    n_unreported: int
    n_known_before: int


async def read_realised(
    session: AsyncSession, dataset: Dataset, run: ScoringRun, *, labels: str, known: str, now: datetime
) -> RealisedRows:
    """Scores of a run beside what came of them, by the rules in `realised.sql`.

    `labels` and `known` are queries of account_id, as_of and churned: what the newest revision says of the rows, and
    what the revision said that was scored.
    """

    def query(name: str) -> str:
        return read_query(name).replace("{labels}", labels).replace("{known}", known)

    connection, horizon, lead = await session.connection(), dataset.horizon_days, dataset.lead_days
    decided = await copy_out(connection, query("realised"), run.id, dataset.id, horizon, lead, now, schema=_DECIDED)
    counts = await copy_out(connection, query("count_matured"), run.id, horizon, lead, now, schema=_COUNTS)
    n_open, n_immature = counts["n_open"][0].as_py(), counts["n_immature"][0].as_py()
    return RealisedRows(
        p=np.asarray(decided["churn_probability"].to_numpy(), dtype=np.float64),
        y=np.asarray(decided["churned"].cast(pa.float64()).to_numpy(), dtype=np.float64),
        n_immature=n_immature,
        n_unreported=n_open - n_immature - decided.num_rows,
        n_known_before=(run.n_scored or 0) - n_open,
    )


@dataclass(frozen=True)
class RealisedRun:
    """The figures of one run, and what they rest on."""

    run: ScoringRun
    rows: RealisedRows
    realised: Realised

    def to_out(self) -> RealisedOut:
        """As an answer."""
        return RealisedOut(
            **self.realised.__dict__,
            run_id=self.run.id,
            published_at=self.run.published_at,
            n_unreported=self.rows.n_unreported,
            n_known_before=self.rows.n_known_before,
        )


async def read_auc_at_gate(session: AsyncSession, version: int) -> float | None:
    """What the gate found; None where it has not judged."""
    verdict = await find_newest_verdict(session, version)
    checks = verdict.judgement["checks"] if verdict else []
    found = next((check["estimate"] for check in checks if check["name"] == "thresholds"), None)
    return None if found is None else float(found)
