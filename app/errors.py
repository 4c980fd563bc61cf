"""Expected failures: one class each, with HTTP status, code, sentence and hint; everything else is a bug."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one part of a request; `pointer` is an RFC 6901 JSON pointer into it."""

    pointer: str
    detail: str


class HoldfastError(Exception):
    """A failure that a caller can mend; rendered once as problem+json, or as a sentence by the CLI."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"
    title: ClassVar[str] = "Bad request"
    hint: ClassVar[str] = ""

    def __init__(
        self, detail: str, *, hint: str | None = None, errors: Sequence[FieldError] = (), **facts: Any
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.advice = self.hint if hint is None else hint
        self.errors = tuple(errors)
        self.facts = facts

    def to_problem(self) -> dict[str, Any]:
        """The members of RFC 9457 this failure knows; the request id is added at the boundary."""
        problem: dict[str, Any] = {
            "type": f"urn:holdfast:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "hint": self.advice,
            "errors": [{"pointer": e.pointer, "detail": e.detail} for e in self.errors],
        }
        return problem | self.facts


class InvalidRequest(HoldfastError):
    """The request is well-formed but says something that can't be."""

    status, code, title = 422, "invalid_request", "The request can't be carried out as it stands"
    hint = "Mend the fields named in `errors` and send the request again."


class NotFound(HoldfastError):
    """The thing named does not exist."""

    status, code, title = 404, "not_found", "Not found"
    hint = "Check the name or number; the list endpoints show what there is."


class Conflict(HoldfastError):
    """The request is right, but the state of things is against it."""

    status, code, title = 409, "conflict", "In conflict with the present state"


class ConfigurationError(HoldfastError):
    """The service itself is set up in a way that can't work."""

    status, code, title = 500, "configuration", "The service is not set up rightly"
