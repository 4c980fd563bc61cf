"""Outcomes: what accounts were seen to have done."""

from datetime import datetime

from sqlalchemy import text

from app.db import Sessions
from app.errors import FieldError, InvalidRequest
from app.schemas.monitoring import OutcomesIn, OutcomesOut
from app.services.datasets import Datasets
from app.sql import read_query


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
