"""Batch scoring on a store: every active account, once, published whole."""

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from app.caller import actor
from app.container import Services
from app.face.store import EngineLike, OnStore, opened, request
from app.schemas.config import ScoringConfig
from app.schemas.scoring import BatchIn, RunOut, TierName
from app.services.scores import ScoreFilter


@dataclass(frozen=True)
class ScoringResult:
    """A published scoring run.

    Attributes
    ----------
    run_id, dataset, version : what was scored, and by which version
    n_accounts_scored : the active accounts
    risk_distribution : accounts by tier: 'high', 'medium', 'low'
    tiers : each tier with its share, cut-off, and the churners to expect in it
    warnings : what to know of the run
    current : the version was the champion when the run was published, so these are the scores in force
    provisional : the champion is one on trial
    job_id : the job that scored
    """

    run_id: int
    dataset: str
    version: int
    n_accounts_scored: int
    risk_distribution: dict[str, int]
    tiers: list[dict[str, Any]]
    warnings: list[dict[str, Any]]
    current: bool
    provisional: bool
    job_id: int


class BatchScorer(OnStore):
    """Scores every active account of a dataset, each exactly once.

    Parameters
    ----------
    engine : str, URL, Engine, AsyncEngine, Store or None
        Where datasets and versions are; see `Store`. Close the scorer, or use it in a `with` block.
    config : ScoringConfig, optional
        Tiers and reasons; what is not given comes from the dataset's defaults.

    Examples
    --------
    >>> with BatchScorer(url, ScoringConfig(tiers={"kind": "relative"})) as scorer:
    ...     run = scorer.score()
    ...     riskiest = scorer.accounts(run.run_id, tier="high")
    >>> len(riskiest) == run.risk_distribution["high"]
    True
    """

    def __init__(self, engine: EngineLike = None, config: ScoringConfig | None = None) -> None:
        super().__init__(engine)
        self._config = config

    def score(self, *, dataset: str | None = None, version: int | str = "champion") -> ScoringResult:
        """Score and publish; scores of another version than the champion are kept, and never current.

        Raises
        ------
        app.errors.NothingInProduction, app.errors.NoActiveAccounts, app.errors.RowsDoNotFit
            Where there is nothing to score with, or nobody to score.
        """
        body = request(BatchIn, dataset=dataset, version=str(version), scoring=self._config)
        result = self.store.finish(lambda services: services.scoring.submit(body, actor=actor()))
        counts = {tier["tier"]: tier["n"] for tier in result["tiers"]}
        kept = {name: result[name] for name in ScoringResult.__dataclass_fields__ if name != "risk_distribution"}
        return ScoringResult(**kept, risk_distribution=counts)

    def accounts(
        self, run_id: int | None = None, *, tier: TierName | None = None, dataset: str | None = None
    ) -> pd.DataFrame:
        """The accounts of a run, by default of the current one, the riskiest first, with their reasons in words."""
        wanted = ScoreFilter(dataset=dataset, tier=tier, run=run_id)
        return pd.read_csv(
            io.BytesIO(self.store.run(lambda services: _csv(services, wanted))),
            dtype={"account_id": str, "risk_tier": str, "reasons": str},
            parse_dates=["as_of", "scored_at"],
            keep_default_na=False,
            na_values={"reasons": [""]},
        )

    def runs(self, *, dataset: str | None = None, limit: int = 50) -> list[RunOut]:
        """The runs, newest first."""

        async def action(services: Services) -> list[RunOut]:
            return (await services.scores.list_runs(dataset, limit=limit, cursor=None)).items

        return self.store.run(action)


def score_active_accounts(
    engine: EngineLike = None,
    config: ScoringConfig | None = None,
    *,
    dataset: str | None = None,
    version: int | str = "champion",
) -> ScoringResult:
    """Score every active account in one call; nothing stays open.

    Examples
    --------
    >>> run = score_active_accounts(url)
    >>> run.n_accounts_scored == sum(run.risk_distribution.values())
    True
    """
    with opened(engine) as store:
        return BatchScorer(store, config).score(dataset=dataset, version=version)


async def _csv(services: Services, wanted: ScoreFilter) -> bytes:
    pieces = await services.scores.list_accounts(wanted, limit=1, cursor=None, as_csv=True)
    if not isinstance(pieces, AsyncIterator):
        raise TypeError("CSV comes in pieces")
    return b"".join([piece async for piece in pieces])
