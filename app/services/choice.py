"""Which dataset and version a request means."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.services.datasets import Datasets
from app.services.models import Models
from app.tables import Dataset, Version


async def choose_version(
    session: AsyncSession, datasets: Datasets, models: Models, *, dataset: str | None, version: str
) -> tuple[Dataset, Version]:
    """A number alone says its dataset; every other name is one of the dataset's, which must be told or be the only one.

    Raises
    ------
    HoldfastError
        where there is no such dataset or version, nothing is registered, or nothing is in that stage.
    """
    if dataset is None and version.isdecimal():
        found = await models.resolve(session, version, None)
        return await session.get_one(Dataset, found.dataset_id), found
    named = await datasets.resolve(session, dataset)
    return named, await models.resolve(session, version, named)
