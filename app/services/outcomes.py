"""Outcomes: what accounts were seen to have done, and which scores they decide."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions, copy_out
from app.errors import FieldError, InvalidRequest
from app.ml.frame import Floats
from app.schemas.monitoring import OutcomesIn, OutcomesOut
from app.services.datasets import Datasets
from app.sql import read_query
from app.tables import Dataset, ScoringRun

NO_LABELS = "SELECT NULL::text AS account_id, NULL::timestamptz AS as_of, NULL::boolean AS churned WHERE false"
_KNOWN = pa.schema([("churn_probability", pa.float64()), ("churned", pa.bool_())])


@dataclass(frozen=True)
class RealisedRows:
    """What is known of the accounts of one run.

    Attributes
    ----------
    p : ndarray of shape (n,), the stored probabilities of matured accounts with a known outcome, 0..1
    y : ndarray of shape (n,), 1 churned, 0 stayed
    n_immature : accounts whose horizon is not over
    n_unreported : matured accounts without an outcome
    """

    p: Floats
    y: Floats
    n_immature: int
    n_unreported: int


class Outcomes:
    """Takes reports in; the newest wins, older ones are kept."""

    def __init__(self, sessions: Sessions, datasets: Datasets) -> None:
        self._sessions = sessions
        self._datasets = datasets

    async def report(self, body: OutcomesIn, *, actor: str) -> OutcomesOut:
        """Keep what was observed, all of it or, where an instant lies in the future, nothing."""
        async with self._sessions.begin() as session:
            dataset = await self._datasets.resolve(session, body.dataset)
            _refuse_future(body, now=(await session.execute(text("SELECT now()"))).scalar_one())
            n_unmatched = await session.execute(
                text(read_query("store_outcomes")),
                {
                    "dataset": dataset.id,
                    "actor": actor,
                    "accounts": [each.account_id for each in body.outcomes],
                    "churned": [each.churned for each in body.outcomes],
                    "observed": [each.observed_at for each in body.outcomes],
                },
            )
            return OutcomesOut(
                dataset=dataset.name,
                n_stored=len(body.outcomes),
                n_churned=sum(each.churned for each in body.outcomes),
                n_unmatched=n_unmatched.scalar_one(),
            )


def _refuse_future(body: OutcomesIn, *, now: datetime) -> None:
    errors = [
        FieldError(f"/outcomes/{at}/observed_at", "lies in the future")
        for at, each in enumerate(body.outcomes)
        if each.observed_at > now
    ]
    if errors:
        raise InvalidRequest(
            f"{len(errors)} outcome(s) were observed in the future; it is {now.isoformat()} here.", errors=errors[:100]
        )


async def read_realised(
    session: AsyncSession, dataset: Dataset, run: ScoringRun, *, labels: str, now: datetime
) -> RealisedRows:
    """Scores of a run beside what came of them, by the rules in `realised.sql`.

    `labels` is a query of account_id, as_of and churned: what the newest revision says of the rows scored.
    """
    query = read_query("realised").replace("{labels}", labels)
    connection = await session.connection()
    args = (run.id, dataset.id, dataset.horizon_days, dataset.lead_days, now)
    known = await copy_out(connection, query, *args, schema=_KNOWN)
    n_immature = await _count_immature(session, dataset, run, now=now)
    return RealisedRows(
        p=np.asarray(known["churn_probability"].to_numpy(), dtype=np.float64),
        y=np.asarray(known["churned"].cast(pa.float64()).to_numpy(), dtype=np.float64),
        n_immature=n_immature,
        n_unreported=(run.n_scored or 0) - n_immature - known.num_rows,
    )


async def _count_immature(session: AsyncSession, dataset: Dataset, run: ScoringRun, *, now: datetime) -> int:
    if dataset.horizon_days is None:
        return 0
    query = "SELECT count(*) FROM predictions WHERE run_id = :run AND as_of + make_interval(days => :days) > :now"
    days = dataset.lead_days + dataset.horizon_days
    found = await session.execute(text(query), {"run": run.id, "days": days, "now": now})
    return int(found.scalar_one())
