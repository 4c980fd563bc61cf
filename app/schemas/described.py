"""The body that describes a dataset, of whichever kind it is."""

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from app.schemas.datasets import DescribedIn, SnapshotsIn
from app.schemas.events import EventsIn
from app.schemas.query import QueryIn


def _kind(body: Any) -> str:
    """A body that names no kind is of snapshots; no field of a body is called as these tags are."""
    kind = body.get("kind", "snapshots") if isinstance(body, dict) else getattr(body, "kind", None)
    return f"kind={kind}"


DatasetIn = Annotated[
    Annotated[SnapshotsIn, Tag("kind=snapshots")]
    | Annotated[EventsIn, Tag("kind=events")]
    | Annotated[QueryIn, Tag("kind=query")],
    Discriminator(
        _kind, custom_error_type="unknown_kind", custom_error_message="kind must be one of: snapshots, events, query"
    ),
]


def _example(kind: type[DescribedIn]) -> dict[str, Any]:
    return {"value": kind.model_json_schema()["examples"][0]}


EXAMPLES: dict[str, Any] = {
    "snapshots": _example(SnapshotsIn),
    "events": _example(EventsIn),
    "query": _example(QueryIn),
}
