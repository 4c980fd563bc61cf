"""The policy in force: a request over the dataset's defaults, over the settings, over the code.

Of the gate a stored document, where there is one, stands in place of the layers below a request.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import FieldError, InvalidRequest
from app.ml.kinds.params import ParamsError, validate_params
from app.refusals import refusal_words
from app.schemas.config import CONFIGS, Config, EvaluationConfig, ModelConfig, TrainingConfig, WholeBar
from app.services.search_trials import require_searchable
from app.settings import Settings
from app.tables import Dataset, GatePolicy

C = TypeVar("C", bound=Config)
_BAR: TypeAdapter[EvaluationConfig] = TypeAdapter(WholeBar)


def in_force(
    kind: type[C],
    dataset: Dataset | None,
    settings: Settings,
    request: C | None = None,
    *,
    stored: Mapping[str, Any] | None = None,
) -> C:
    """The config of this kind that holds for a dataset (None: for any), with what a request names laid over it.

    A stored document stands for the defaults of the dataset and the settings, whatever these say.

    Raises
    ------
    InvalidRequest
        Where each layer may be right by itself, but what they give together can't be used.
    """
    asked = request.model_dump(exclude_unset=True, mode="json") if request is not None else {}
    try:
        below = [_defaults(kind, dataset), getattr(settings, kind.section)] if stored is None else [stored]
        config = kind.layered(asked, *below)
        if isinstance(config, ModelConfig):
            validate_params(config)
        if isinstance(config, EvaluationConfig):
            _BAR.validate_python(config)
    except ParamsError as error:
        raise _refusal(kind, [FieldError(f"/model/{error.key.replace('.', '/')}", error.reason)]) from error
    except ValidationError as error:
        found = [("/".join(["", kind.section, *map(str, each["loc"])]), refusal_words(each)) for each in error.errors()]
        raise _refusal(kind, [FieldError(pointer, words) for pointer, words in found]) from error
    return config


def _defaults(kind: type[Config], dataset: Dataset | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = {} if dataset is None else dataset.defaults.get(kind.section, {})
    return found


async def gate_in_force(
    session: AsyncSession, dataset: Dataset | None, settings: Settings, request: EvaluationConfig | None = None
) -> EvaluationConfig:
    """The gate's bar for a dataset: the stored policy, else the defaults; with what a request names laid over it."""
    document = await find_policy(session, dataset)
    stored = None if document is None else document.evaluation
    return in_force(EvaluationConfig, dataset, settings, request, stored=stored)


async def find_policy(session: AsyncSession, dataset: Dataset | None) -> GatePolicy | None:
    """The newest document of the dataset, else the newest one for all."""
    for_all = GatePolicy.dataset_id.is_(None)
    own = for_all if dataset is None else GatePolicy.dataset_id == dataset.id
    query = select(GatePolicy).where(or_(own, for_all)).order_by(for_all, GatePolicy.id.desc()).limit(1)
    return (await session.scalars(query)).first()


def require_defaults(dataset: Dataset, settings: Settings) -> None:
    """Refuse defaults that would refuse every request that names none of what is wrong."""
    try:
        for kind in CONFIGS:
            in_force(kind, dataset, settings)
        require_searchable(in_force(ModelConfig, dataset, settings), in_force(TrainingConfig, dataset, settings))
    except InvalidRequest as error:
        errors = [FieldError(f"/defaults{each.pointer}", each.detail) for each in error.errors]
        raise InvalidRequest(error.detail, errors=errors) from error


def _refusal(kind: type[Config], errors: list[FieldError]) -> InvalidRequest:
    return InvalidRequest(
        f"Request, defaults of the dataset and settings together give no usable {kind.section} config: "
        f"{errors[0].pointer}: {errors[0].detail}.",
        errors=errors,
    )
