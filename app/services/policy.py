"""The policy in force: a request over the dataset's defaults, over the settings, over the code."""

from typing import TypeVar

from pydantic import ValidationError

from app.errors import FieldError, InvalidRequest
from app.ml.params import ParamsError, validate_params
from app.schemas.config import CONFIGS, Config, ModelConfig
from app.settings import Settings
from app.tables import Dataset

C = TypeVar("C", bound=Config)


def in_force(kind: type[C], dataset: Dataset, settings: Settings, request: C | None = None) -> C:
    """The config of this kind that holds for a dataset, with what a request names laid over it.

    Raises
    ------
    InvalidRequest
        Where each layer may be right by itself, but what they give together can't be used.
    """
    asked = request.model_dump(exclude_unset=True, mode="json") if request is not None else {}
    try:
        config = kind.layered(asked, dataset.defaults.get(kind.section, {}), getattr(settings, kind.section))
        if isinstance(config, ModelConfig):
            validate_params(config)
    except ParamsError as error:
        raise _refusal(kind, [FieldError(f"/model/{error.key.replace('.', '/')}", error.reason)]) from error
    except ValidationError as error:
        found = [("/".join(["", kind.section, *map(str, each["loc"])]), each["msg"]) for each in error.errors()]
        raise _refusal(kind, [FieldError(pointer, words) for pointer, words in found]) from error
    return config


def require_defaults(dataset: Dataset, settings: Settings) -> None:
    """Refuse defaults that would refuse every request."""
    for kind in CONFIGS:
        try:
            in_force(kind, dataset, settings)
        except InvalidRequest as error:
            errors = [FieldError(f"/defaults{each.pointer}", each.detail) for each in error.errors]
            raise InvalidRequest(error.detail, errors=errors) from error


def _refusal(kind: type[Config], errors: list[FieldError]) -> InvalidRequest:
    return InvalidRequest(
        f"What is asked, the defaults of the dataset and the settings give no usable {kind.section} config together: "
        f"{errors[0].pointer}: {errors[0].detail}.",
        errors=errors,
    )
