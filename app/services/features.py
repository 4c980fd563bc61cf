"""What the features of a dataset mean."""

from app.db import Sessions
from app.schemas.facts import FeatureDefinitionOut, FeaturesOut
from app.services.built_rows import open_built_rows
from app.services.datasets import Datasets
from app.services.revisions import get_revision


class Features:
    """Tells of features that are built of facts."""

    def __init__(self, sessions: Sessions, datasets: Datasets) -> None:
        self._sessions = sessions
        self._datasets = datasets

    async def describe(self, name: str | None) -> FeaturesOut:
        """The features of the newest revision, in the order in which models have them."""
        async with self._sessions() as session:
            dataset = await self._datasets.resolve(session, name)
            revision = await get_revision(session, dataset)
        rows = await open_built_rows(self._sessions, dataset, revision, plan=None)
        return FeaturesOut(
            dataset=dataset.name,
            revision=revision.number,
            features=[FeatureDefinitionOut.model_validate(each) for each in rows.definitions],
            other_kinds=list(rows.other_kinds),
        )
