"""The body that describes a dataset, of whichever kind it is."""

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from app.schemas.datasets import SnapshotsIn
from app.schemas.events import EventsIn


def _kind(body: Any) -> Any:
    """A body that names no kind is of snapshots."""
    return body.get("kind", "snapshots") if isinstance(body, dict) else getattr(body, "kind", None)


DatasetIn = Annotated[
    Annotated[SnapshotsIn, Tag("snapshots")] | Annotated[EventsIn, Tag("events")],
    Discriminator(_kind),
]
