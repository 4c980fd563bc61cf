"""All FastAPI injection: services, caller, paging, version names; and what endpoints say of their answers."""

import hmac
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.container import Services
from app.errors import FieldError, InvalidRequest, NotAllowed, NotAuthenticated
from app.schemas.common import VERSION_NUMBER, VERSION_PATTERN, Name, Problem, Text
from app.schemas.jobs import JobOut
from app.services.datasets import RequireOperator


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


@dataclass(frozen=True)
class Actor:
    """Who calls, as far as is known."""

    name: str


def _caller(
    actor: Annotated[
        Text | None, Header(alias="X-Actor", max_length=100, description="Who calls; kept in jobs and the ledger.")
    ] = None,
) -> Actor:
    return Actor(name=actor or "anonymous")


_operator_token = HTTPBearer(auto_error=False, description="The operator's token, `HOLDFAST_ADMIN_TOKEN`.")


def only_operator(
    services: Annotated[Services, Depends(_services)],
    sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_operator_token)],
) -> None:
    """Refuse everybody who does not send the operator's token."""
    _require_token(services, sent)


def _operator_where_needed(
    services: Annotated[Services, Depends(_services)],
    sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_operator_token)],
) -> RequireOperator:
    """`only_operator` for a service to call, where what is asked decides whether it takes the operator."""
    return lambda part: _require_token(services, sent, part)


def _require_token(services: Services, sent: HTTPAuthorizationCredentials | None, *parts: FieldError) -> None:
    token = services.settings.admin_token
    if token is None:
        hint = "Set HOLDFAST_ADMIN_TOKEN and start the service again; on the store itself: `holdfast policy set`."
        raise NotAllowed("No operator's token is configured, so nobody may do this over HTTP.", hint=hint, errors=parts)
    if sent is None:
        raise NotAuthenticated("The request carries no token.", errors=parts)
    if not hmac.compare_digest(sent.credentials.encode("latin-1"), token.get_secret_value().encode()):
        hint = "Send the token of HOLDFAST_ADMIN_TOKEN."
        raise NotAllowed("The token is not the operator's.", hint=hint, errors=parts)


@dataclass(frozen=True)
class Paging:
    """How much of a list, from where."""

    limit: int
    cursor: str | None


def _paging(
    limit: Annotated[int, Query(ge=1, le=1000, description="Rows a page.")] = 50,
    cursor: Annotated[Text | None, Query(max_length=1000, description="`next_cursor` of the page before.")] = None,
) -> Paging:
    return Paging(limit=limit, cursor=cursor)


async def only_known_query(request: Request) -> None:
    """Refuse a query parameter that the endpoint does not read: the answer would be one to another question."""
    if not request.url.query:
        return
    route: APIRoute = request.scope["route"]
    known = sorted(_query_names(route.dependant))
    unknown = [name[:100] for name in request.query_params if name not in known]
    if unknown:
        raise InvalidRequest(
            f"There is no query parameter {unknown[0]} here; there {_listed(known)}.",
            errors=[FieldError(f"query/{name}", "is not read here") for name in unknown[:100]],
        )


def _query_names(endpoint: Dependant) -> set[str]:
    """What an endpoint reads, and what its dependencies do."""
    names = {field.alias for field in endpoint.query_params}
    return names.union(*map(_query_names, endpoint.dependencies))


def _listed(names: list[str]) -> str:
    return f"are: {', '.join(names)}" if len(names) > 1 else f"is {names[0]}" if names else "is none"


ServicesDep = Annotated[Services, Depends(_services)]
Caller = Annotated[Actor, Depends(_caller)]
OperatorWhereNeeded = Annotated[RequireOperator, Depends(_operator_where_needed)]
PagingDep = Annotated[Paging, Depends(_paging)]

Version = Annotated[
    str, Path(pattern=rf"^{VERSION_NUMBER}$", description="A version, as a canonical decimal.", examples=["1"])
]
VersionName = Annotated[
    str,
    Path(
        pattern=VERSION_PATTERN,
        description="A version, or `champion`, `challenger`, `latest`.",
        examples=["champion"],
    ),
]
JobId = Annotated[str, Path(pattern=r"^[1-9][0-9]{0,17}$", description="A job's id.", examples=["1"])]
RunId = Annotated[str, Path(pattern=r"^[1-9][0-9]{0,17}$", description="A scoring run's id.", examples=["1"])]
DatasetName = Annotated[Name, Path(description="A dataset's name.")]
DatasetQuery = Annotated[Name | None, Query(description="The dataset; may be left out while there is only one.")]


OPERATOR_WHERE_NEEDED: dict[str, Any] = {"security": [{}]}  # beside the token: to most calls it need not be sent


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The problems an endpoint may answer with, for the docs console."""
    return {code: {"model": Problem} for code in codes}


def accepted(response: Response, job: JobOut) -> JobOut:
    """The job as the body of a 202 that says where to look for it."""
    response.headers["Location"] = f"/jobs/{job.id}"
    return job
