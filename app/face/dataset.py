"""The rows of a dataset as frames, true in time: what a training of the service would learn from."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from app.container import Services
from app.face.store import EngineLike, opened
from app.services.row_source import label_span
from app.services.training_rows import TrainingRows
from app.tables import Dataset, Revision


@dataclass(frozen=True)
class TrainingData:
    """Labelled rows of a revision, by account and then instant; all parts share one index.

    Attributes
    ----------
    X : DataFrame of n rows, the features
    y : Series of n, 1 churned, 0 stayed
    accounts : Series of n, whose row it is
    as_of : Series of n, when its features were seen; None in undated data
    sides : Series of n, 'train', 'validation' or 'test'
    horizon_days : from an instant to the end of what its label tells: lead, horizon and grace
    dataset, revision : where the rows are from
    split : how they were dealt
    warnings : sentences
    """

    X: pd.DataFrame = field(repr=False)
    y: "pd.Series[int]" = field(repr=False)
    accounts: "pd.Series[str]" = field(repr=False)
    as_of: "pd.Series[Any] | None" = field(repr=False)
    sides: "pd.Series[str]" = field(repr=False)
    horizon_days: int
    dataset: str
    revision: int
    split: dict[str, Any] = field(repr=False)
    warnings: list[str]


def create_training_dataset(
    engine: EngineLike = None,
    dataset: str | None = None,
    *,
    split: Literal["random", "temporal"] | None = None,
) -> TrainingData:
    """The rows that a training of this dataset would use now, each on its side; nothing stays open.

    A dataset that reads tables or queries is read anew. Accounts that the random split has not met yet are dealt a
    side, and keep it, as in a training.

    Parameters
    ----------
    engine : str, URL, Engine, AsyncEngine, Store or None
        See `Store`.
    dataset : str, optional
        May be left out while there is only one.
    split : 'random' or 'temporal', optional
        By default by time, where two instants have matured.

    Raises
    ------
    app.errors.HoldfastError
        Such as `NoTrainingRows`, where no label is known yet.

    Examples
    --------
    >>> data = create_training_dataset(url)
    >>> data.X.shape[0] == len(data.y) == len(data.accounts)
    True
    >>> sorted(data.sides.unique())
    ['test', 'train', 'validation']
    """

    async def action(services: Services) -> tuple[Dataset, Revision, TrainingRows]:
        async with services.sessions() as session:
            found = await services.datasets.resolve(session, dataset)
        revision = await services.datasets.fix_revision(found.id)
        source = await services.frames.open(found, revision)
        return found, revision, await services.frames.training_rows(found, source, split=split)

    with opened(engine) as store:
        found, revision, rows = store.run(action)
    return _told(found, revision, rows)


def _told(dataset: Dataset, revision: Revision, rows: TrainingRows) -> TrainingData:
    frame = rows.frame
    names = [each.name for each in rows.features]
    return TrainingData(
        X=frame.features.select(names).to_pandas(),
        y=pd.Series(np.asarray(frame.churned), name="churned").astype(int),
        accounts=pd.Series(frame.accounts.to_pandas(), name="account_id"),
        as_of=None if frame.as_of is None else pd.Series(frame.as_of.to_pandas(), name="as_of"),
        sides=pd.Series(rows.sides.astype(object), name="side"),
        horizon_days=label_span(dataset).days,
        dataset=dataset.name,
        revision=revision.number,
        split=rows.split,
        warnings=rows.warnings,
    )
