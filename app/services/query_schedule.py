"""At which instants the queries of a dataset are run."""

from datetime import UTC, datetime, timedelta

from app.schemas.query import QueryIn
from app.services.row_source import label_span


def scored_instant(now: datetime) -> datetime:
    """The instant at which accounts are scored: the beginning of the day, UTC, so that a day's scorings agree."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def matured_by(spec: QueryIn, now: datetime) -> datetime:
    """The newest instant whose labels are known in full: lead, horizon and grace have passed since."""
    return now - label_span(spec)


def training_instants(spec: QueryIn, now: datetime) -> list[datetime]:
    """The matured instants to train on, newest first: those that are named, or every `step_days` back.

    Examples
    --------
    >>> spec = QueryIn(
    ...     name="d", kind="query", source_url="postgresql://u@h/d", horizon_days=30, step_days=7, max_instants=2,
    ...     features_sql="SELECT :as_of", labels_sql="SELECT :as_of",
    ... )
    >>> [each.date().isoformat() for each in training_instants(spec, datetime(2024, 3, 1, 15, tzinfo=UTC))]
    ['2024-01-31', '2024-01-24']
    """
    if spec.instants:
        last = matured_by(spec, now)
        return sorted({each.astimezone(UTC) for each in spec.instants if each <= last}, reverse=True)
    newest = matured_by(spec, scored_instant(now))
    return [newest - timedelta(days=step * spec.step_days) for step in range(spec.max_instants)]
