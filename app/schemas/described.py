"""The body that describes a dataset, of whichever kind it is."""

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from app.schemas.datasets import SnapshotsIn
from app.schemas.events import EventsIn


def _kind(body: Any) -> str:
    """A body that names no kind is of snapshots; no field of a body is called as these tags are."""
    kind = body.get("kind", "snapshots") if isinstance(body, dict) else getattr(body, "kind", None)
    return f"kind={kind}"


DatasetIn = Annotated[
    Annotated[SnapshotsIn, Tag("kind=snapshots")] | Annotated[EventsIn, Tag("kind=events")],
    Discriminator(
        _kind, custom_error_type="unknown_kind", custom_error_message="kind must be one of: snapshots, events, query"
    ),
]
