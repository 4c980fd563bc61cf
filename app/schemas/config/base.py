"""What all config models share: numbers that are no booleans, frozen models, and how layers are merged."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _refuse_bool(value: object) -> object:
    """JSON's `true` is no number, although Python's is."""
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    return value


Number = Annotated[float, BeforeValidator(_refuse_bool)]
Whole = Annotated[int, BeforeValidator(_refuse_bool)]
Share = Annotated[Number, Field(ge=0, le=1)]


class Config(BaseModel):
    """Frozen, no unknown fields, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())
    section: ClassVar[str] = ""  # what requests, datasets' defaults and settings call it

    @classmethod
    def layered(cls, *layers: Mapping[str, Any]) -> Self:
        """Merge partial configs, the first one strongest, field by field, over the defaults in code."""
        merged: dict[str, Any] = {}
        for layer in reversed(layers):
            _merge(merged, layer)
        return cls.model_validate(merged)


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Lay `over` upon `base`; a nested object is merged too, unless its `kind` changes."""
    for key, value in over.items():
        below = base.get(key)
        same_kind = isinstance(below, dict) and isinstance(value, Mapping) and below.get("kind") == value.get("kind")
        if isinstance(below, dict) and isinstance(value, Mapping) and (same_kind or "kind" not in value):
            base[key] = dict(below)
            _merge(base[key], value)
        else:
            base[key] = value
