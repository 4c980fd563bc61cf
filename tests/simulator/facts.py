"""The fact tables as frames."""

from dataclasses import dataclass

import pandas as pd

from app.simulator import Block


@dataclass(frozen=True)
class Facts:
    """The three tables; times are pandas timestamps in UTC."""

    accounts: pd.DataFrame
    subscriptions: pd.DataFrame
    events: pd.DataFrame

    @classmethod
    def of(cls, block: Block) -> "Facts":
        return cls(block.accounts.to_pandas(), block.subscriptions.to_pandas(), block.events.to_pandas())

    def of_kind(self, kind: str) -> pd.DataFrame:
        return self.events[self.events["kind"] == kind]

    def periods(self) -> pd.DataFrame:
        """Periods of service: rows of subscriptions that follow at once on the one before are of one period."""
        rows = self.subscriptions.sort_values(["account_id", "started_at"])
        before = rows[["account_id", "ended_at"]].shift()
        follows = (rows["account_id"] == before["account_id"]) & (rows["started_at"] == before["ended_at"])
        number = (~follows).cumsum()
        last = rows.assign(number=number).drop_duplicates("number", keep="last").set_index("number")
        first = rows.assign(number=number).drop_duplicates("number").set_index("number")
        return first.assign(ended_at=last["ended_at"])[["account_id", "started_at", "ended_at"]]
