"""What a version keeps of the facts it was trained on, so that its features are built the same way for ever."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.ml.frame import FeatureKind
from app.schemas.events import EventsIn

OTHER = "other"  # every kind of event that has no features of its own


@dataclass(frozen=True)
class EventKind:
    """A kind of event that has features of its own, and whether its events say how much, and for how much money."""

    name: str
    has_quantity: bool
    has_amount: bool


@dataclass(frozen=True)
class Attribute:
    """An attribute of accounts."""

    name: str
    kind: FeatureKind


@dataclass(frozen=True)
class FeaturePlan:
    """Frozen at training: the kinds of event, the commonest first, and the attributes of accounts."""

    kinds: tuple[EventKind, ...]
    attributes: tuple[Attribute, ...]
    has_other: bool

    def to_json(self) -> dict[str, Any]:
        """Plain data for the bundle."""
        return {
            "kinds": [asdict(each) for each in self.kinds],
            "attributes": [{"name": each.name, "kind": each.kind.value} for each in self.attributes],
            "has_other": self.has_other,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "FeaturePlan":
        """Read what `to_json` wrote."""
        return cls(
            kinds=tuple(EventKind(**each) for each in data["kinds"]),
            attributes=tuple(Attribute(each["name"], FeatureKind(each["kind"])) for each in data["attributes"]),
            has_other=bool(data["has_other"]),
        )


def freeze_plan(spec: EventsIn, kinds: Sequence[Mapping[str, Any]], attributes: Sequence[Attribute]) -> FeaturePlan:
    """The plan of a training, of what was known at its newest development instant.

    Parameters
    ----------
    spec : EventsIn
        At most `max_kinds` kinds have features of their own; those that say who is active always do.
    kinds : sequence of mappings
        What was counted of each: `kind`, `n`, `n_quantity`, `n_amount`.
    attributes : sequence of Attribute
        All there are.
    """
    always = set(spec.active.event_kinds or ()) if spec.active.kind == "event" else set()
    ranked = sorted(kinds, key=lambda each: (each["kind"] not in always, -each["n"], each["kind"]))
    named = [each for each in ranked if each["kind"] != OTHER][: max(spec.max_kinds, len(always))]
    return FeaturePlan(
        kinds=tuple(EventKind(each["kind"], each["n_quantity"] > 0, each["n_amount"] > 0) for each in named),
        attributes=tuple(attributes),
        has_other=len(named) < len(kinds),
    )


def unknown_kinds(plan: FeaturePlan, kinds: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Kinds of event that have no features of their own, with how many events each has, the commonest first."""
    own = {each.name for each in plan.kinds}
    found = {str(each["kind"]): int(each["n"]) for each in kinds if each["kind"] not in own}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
